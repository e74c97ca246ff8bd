"""What Python does with one value, and cannot do with a column: told in place of a plain TypeError."""

from __future__ import annotations

import linecache
import re
from typing import TYPE_CHECKING, Any, NoReturn

from aligned_dagster.errors import DerivationError
from aligned_dagster.features.location import at, caller


def _refuse(what: str, instead: str) -> NoReturn:
    raise DerivationError(
        f"{what}: while the contract is written there are no values yet. {instead}{at(caller())}"
    )


_TRUTH = (
    (r"\bnot in\b", "Write ~a.is_in([...]) in place of `not in`."),
    (r"\bin\b", "Write a.is_in([...]) in place of `in`."),
    (r"\band\b", "Write (a > 1) & (b < 2) in place of `and`."),
    (r"\bor\b", "Write (a > 1) | (b < 2) in place of `or`."),
    (r"\bif\b", "Write when(a > 1).then(x).otherwise(y) in place of `if`."),
    (r"\bnot\b", "Write ~(a > 1) in place of `not`."),
    (r"<=?[^<>]+<|>=?[^<>]+>", "Write (1 < a) & (a < 5) in place of 1 < a < 5."),
)
"""What asks for the truth of a column, and what is written in its place."""


def no_truth() -> DerivationError:
    """The error for a column where Python wants a truth value; the advice goes by the line of code that asks."""
    where = caller()
    code = linecache.getline(where.file, where.line).partition("#")[0] if where else ""
    fitting = [advice for pattern, advice in _TRUTH if re.search(pattern, code)][:1]
    advice = fitting or [words for _, words in _TRUTH[1:]]
    return DerivationError(
        "A column is neither true nor false while the contract is written: it has a value for each row. "
        f"{' '.join(advice)}{at(where)}"
    )


class NoValue:
    """A column where Python wants a value: `float(amount)`, `shop[0]`, `"oslo" in shop`, `f"{shop}"`."""

    __slots__ = ()

    if (
        not TYPE_CHECKING
    ):  # a type checker reports these mistakes itself, and would accept them if it saw the methods

        def __float__(self) -> float:
            _refuse(
                "float(...) or a function of math",
                "Use the column's own: .cast(Float()), .log(), .sqrt(), ...",
            )

        def __int__(self) -> int:
            _refuse("int(...) of a column", "Use .cast(Int64()).")

        def __index__(self) -> int:
            _refuse("A column as a position or in range(...)", "Derive with the column's own methods.")

        def __round__(self, digits: int = 0) -> Any:
            _refuse("round(...) of a column", f"Use .round({digits}).")

        def __len__(self) -> int:
            _refuse(
                "len(...) of a column",
                "Use .len_chars() of a text, .length() of a list; for the number of rows .aggregate().len().",
            )

        def __contains__(self, value: object) -> bool:
            _refuse(f"{value!r} in a column", "For a piece of a text or a list use .contains(...).")

        def __getitem__(self, key: object) -> Any:
            _refuse(
                "Brackets or a loop over a column",
                "The methods of a column take all rows at once, such as .slice(0, 1) of a text and .at_index(0) of a list.",
            )

        def __format__(self, how: str) -> str:
            if getattr(self, "origin", None) is not None:  # of a finished contract: somebody shows it
                return format(repr(self), how)
            _refuse("A column in an f-string or format(...)", "Put texts together by + or concat_str([...]).")
