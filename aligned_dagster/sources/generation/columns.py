"""Values for one column: of its type, and keeping its own rules."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import polars as pl

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features.constraints import AcceptedValues, Constraint, NotNull
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.literals import thaw
from aligned_dagster.features.schema import Column
from aligned_dagster.sources.generation.bits import Draw, mixed, salt, shuffled
from aligned_dagster.sources.generation.numbers import Range, moments, range_of, run_of, whole_values
from aligned_dagster.sources.generation.text import TextRules, found_texts, words
from aligned_dagster.sources.generation.types import floats, lists, of_type

_ATTEMPTS = 24
_TEXTS = 512
"""How many different texts a column draws from that must match a pattern."""

_NULLS = 10
"""One in so many values of an optional column is null."""

_ENUMERABLE = 2_000_000


@dataclass(frozen=True)
class Verdict:
    """What tells whether values keep the rules of a column that one row alone can tell."""

    dtype: DataType
    constraints: tuple[Constraint, ...]

    @property
    def broken(self) -> pl.Expr:
        """True where a rule is broken, for values in the column `x`."""
        rules = (rule for rule in self.constraints if rule.row_local and not isinstance(rule, NotNull))
        found = [rule.violation("x", self.dtype) for rule in rules]
        return pl.any_horizontal(found) if found else pl.lit(False)

    def __call__(self, values: pl.Series) -> pl.Series:
        """True where all rules are kept."""
        kept = pl.DataFrame({"x": values}).select(pl.col("x"), kept=~self.broken)
        return kept.get_column("kept")


@dataclass(frozen=True)
class Maker:
    """Makes the values of one column of a contract.

    Args:
        contract: its name, for messages.
        column: the column.
        seed: the source's.
        referenced: the values that a reference allows; None where the column refers to nothing.
        moments_within: first and last moment, in microseconds, of an event timestamp; None for no such limit.
        rows: how many rows the contract has, for the room that an event timestamp needs.
    """

    contract: str
    column: Column
    seed: int
    referenced: pl.Series | None = None
    moments_within: tuple[int, int] | None = None
    rows: int = 1

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def stream(self) -> str:
        """Entities of one name are drawn alike in all contracts, so that their rows can be joined."""
        column = self.column
        own = "" if column.role in {"entity", "event_timestamp"} else f"{self.contract}."
        window = f" {self.moments_within}" if self.moments_within else ""
        return f"{own}{column.name}{window}"

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked of the column but that a value is there."""
        ruled = any(not isinstance(rule, NotNull) for rule in self.column.constraints)
        return not (ruled or self.column.nullable or self.column.has_default)

    @cached_property
    def verdict(self) -> Verdict:
        """The rules that one value alone can break."""
        return Verdict(self.column.dtype, self.column.constraints)

    @cached_property
    def range(self) -> Range | None:
        """The whole numbers behind the values; None where the type has none."""
        dtype = self.column.dtype
        if not (dtype.is_integer or dtype.kind in {"decimal", "date", "time", "duration", "timestamp"}):
            return None
        found = range_of(dtype, self.column.constraints, self.column.role != "entity")
        if self.moments_within and dtype.kind == "timestamp":
            found = found.within(*self.moments_within)
        low, high = found.ends(1)
        if low > high and not self.moments_within:
            raise self.impossible("no value lies between its bounds")
        return found

    @cached_property
    def is_empty(self) -> bool:
        """Whether no event timestamp fits into the period that is asked for."""
        if self.moments_within is None or self.range is None:
            return False
        low, high = self.range.ends(1)
        return low > high

    @cached_property
    def pool(self) -> pl.Series | None:
        """The values to choose from where they are few or given: accepted ones, those of another view, texts of a pattern."""
        accepted = [rule for rule in self.column.constraints if isinstance(rule, AcceptedValues)]
        dtype = self.column.dtype
        if self.referenced is not None:
            values = self.referenced.cast(dtype.polars)
        elif accepted:
            plain = [thaw(value) for value in accepted[0].values]
            values = pl.Series(plain, dtype=dtype.polars, strict=False)
        elif self._asks_for_texts:
            return self._texts(_TEXTS)
        else:
            return None
        values = values.drop_nulls().unique(maintain_order=True)
        values = values.filter(self.verdict(values))
        if values.is_empty() and not self.column.nullable:
            what = (
                "the view it refers to has no value" if self.referenced is not None else "no accepted value"
            )
            raise self.impossible(f"{what} that keeps its other rules")
        return values

    @cached_property
    def _text_rules(self) -> TextRules:
        return TextRules.of(self.column.constraints)

    @property
    def _asks_for_texts(self) -> bool:
        return self.column.dtype.kind in {"string", "uuid"} and not self._text_rules.is_free

    def _texts(self, most: int) -> pl.Series:
        found = found_texts(self._text_rules, self.verdict, salt(self.seed, self.stream), most)
        if not found:
            raise self.impossible("no text was found that keeps them all")
        return pl.Series(found, dtype=pl.String)

    def domain(self, most: int) -> pl.Series | None:
        """All values that there are, in an order that the seed decides; None where they are more than `most`, or uncounted."""
        dtype = self.column.dtype
        if self.pool is not None:
            values = self._texts(most) if self._asks_for_texts and self.referenced is None else self.pool
            return shuffled(values, self.seed, self.stream) if len(values) <= most else None
        if dtype.kind == "bool":
            return pl.Series([False, True])
        limit = min(most, _ENUMERABLE)
        if self.range is None or dtype.kind in {"timestamp", "duration", "time"}:
            return None
        low, high = self.range.low, self.range.high
        low = self.range.first if low is None else max(low, self.range.first)
        high = self.range.last if high is None else min(high, self.range.last)
        if high - low + 1 > limit:
            return None
        values = run_of(low, high, dtype)
        return shuffled(values.filter(self.verdict(values)), self.seed, self.stream)

    def in_order(self, rows: int) -> pl.Series | None:
        """Different values one after another, for whole numbers as a key: 1, 2, 3, ... or from the lower bound on."""
        if not self.column.dtype.is_integer or self.pool is not None or self.range is None:
            return None
        low, high = self.range.ends(rows)
        if self.range.low is None and self.range.high is not None:
            low = max(high - rows + 1, self.range.first)
        return run_of(low, low + rows - 1, self.column.dtype) if high - low + 1 >= rows else None

    def distinct_texts(self, rows: int) -> pl.Series | None:
        """So many different texts for a pattern, in an order that does not depend on the number; None for other columns."""
        if self._asks_for_texts and self.referenced is None and not self._has_accepted:
            return self._texts(rows)
        return None

    @property
    def _has_accepted(self) -> bool:
        return any(isinstance(rule, AcceptedValues) for rule in self.column.constraints)

    def values(self, draw: Draw, nulls: bool = True) -> pl.Series:
        """A value a row that keeps the column's own rules, with the nulls and defaults that it may have.

        Args:
            draw: the rows.
            nulls: whether some values are null, or the default, where the contract allows it.

        Raises:
            UnsupportedError: no such value was found.
        """
        draw = replace(draw, name=self.stream)
        made = self._kept(draw).rename(self.name)
        if not nulls:
            return made
        column = self.column
        if column.has_default and column.default is not None:
            default = _literal(column)
            return made if not self.verdict(default).all() else self._some(draw, made, default)
        if column.nullable or (column.has_default and column.default is None):
            return self._some(draw, made, pl.Series([None], dtype=column.dtype.polars))
        return made

    def _some(self, draw: Draw, made: pl.Series, other: pl.Series) -> pl.Series:
        """One in ten values replaced."""
        chosen = mixed(draw.keys, salt(self.seed, self.stream, "null", draw.attempt)) % _NULLS == 0
        frame = pl.DataFrame({"made": made, "chosen": chosen})
        both = pl.when("chosen").then(pl.lit(other).first()).otherwise("made")
        return frame.select(both.alias(self.name)).to_series()

    def _kept(self, draw: Draw) -> pl.Series:
        if self.pool is not None:
            if self.pool.is_empty():
                return pl.Series([None], dtype=self.column.dtype.polars).new_from_index(0, draw.rows)
            return draw.one_of("place", self.pool)
        made = self._made(draw)
        rules = [rule for rule in self.column.constraints if rule.row_local and not isinstance(rule, NotNull)]
        if not rules:
            return made
        for number in range(_ATTEMPTS):
            broken = (~self.verdict(made)).arg_true()
            if broken.is_empty():
                return made
            draw = draw.again(number // 8)
            made = made.scatter(broken, self._made(draw.for_rows(broken)))
        raise self.impossible("no value was found that keeps them all")

    def _made(self, draw: Draw) -> pl.Series:
        column, dtype = self.column, self.column.dtype
        if self.range is not None:
            if column.role == "event_timestamp":
                return moments(draw, dtype, self.range, self.rows)
            return whole_values(draw, dtype, self.range)
        if dtype.is_float:
            return floats(draw, dtype, column.constraints)
        if dtype.kind == "string":
            return words(draw, self._text_rules)
        if dtype.kind == "list" and dtype.inner is not None:
            return lists(draw, dtype.inner, self._text_rules)
        return of_type(draw, dtype)

    def impossible(self, why: str) -> UnsupportedError:
        """The error that says what cannot be made up, and what to do."""
        rules = [r.words(self.name) for r in self.column.constraints if not isinstance(r, NotNull)]
        said = f" Its rules: {'; '.join(rules)}." if rules else ""
        return UnsupportedError(
            f"No random value can be made for {self.contract}.{self.name} ({self.column.dtype.text}): {why}.{said} "
            f"Mend the contract, or give the values by RandomDataSource.with_values({{{self.name!r}: [...]}})."
        )


def _literal(column: Column) -> pl.Series:
    value: Any = thaw(column.default)
    if isinstance(value, dt.datetime) and value.tzinfo is None and column.dtype.time_zone:
        return pl.Series([value]).dt.replace_time_zone(column.dtype.time_zone).cast(column.dtype.polars)
    return pl.Series([value], dtype=None if not column.dtype.is_nested else column.dtype.polars).cast(
        column.dtype.polars
    )
