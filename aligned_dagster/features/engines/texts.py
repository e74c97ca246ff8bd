"""Methods of texts that take no pattern, and of JSON documents."""

from __future__ import annotations

from aligned_dagster.features.engines.casts import as_text
from aligned_dagster.features.engines.dialect import TEXT, Asked, Dialect, GapError, case, writes

_SPACE = "".join(
    chr(code)
    for code in (
        *range(9, 14),
        32,
        0x85,
        0xA0,
        0x1680,
        *range(0x2000, 0x200B),
        0x2028,
        0x2029,
        0x202F,
        0x205F,
        0x3000,
    )
)
"""What Unicode calls white space."""

_LONGER = {chr(code): chr(code).upper() for code in range(0x80, 0x10000) if len(chr(code).upper()) > 1}
"""Letters whose capitals are several."""

_DOTTED_I, _I_WITH_DOT, _SIGMA = "\u0130", "i\u0307", "\u03a3"
_CASED = r"\p{Lu}\p{Ll}\p{Lt}"
_BETWEEN = r"\p{Mn}\p{Me}\p{Cf}\p{Lm}\p{Sk}'.:\x{b7}\x{2018}\x{2019}\x{2024}\x{2027}"
_FINAL_SIGMA = rf"([{_CASED}][{_BETWEEN}]*)\x{{3a3}}([{_BETWEEN}]*)($|[^{_CASED}{_BETWEEN}])"
_SIGMA_AT_END = "\\1\u03c2\\2\\3"
"""The small sigma is another letter at the end of a word."""


@writes("str.to_lowercase", "str.to_uppercase")
def _letters(dialect: Dialect, asked: Asked) -> str:
    text = asked.args[0].text
    if asked.method == "str.to_uppercase":
        if dialect.is_spark:
            return f"upper({text})"
        longer = text
        for letter, capitals in _LONGER.items():
            longer = f"replace({longer}, {dialect.text(letter)}, {dialect.text(capitals)})"
        anywhere = f"regexp_matches({text}, {dialect.text('[' + ''.join(_LONGER) + ']')})"
        return f"upper({case([(anywhere, longer)], text)})"
    if dialect.is_spark:
        return f"lower({text})"
    dotted = f"replace({text}, {dialect.text(_DOTTED_I)}, {dialect.text(_I_WITH_DOT)})"
    ended = f"regexp_replace({dotted}, {dialect.text(_FINAL_SIGMA)}, {dialect.text(_SIGMA_AT_END)}, 'g')"
    return f"lower({case([(f'contains({text}, {dialect.text(_SIGMA)})', ended)], dotted)})"


@writes("str.strip_chars")
def _stripped(dialect: Dialect, asked: Asked) -> str:
    characters = asked.plain(1, "characters")
    text = asked.args[0].text
    if characters == "":
        return text
    wanted = dialect.text(_SPACE if characters is None else characters)
    return dialect.either(f"trim(BOTH {wanted} FROM {text})", f"trim({text}, {wanted})")


@writes("str.starts_with", "str.ends_with")
def _at_an_end(dialect: Dialect, asked: Asked) -> str:
    name = asked.method.removeprefix("str.")
    return (
        f"{dialect.either(name.replace('_', ''), name)}({asked.args[0].text}, {dialect.text(asked.plain(1))})"
    )


@writes("str.split")
def _parts(dialect: Dialect, asked: Asked) -> str:
    separator = asked.plain(1, "by")
    text = asked.args[0].text
    if not separator:
        raise GapError("str.split by an empty text: only polars has it")
    if not dialect.is_spark:
        return f"str_split({text}, {dialect.text(separator)})"
    return f"split({text}, {dialect.text(_quoted_pattern(separator))}, -1)"


def _quoted_pattern(text: str) -> str:
    return "".join(c if c.isalnum() or ord(c) > 127 else f"\\x{ord(c):02x}" for c in text)


@writes("str.slice")
def _piece(dialect: Dialect, asked: Asked) -> str:
    offset, length = asked.plain(1, "offset"), asked.plain(2, "length")
    text = asked.args[0].text
    size = dialect.either(f"char_length({text})", f"length({text})")
    if offset >= 0:
        start = str(offset + 1)
        end = None if length is None else str(offset + length)
    else:
        start = f"greatest({size} + {offset} + 1, 1)"
        end = None if length is None else f"greatest({size} + {offset} + {length}, 0)"
    rest = f"substring({text}, {start})"
    if end is None:
        return rest
    count = f"greatest({end} - {start} + 1, 0)"
    return f"substring({text}, {start}, {dialect.either(f'CAST({count} AS int)', count)})"


@writes("str.len_chars")
def _length(dialect: Dialect, asked: Asked) -> str:
    text = asked.args[0].text
    return dialect.cast(dialect.either(f"char_length({text})", f"length({text})"), asked.dtype)


@writes("str.zfill")
def _with_zeros(dialect: Dialect, asked: Asked) -> str:
    length = int(asked.plain(1, "length"))
    text = asked.args[0].text
    size = dialect.either(f"char_length({text})", f"length({text})")
    count = f"greatest({length} - {size}, 0)"
    missing = f"repeat('0', {dialect.either(f'CAST({count} AS int)', count)})"
    sign = f"substring({text}, 1, 1)"
    signed = f"{sign} || {missing} || substring({text}, 2)"
    return case([(f"{sign} IN ('-', '+')", signed)], f"({missing} || {text})")


@writes("concat_str")
def _joined(dialect: Dialect, asked: Asked) -> str:
    if asked.named.get("ignore_nulls"):
        raise GapError("concat_str(ignore_nulls=True): only polars has it")
    separator = asked.named.get("separator", "")
    texts = [as_text(dialect, part) for part in asked.args]
    parts = [texts[0]]
    for text in texts[1:]:
        parts += [dialect.text(separator), text] if separator else [text]
    return f"({' || '.join(parts)})"


@writes("str.json_path_match")
def _json_value(dialect: Dialect, asked: Asked) -> str:
    text, path = asked.args[0].text, dialect.literal(asked.plain(1), TEXT)
    if dialect.is_spark:
        return f"get_json_object({text}, {path})"
    valid = f"json_valid({text})"
    return case([(valid, f"json_extract_string({text}, {path})")], "NULL")
