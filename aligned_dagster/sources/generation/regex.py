"""Texts that match a pattern, by the library rstr, made repeatable and short."""

from __future__ import annotations

import random
import re
import string
import warnings
from itertools import chain
from typing import Any

from rstr import Rstr

from aligned_dagster.errors import UnsupportedError

_PLAIN = string.ascii_letters + string.digits + " -_.,:;"
"""What a dot or a negated set becomes."""

_PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
_LONGEST_REPEAT = 6
_CLASSES = {
    "alpha": "A-Za-z", "digit": "0-9", "alnum": "A-Za-z0-9", "upper": "A-Z", "lower": "a-z", "space": " ",
    "word": "A-Za-z0-9_", "xdigit": "0-9A-Fa-f", "punct": "!-/", "blank": " ", "print": " -~", "graph": "!-~",
    "ascii": " -~", "cntrl": r"\x01-\x1f",
}  # fmt: skip
_CATEGORIES = {
    "L": "A-Za-z", "Letter": "A-Za-z", "Alphabetic": "A-Za-z", "Lu": "A-Z", "Uppercase": "A-Z", "Ll": "a-z",
    "Lowercase": "a-z", "N": "0-9", "Nd": "0-9", "P": "!-/", "Punctuation": "!-/", "Z": " ", "Zs": " ",
    "Greek": r"\u03b1-\u03c9", "Cyrillic": r"\u0430-\u044f", "Latin": "A-Za-z", "S": "$+<=>", "White_Space": " ",
}  # fmt: skip
_PROPERTY = re.compile(r"\\p(?:\{(\w+)\}|(\w))")
_FLAGS = re.compile(r"\(\?(?:[imsuU]*(?:-[imsuU]+)?)\)")
_CODE = re.compile(r"\\[xuU]\{([0-9A-Fa-f]+)\}")


class PatternTexts(Rstr):
    """Texts that a pattern of Rust's regex crate should match; what uses them verifies that it does.

    Args:
        pattern: the pattern, as the contract has it.
        seed: texts come in the same order for the same seed.

    Raises:
        UnsupportedError: the pattern uses what only Rust's regex crate knows.

    >>> texts = PatternTexts("^[A-Z]{2}[0-9]+$", seed=1)
    >>> all(re.match("^[A-Z]{2}[0-9]+$", texts.next()) for _ in range(100))
    True
    """

    def __init__(self, pattern: str, seed: int) -> None:
        self._dice = random.Random(seed)
        super().__init__(self._dice)
        self._sets: dict[int, str] = {}
        self._parsed = _parsed(pattern)
        self._cases = {
            **self._cases,
            "any": lambda _: self._dice.choice(_PLAIN),
            "any_all": lambda _: self._dice.choice(_PLAIN),
            "not_literal": lambda code: self._dice.choice(_PLAIN.replace(chr(code), "")),
            "assert_not": lambda _: "",
            "atomic_group": lambda states: self._build_string(states),
            "possessive_repeat": lambda x: self._handle_repeat(*x),
        }

    def next(self) -> str:
        """The next text."""
        self._cache.clear()
        return self._build_string(self._parsed)

    def _handle_in(self, value: Any) -> Any:
        """A character of a set, from a sorted list: rstr's own goes by the order of a Python set."""
        options = self._sets.get(id(value))
        if options is None:
            found = list(chain(*(self._handle_state(state) for state in value)))
            negated = found[:1] == [False]
            named = set(found[1:] if negated else found)
            plain = sorted(set(_PLAIN) - named) or sorted(set(_PRINTABLE) - named)
            options = "".join(plain if negated else sorted(named))
            self._sets[id(value)] = options
        return self._dice.choice(options)

    def _handle_repeat(self, start_range: int, end_range: int, value: Any) -> str:
        """So many repeats as are asked for, a few more at most where there is no end."""
        times = self._dice.randint(start_range, min(end_range, start_range + _LONGEST_REPEAT))
        return "".join(self._build_string(value) for _ in range(times))


def _parsed(pattern: str) -> Any:
    """The pattern as Python's own parser reads it, once it is written in Python's syntax."""
    from re import _parser  # the module that rstr itself builds on

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            return _parser.parse(_in_python(pattern))
    except (re.error, FutureWarning, OverflowError, KeyError) as error:
        raise UnsupportedError(
            f"No text can be made up for the pattern {pattern!r}: it uses what only Rust's regex crate knows ({error}). "
            "Give accepted_values, or the column's values by RandomDataSource.with_values({...})."
        ) from error


def _in_python(pattern: str) -> str:
    """A pattern of Rust's syntax in Python's: named groups, classes, properties, ends, flags."""
    text = pattern.replace("(?<", "(?P<").replace(r"\z", r"\Z")
    text = text.replace("(?P<=", "(?<=").replace("(?P<!", "(?<!")
    for name, members in _CLASSES.items():
        text = text.replace(f"[:{name}:]", members)
    text = _PROPERTY.sub(lambda found: _property(found, text), text)
    text = _CODE.sub(lambda found: re.escape(chr(int(found[1], 16))), text)
    verbose = text.startswith("(?x)")
    return text if verbose else _FLAGS.sub("", text)


def _property(found: re.Match[str], text: str) -> str:
    members = _CATEGORIES[found[1] or found[2]]
    inside = text.rfind("[", 0, found.start()) > text.rfind("]", 0, found.start())
    return members if inside else f"[{members}]"
