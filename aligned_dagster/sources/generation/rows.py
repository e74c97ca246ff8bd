"""Whole rows of a contract, made up: keys first, then what belongs to them, then what must hold between columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features.constraints import Reference, Unique
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.sources.generation.bits import Draw, keys_of, mixed, numbered, salt
from aligned_dagster.sources.generation.columns import Maker, Verdict
from aligned_dagster.sources.generation.keys import distinct_rows
from aligned_dagster.sources.generation.repair import repaired
from aligned_dagster.sources.generation.rules import Condition, conditions, together, violations

_ROUNDS = 60
_PER_ENTITY = 4
"""Rows of an entity, on average, where rows have an event timestamp."""


@dataclass(frozen=True)
class RandomRows:
    """Makes rows of one contract.

    Args:
        contract: its name.
        stored: the columns that are made.
        promise: all columns, the derived ones included, and the rules.
        seed: decides the rows.
        values_of: the values of another view that a reference allows.
        exact: whether fewer rows than asked for are an error, where the contract does not allow so many.
        period: first and last moment of event timestamps, in microseconds since 1970 UTC.
        size: how many rows the contract has in all, where that is more than those that are made.
    """

    contract: str
    stored: tuple[Column, ...]
    promise: Schema
    seed: int
    values_of: Callable[[Reference], pl.Series]
    exact: bool = True
    period: tuple[int, int] | None = None
    size: int = 0

    def make(
        self, rows: int, given: pl.DataFrame | None = None, wanted: Collection[str] | None = None
    ) -> pl.DataFrame:
        """So many rows.

        Args:
            rows: how many.
            given: columns that are known, with so many rows; a null in them is filled where none may be.
            wanted: names of the columns that matter; all of them if not given.

        Raises:
            UnsupportedError: the contract's rules cannot be kept.
        """
        given = pl.DataFrame() if given is None else given
        if not rows:
            return pl.DataFrame(schema={column.name: column.dtype.polars for column in self.stored})
        names = self._needed(wanted)
        frame = self._with_keys(rows, given)
        keys = self._row_keys(frame, frame.height if self.keys else rows)
        own = {name: frame.get_column(name) for name in frame.columns}
        makers = {c.name: self._maker(c, rows, own) for c in self.stored if c.name in names}
        columns: dict[str, pl.Series] = {}
        for name, maker in makers.items():
            if name in frame.columns:
                columns[name] = self._filled(frame.get_column(name), maker, keys)
            elif name in given.columns:
                columns[name] = self._filled(given.get_column(name), maker, keys)
            else:
                columns[name] = self._made(maker, keys, frame)
        made = pl.DataFrame([columns[name].alias(name) for name in makers])
        found = [one for one in self._conditions if one.columns <= names]
        free = [name for name in makers if name not in given.columns and name not in self.keys]
        return repaired(made, keys, makers, free, together(found), self.promise, exact=self.exact)

    def keeps(self, frame: pl.DataFrame) -> bool:
        """Whether rows keep every rule but those on keys and references, which only `make` sees to."""
        for column in self.stored:
            values = frame.get_column(column.name)
            if values.null_count() and not column.nullable:
                return False
            if not Verdict(column.dtype, column.constraints)(values).all():
                return False
            unique = any(isinstance(rule, Unique) for rule in column.constraints)
            if unique and values.drop_nulls().is_duplicated().any():
                return False
        found = self._conditions
        if not found:
            return True
        return not violations(frame, found, self.promise, self.contract).fold(_either).any()

    # --- what there is to be made -----------------------------------------------------------------------

    @cached_property
    def _conditions(self) -> list[Condition]:
        names = {column.name for column in self.stored}
        return [one for one in conditions(self.promise, self.values_of) if one.columns <= names]

    @cached_property
    def _entities(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.stored if column.role == "entity")

    @cached_property
    def _time(self) -> str | None:
        return next((column.name for column in self.stored if column.role == "event_timestamp"), None)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The stored columns that identify a row."""
        return (*self._entities, *((self._time,) if self._time else ()))

    def _column(self, name: str) -> Column:
        return next(column for column in self.stored if column.name == name)

    def _needed(self, wanted: Collection[str] | None) -> frozenset[str]:
        """The wanted columns, the keys, and all that stands in a rule with one of them."""
        names = {column.name for column in self.stored}
        if wanted is None:
            return frozenset(names)
        found = (set(wanted) & names) | set(self.keys)
        found |= {c.name for c in self.stored if c.role == "created_timestamp"}
        for group in together(self._conditions):
            columns = frozenset[str]().union(*(one.columns for one in group))
            if columns & found:
                found |= columns
        return frozenset(found)

    def _maker(self, column: Column, rows: int, own: dict[str, pl.Series] | None = None) -> Maker:
        values: pl.Series | None = None
        for rule in column.constraints:
            if not isinstance(rule, Reference):
                continue
            if rule.view == self.contract and rule.column == column.name:
                continue
            if rule.view == self.contract:
                known = (own or {}).get(rule.column)
                if known is None:
                    raise UnsupportedError(
                        f"{self.contract}.{column.name} refers to {self.contract}.{rule.column}, which is no key. "
                        "Random rows can refer to keys of their own contract only; give the values by with_values."
                    )
                values = known
            else:
                values = self.values_of(rule)
        period = self.period if column.name == self._time else None
        return Maker(self.contract, column, self.seed, values, period, max(rows, self.size))

    # --- keys -------------------------------------------------------------------------------------------

    def _with_keys(self, rows: int, given: pl.DataFrame) -> pl.DataFrame:
        """The key columns: different in each row, unless they are given."""
        open_keys = [name for name in self._entities if name not in given.columns]
        known = given.select(name for name in self.keys if name in given.columns)
        timed = self._time is not None and self._time not in given.columns
        makers = {
            name: self._maker(self._column(name), rows) for name in (*open_keys, *self._open_time(given))
        }
        if not self.keys:
            return pl.DataFrame()
        if any(maker.is_empty for maker in makers.values()):
            return pl.DataFrame(schema={name: self._column(name).dtype.polars for name in self.keys})
        entity_rules = [one for one in self._conditions if one.columns <= set(self._entities)]

        def kept(frame: pl.DataFrame) -> pl.DataFrame:
            if not entity_rules:
                return frame
            return frame.filter(~violations(frame, entity_rules, self.promise, self.contract).fold(_either))

        if not known.width and open_keys and not timed:
            return distinct_rows([makers[name] for name in open_keys], rows, kept, exact=self.exact)
        if not known.width and open_keys:
            several = max(1, -(-rows // _PER_ENTITY))
            people = distinct_rows([makers[name] for name in open_keys], several, kept, exact=False)
            return self._over_time(rows, people, makers)
        if timed and not self._entities:
            keys = mixed(numbered(rows), salt(self.seed, "row"))
            assert self._time is not None
            return makers[self._time].values(Draw(self.seed, "", keys), nulls=False).to_frame()
        return self._beside(rows, known, makers)

    def _open_time(self, given: pl.DataFrame) -> Sequence[str]:
        return () if self._time is None or self._time in given.columns else (self._time,)

    def _over_time(self, rows: int, people: pl.DataFrame, makers: dict[str, Maker]) -> pl.DataFrame:
        """Rows of a few entities at different times each."""
        assert self._time is not None
        if not people.height:
            raise UnsupportedError(f"{self.contract} has no entity that keeps its rules.")
        keys = mixed(numbered(rows), salt(self.seed, "row"))
        draw = Draw(self.seed, "row", keys)
        chosen = people[(draw.bits("entity") % people.height).cast(pl.UInt32)]
        frame = chosen.with_columns(makers[self._time].values(draw, nulls=False))
        for _ in range(_ROUNDS):
            broken = self._broken_keys(frame).arg_true()
            if broken.is_empty():
                return frame
            draw = draw.again(draw.attempt // 4)
            again = draw.for_rows(broken)
            times = makers[self._time].values(again, nulls=False)
            changed = {self._time: times}
            if draw.attempt > 4:
                others = people[(again.bits("entity") % people.height).cast(pl.UInt32)]
                changed |= {name: others.get_column(name) for name in others.columns}
            frame = frame.with_columns(frame[n].scatter(broken, values) for n, values in changed.items())
        return self._without(frame, self._broken_keys(frame), rows)

    def _beside(self, rows: int, known: pl.DataFrame, makers: dict[str, Maker]) -> pl.DataFrame:
        """Given key columns with the others beside them."""
        keys = mixed(numbered(rows), salt(self.seed, "row"))
        if known.width and known.columns != [self._time]:
            keys = keys_of(known) + numbered(rows) * keys_of(known).is_duplicated().cast(pl.UInt64)
        draw = Draw(self.seed, "row", keys)
        made = {name: maker.values(draw, nulls=False) for name, maker in makers.items()}
        frame = known.with_columns(made.values()) if known.width else pl.DataFrame(list(made.values()))
        if not makers:
            return frame
        for _ in range(_ROUNDS):
            broken = self._broken_keys(frame).arg_true()
            if broken.is_empty():
                return frame
            draw = draw.again(draw.attempt // 4)
            again = draw.for_rows(broken)
            frame = frame.with_columns(
                frame[name].scatter(broken, maker.values(again, nulls=False))
                for name, maker in makers.items()
            )
        return self._without(frame, self._broken_keys(frame), rows)

    def _broken_keys(self, frame: pl.DataFrame) -> pl.Series:
        """True where a row has the key of an earlier one, or breaks a rule on the key."""
        broken = (
            ~keys_of(frame).is_first_distinct()
            if self._entities
            else pl.repeat(False, frame.height, eager=True)
        )
        for name in frame.columns:
            if any(isinstance(rule, Unique) for rule in self._column(name).constraints):
                broken |= ~frame[name].is_first_distinct()
        rules = [one for one in self._conditions if one.columns <= set(frame.columns)]
        if rules:
            broken |= violations(frame, rules, self.promise, self.contract).fold(_either)
        return broken

    def _without(self, frame: pl.DataFrame, broken: pl.Series, rows: int) -> pl.DataFrame:
        kept = frame.filter(~broken)
        if kept.height < rows and (self.exact or not kept.height):
            raise UnsupportedError(
                f"{self.contract} cannot have {rows} rows that differ in {' + '.join(self.keys)}: "
                f"{kept.height} were found. Ask for fewer rows, or allow more values."
            )
        return kept

    # --- what belongs to the keys -------------------------------------------------------------------------

    def _row_keys(self, frame: pl.DataFrame, rows: int) -> pl.Series:
        """What the other columns depend on: the key of the row, or its number where there is none."""
        if self._entities:
            return mixed(keys_of(frame), salt(self.seed, "features"))
        return mixed(numbered(rows), salt(self.seed, "features", self.period))

    def _filled(self, values: pl.Series, maker: Maker, keys: pl.Series) -> pl.Series:
        column = maker.column
        if not values.null_count() or column.nullable or column.has_default:
            return values
        missing = values.is_null().arg_true()
        made = maker.values(Draw(self.seed, "", keys.gather(missing)), nulls=False)
        return values.scatter(missing, made)

    def _made(self, maker: Maker, keys: pl.Series, frame: pl.DataFrame) -> pl.Series:
        draw = Draw(self.seed, "", keys)
        column = maker.column
        if column.role == "created_timestamp" and self._time in frame.columns and maker.is_plain:
            moment = frame.get_column(self._time).cast(column.dtype.polars)
            return moment + (draw.called("written").whole("delay", 0, 3_600) * 1_000_000).cast(
                pl.Duration("us")
            )
        return maker.values(draw)


def _either(one: pl.Series, other: pl.Series) -> pl.Series:
    return one | other
