"""Methods of texts that search by a pattern: Rust's patterns in the words of Java's and RE2's."""

from __future__ import annotations

import re

from aligned_dagster.features.engines.dialect import Asked, Dialect, GapError, case, writes

_RE2_CLASSES = {
    "d": r"\p{Nd}",
    "w": r"\p{L}\p{Nl}\p{M}\p{Nd}\p{Pc}\x{200c}\x{200d}",
    "s": r"\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}",
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_CATEGORY = re.compile(r"\\[pP](?:[A-Z]|\{[A-Z][a-z]?\})")
_BRACES = re.compile(r"\{\d+(?:,\d*)?\}")
_FLAGS = re.compile(r"\(\?([a-zA-Z]*)(-[a-zA-Z]*)?(:|\))")


def translated(pattern: str, dialect: Dialect) -> str:
    """A pattern of Rust's regex crate in those of the engine, with the same matches.

    Raises:
        GapError: the engine's patterns have no word for a part of it.
    """
    found: list[str] = ["(?Ud)" if dialect.is_spark else ""]
    place, depth = 0, 0
    while place < len(pattern):
        character = pattern[place]
        if character == "\\":
            text, place = _escape(pattern, place, depth > 0, dialect)
            found.append(text)
            continue
        if depth == 0 and pattern.startswith("(?", place):
            text, place = _group(pattern, place)
            found.append(text)
            continue
        if character == "[":
            text, place, depth = _opened(pattern, place, depth)
            found.append(text)
            continue
        if depth and (pattern.startswith(("--", "~~", "&&"), place)):
            raise GapError(f"the pattern {pattern!r} combines classes of characters, which is Rust's alone")
        if character == "]" and depth:
            depth -= 1
        if character == "$" and not depth:
            found.append(r"\z")
            place += 1
            continue
        if ord(character) < 32 or (character == "#" and depth):
            character = f"\\x{ord(character):02x}"
        found.append(character)
        place += 1
    return "".join(found)


def _opened(pattern: str, place: int, depth: int) -> tuple[str, int, int]:
    if depth:
        raise GapError(f"the pattern {pattern!r} has a class within a class, which engines read otherwise")
    text, place = "[", place + 1
    if pattern.startswith("^", place):
        text, place = text + "^", place + 1
    if pattern.startswith("]", place):
        text, place = text + "\\]", place + 1
    return text, place, depth + 1


def _group(pattern: str, place: int) -> tuple[str, int]:
    for named in ("(?P<", "(?<"):
        if pattern.startswith(named, place):
            end = pattern.index(">", place)
            return "(", end + 1
    match = _FLAGS.match(pattern, place)
    if match is None or set(match.group(1)) - set("is") or (match.group(2) or "-")[1:].strip("is"):
        raise GapError(f"the pattern {pattern!r} has flags that engines read otherwise")
    return match.group(), match.end()


def _escape(pattern: str, place: int, in_class: bool, dialect: Dialect) -> tuple[str, int]:
    letter = pattern[place + 1]
    after = place + 2
    if letter in "dws":
        if dialect.is_spark:
            return f"\\{letter}", after
        members = _RE2_CLASSES[letter]
        return members if in_class else f"[{members}]", after
    if letter in "DWS":
        if dialect.is_spark:
            return f"\\{letter}", after
        if in_class:
            raise GapError(
                f"the pattern {pattern!r} has \\{letter} within a class, which DuckDB reads as ASCII"
            )
        return f"[^{_RE2_CLASSES[letter.lower()]}]", after
    if letter in "bB":
        if not dialect.is_spark:
            raise GapError(f"the pattern {pattern!r} has \\{letter}, which DuckDB reads as ASCII")
        if pattern.startswith("{", after):
            raise GapError(f"the pattern {pattern!r} has a half boundary, which is Rust's alone")
        return f"\\{letter}", after
    if letter in _CONTROLS:
        return f"\\x{ord(_CONTROLS[letter]):02x}", after
    if letter in "Az":
        return f"\\{letter}", after
    category = _CATEGORY.match(pattern, place)
    if category:
        return category.group(), category.end()
    if letter.isascii() and letter.isalnum():
        raise GapError(f"the pattern {pattern!r} has \\{letter}, which engines read otherwise")
    return (f"\\x{ord(letter):02x}" if letter.isascii() else letter), after


def _pattern(dialect: Dialect, asked: Asked) -> str:
    pattern = asked.plain(1, "pattern")
    return dialect.text(translated(re.escape(pattern) if asked.named.get("literal") else pattern, dialect))


@writes("str.contains")
def _contains(dialect: Dialect, asked: Asked) -> str:
    text = asked.args[0].text
    if asked.named.get("literal"):
        return f"contains({text}, {dialect.text(asked.plain(1))})"
    pattern = _pattern(dialect, asked)
    return dialect.either(f"regexp_like({text}, {pattern})", f"regexp_matches({text}, {pattern})")


@writes("str.replace_all")
def _replaced(dialect: Dialect, asked: Asked) -> str:
    text, pattern, value = asked.args[0].text, asked.plain(1), asked.plain(2, "value")
    if asked.named.get("literal"):
        if not pattern:
            raise GapError("str.replace_all of an empty text: only polars has it")
        return f"replace({text}, {dialect.text(pattern)}, {dialect.text(value)})"
    _check_not_empty(asked, pattern)
    new = _replacement(value, re.compile(pattern).groups, dialect)
    written = dialect.text(new)
    found = _pattern(dialect, asked)
    everywhere = dialect.either("", ", 'g'")
    return f"regexp_replace({text}, {found}, {written}{everywhere})"


def _check_not_empty(asked: Asked, pattern: str) -> None:
    try:
        empty = re.compile(pattern).match("") is not None
    except re.error as error:
        raise GapError(f"the pattern {pattern!r} has words that are Rust's alone") from error
    if empty:
        raise GapError(
            f"{asked.method} by the pattern {pattern!r}, which also matches nothing: engines count otherwise"
        )


def _replacement(value: str, groups: int, dialect: Dialect) -> str:
    """What stands for a match: `$1` and `${1}` are groups, `$$` is a dollar."""

    def group(match: re.Match[str]) -> str:
        word = match.group(1) or match.group(2)
        if match.group() == "$$":
            return dialect.either(r"\$", "$")
        if not word.isdigit() or int(word) > min(groups, 9):
            raise GapError(
                f"the replacement {value!r} names the group {word!r}, which engines read otherwise"
            )
        return f"{dialect.either('$', chr(92))}{word}"

    found, last = [], 0
    for match in re.finditer(r"\$\$|\$\{(\w+)\}|\$(\w+)", value):
        found += [_plain(value[last : match.start()], dialect), group(match)]
        last = match.end()
        if value[last : last + 1].isdigit():
            raise GapError(
                f"the replacement {value!r} has a digit behind a group, which engines read otherwise"
            )
    return "".join([*found, _plain(value[last:], dialect)])


def _plain(text: str, dialect: Dialect) -> str:
    text = text.replace("\\", "\\\\")
    return text.replace("$", "\\$") if dialect.is_spark else text


@writes("str.extract")
def _extracted(dialect: Dialect, asked: Asked) -> str:
    text, pattern, group = asked.args[0].text, asked.plain(1), int(asked.plain(2, "group_index", 1))
    if group and not _always_takes_part(pattern, group):
        raise GapError(
            f"str.extract of a group of {pattern!r} that may take no part in a match: engines give no null"
        )
    found = _pattern(dialect, asked)
    matches = dialect.either(f"regexp_like({text}, {found})", f"regexp_matches({text}, {found})")
    return case([(matches, f"regexp_extract({text}, {found}, {group})")], "NULL")


def _always_takes_part(pattern: str, group: int) -> bool:
    """Whether every match has the group: no alternatives, and nothing around it that may be left out."""
    bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]])*\]", "x", pattern)
    if "|" in bare:
        return False
    open_groups: list[int] = []
    number = 0
    for place, character in enumerate(bare):
        if character == "(":
            counts = not bare.startswith("(?", place) or bare.startswith(("(?P<", "(?<"), place)
            number += counts
            open_groups.append(number if counts else 0)
        elif character == ")" and open_groups:
            closed = open_groups.pop()
            optional = bare[place + 1 : place + 2] in {"?", "*"} or bare.startswith("{0", place + 1)
            if optional and (closed == group or (closed <= group and _within(bare, place, group))):
                return False
    return group <= number


def _within(bare: str, end: int, group: int) -> bool:
    """Whether a group has begun before a place; one that ends there may then hold it."""
    begun = len(re.findall(r"\((?!\?)|\(\?P?<", bare[:end]))
    return begun >= group


@writes("str.find")
def _found(dialect: Dialect, asked: Asked) -> str:
    text, pattern = asked.args[0].text, asked.plain(1)
    if asked.named.get("literal"):
        if not pattern:
            raise GapError("str.find of an empty text: only polars has it")
        words = dialect.text(pattern)
        before = dialect.either(
            f"octet_length(substring_index({text}, {words}, 1))", f"strlen(str_split({text}, {words})[1])"
        )
        return case([(f"contains({text}, {words})", dialect.cast(before, asked.dtype))], "NULL")
    found = _pattern(dialect, asked)
    first = dialect.text(translated(f"(?s:^(.*?))(?:{pattern})", dialect))
    matches = dialect.either(f"regexp_like({text}, {found})", f"regexp_matches({text}, {found})")
    if pattern.startswith("^"):
        return case([(matches, dialect.cast("0", asked.dtype))], "NULL")
    before = f"regexp_extract({text}, {first}, 1)"
    length = dialect.either(f"octet_length({before})", f"strlen({before})")
    return case([(matches, dialect.cast(length, asked.dtype))], "NULL")


@writes("str.count_matches")
def _counted(dialect: Dialect, asked: Asked) -> str:
    text, pattern = asked.args[0].text, asked.plain(1)
    _check_not_empty(asked, re.escape(pattern) if asked.named.get("literal") else pattern)
    found = _pattern(dialect, asked)
    count = dialect.either(f"regexp_count({text}, {found})", f"len(regexp_extract_all({text}, {found}))")
    return dialect.cast(count, asked.dtype)
