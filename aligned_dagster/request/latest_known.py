"""The search behind the point-in-time join: rows of features go by in batches, and each fact keeps the best.

A row becomes usable at its event time or its creation time, whichever is later. In the order of those moments only
the rows that move an entity forward in event time count, so that the last row usable at a fact's time is exactly
the one wanted, and one as-of join on an integer finds it. From its highest bits down that integer holds the entity
(42), the time (64) and the row's place in its batch (22), so a batch is ordered by sorting one column and no other.

Of the columns that are asked for, a fact's row alone is kept, so memory grows with the facts and not with the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import polars as pl

ENTITY, TIME, EVENT, CREATED = "entity", "time", "event", "created"
_ROW, _POSITION, _PLACE, _KEY, _START, _FOUND = "row", "position", "place", "packed", "start", "found"
EARLIEST, LATEST = -(2**63), 2**63 - 1
_TIMES, _PLACES, _ENTITIES = 2**64, 2**22, 2**41


@dataclass(frozen=True)
class Points:
    """The keys and times of facts, in the order of both.

    Args:
        rows: row of the fact, key, the key's least value for that entity, and time; facts that lack a part of
            their key or a time can have no row and are not among them.
        keys: names of the key columns.
        numbers: the number of each key; None where the only key column is a number itself.
        entities: the values of that only key column, sorted; None where keys are numbered.
        height: number of all facts.
    """

    rows: pl.DataFrame
    keys: tuple[str, ...]
    numbers: pl.DataFrame | None
    entities: pl.Series | None
    height: int

    @classmethod
    def of(cls, facts: pl.DataFrame, keys: Sequence[str]) -> Points:
        """Order facts.

        Args:
            facts: the key columns, and TIME as Int64.
            keys: names of the key columns.
        """
        rows = facts.with_row_index(_ROW).drop_nulls()
        numbers = entities = None
        if _is_number(rows, keys):
            entities = rows[keys[0]].unique().sort()
            rows = rows.with_columns(pl.col(keys[0]).cast(pl.Int128).alias(ENTITY))
        else:
            numbers = rows.select(keys).unique().with_row_index(ENTITY)
            numbers = numbers.with_columns(pl.col(ENTITY).cast(pl.Int128))
            rows = rows.join(numbers, on=list(keys), how="left")
        rows = rows.select(
            _ROW,
            _packed(pl.col(TIME), pl.lit(_PLACES - 1)).alias(_KEY),
            _packed(pl.lit(EARLIEST), pl.lit(0)).alias(_START),
            TIME,
        ).sort(_KEY)
        return cls(rows, tuple(keys), numbers, entities, facts.height)

    def owned(self, batch: pl.DataFrame) -> pl.DataFrame:
        """The rows that some fact may get, in the order in which they become usable.

        Given are the packed key and, where CREATED is one of the columns, EVENT, CREATED and the position in the batch
        too; else the first tells them.

        Args:
            batch: the key columns, EVENT, and CREATED where rows become usable only then; both Int64.
        """
        late = CREATED in batch.columns
        usable = pl.max_horizontal(EVENT, CREATED) if late else pl.col(EVENT)
        times = [EVENT, CREATED] if late else [EVENT]
        narrow = batch.select(*self.keys, *times, pl.int_range(pl.len(), dtype=pl.UInt32).alias(_POSITION))
        narrow = self._of_the_facts(narrow.filter(usable <= self.rows[TIME].max()))
        if not late:
            return narrow.select(_packed(usable, pl.col(_POSITION)).alias(_KEY).sort())
        place = pl.int_range(pl.len())
        at_once, turn = pl.col(_KEY) // _PLACES, (pl.col(_KEY) % _PLACES).cast(pl.UInt32)
        order = narrow.select(_packed(usable, place).alias(_KEY).sort()).select(
            (at_once == at_once.shift()).any().alias("ties"), turn.alias("turn")
        )
        if order["ties"].any():
            # Of rows that become usable at once the one with the latest event is the last, then the one created last.
            moment = _packed(usable, pl.lit(0))
            narrow = narrow.with_columns(moment.alias(_KEY)).sort(_KEY, *times, maintain_order=True)
        else:
            narrow = narrow.select(pl.all().gather(order["turn"]))
        forward = _packed(pl.col(EVENT), pl.lit(0))
        narrow = narrow.filter(forward == forward.cum_max())
        return narrow.select(_packed(usable, place).alias(_KEY), *times, _POSITION)

    def _of_the_facts(self, narrow: pl.DataFrame) -> pl.DataFrame:
        if self.numbers is not None:
            return narrow.join(self.numbers, on=list(self.keys), how="inner", maintain_order="left")
        assert self.entities is not None
        entity = pl.col(self.keys[0])
        low, high = cast(int, self.entities.min()), cast(int, self.entities.max())
        narrow = narrow.filter(entity.is_between(low, high))
        if self.entities.len() * 2 < high - low + 1:
            narrow = narrow.filter(entity.is_in(self.entities.implode()))
        return narrow.with_columns(entity.cast(pl.Int128).alias(ENTITY))


class Search:
    """The best row so far of each fact, among the batches that went by.

    Args:
        points: the facts.
        columns: names of the columns to keep of the rows that are found.
    """

    def __init__(self, points: Points, columns: Sequence[str]) -> None:
        self._points = points
        self._columns = list(columns)
        self._best: pl.DataFrame | None = None
        self._kept: list[pl.DataFrame] = []
        self._height = 0

    def add(self, batch: pl.DataFrame) -> None:
        """Let rows go by, which come after all rows of the batches before.

        Args:
            batch: what `Points.owned` takes, and the columns to keep.
        """
        if self._points.rows.is_empty() or batch.is_empty():
            return
        if batch.height > _PLACES:
            for part in batch.iter_slices(_PLACES):
                self.add(part)
            return
        batch = batch.rechunk()
        rows = self._points.owned(batch)
        if rows.is_empty():
            return
        hits = self._points.rows.select(_KEY, _START).join_asof(
            rows.rename({_KEY: _FOUND}), left_on=_KEY, right_on=_FOUND, coalesce=False
        )
        late = CREATED in rows.columns
        if not late:
            since = (pl.col(_FOUND) - pl.col(_START)) // _PLACES + EARLIEST
            hits = hits.with_columns(
                pl.when(pl.col(_FOUND) >= pl.col(_START)).then(since).cast(pl.Int64).alias(EVENT),
                (pl.col(_FOUND) % _PLACES).cast(pl.UInt32).alias(_POSITION),
            )
        times = [EVENT, CREATED] if late else [EVENT]
        if self._best is None:
            none: dict[str, type[pl.DataType]] = {_PLACE: pl.UInt32, **dict.fromkeys(times, pl.Int64)}
            self._best = pl.DataFrame(schema=none).clear(hits.height)
        best = self._best.rename(lambda name: f"best {name}")
        better = (pl.col(_FOUND) >= pl.col(_START)).fill_null(False)
        better &= pl.col(f"best {_PLACE}").is_null() | _is_later(times)
        hits = pl.concat([hits, best], how="horizontal").with_columns(better.alias("better"))
        place = (pl.col("better").cum_sum().cast(pl.Int64) - 1 + self._height).cast(pl.UInt32, strict=False)
        self._best = hits.select(
            pl.when("better").then(place).otherwise(f"best {_PLACE}").alias(_PLACE),
            *(pl.when("better").then(name).otherwise(f"best {name}").alias(name) for name in times),
        )
        taken = hits.filter("better")[_POSITION]
        self._height += taken.len()
        if self._columns:
            self._kept.append(batch.select(pl.col(self._columns).gather(taken)))
        if self._height > 2 * self._points.rows.height + batch.height:
            self._forget()

    def found(self, limit: int | None) -> tuple[pl.DataFrame, pl.Series]:
        """The columns of each fact's row, null where there is none, and whether there is one; in the order of the facts.

        Args:
            limit: the greatest distance, inclusive, between TIME and EVENT.
        """
        points, height = self._points, self._points.height
        place = pl.Series(_PLACE, [None], dtype=pl.UInt32).new_from_index(0, height)
        if self._best is not None:
            best = pl.concat([points.rows.select(_ROW, TIME), self._best], how="horizontal")
            if limit is not None:
                # An event may lie so far before the fact that the distance is no Int64.
                distance = pl.col(TIME).cast(pl.Int128) - pl.col(EVENT).cast(pl.Int128)
                best = best.filter(distance <= limit)
            place = place.scatter(best[_ROW], best[_PLACE])
        if not self._kept:
            return pl.DataFrame(), place.is_not_null()
        kept = pl.concat(self._kept) if len(self._kept) > 1 else self._kept[0]
        return kept.select(pl.all().gather(place)), place.is_not_null()

    def _forget(self) -> None:
        """Drop the rows that gave way to better ones."""
        assert self._best is not None
        places = self._best[_PLACE]
        if self._kept:
            self._kept = [pl.concat(self._kept).select(pl.all().gather(places.drop_nulls()))]
        self._height = places.len() - places.null_count()
        number = (pl.col(_PLACE).is_not_null().cum_sum().cast(pl.Int64) - 1).cast(pl.UInt32, strict=False)
        self._best = self._best.with_columns(pl.when(pl.col(_PLACE).is_not_null()).then(number).alias(_PLACE))


def _is_later(times: Sequence[str]) -> pl.Expr:
    """Whether a row of this batch goes before the best so far; of two at the same times the later row does."""
    event, best = pl.col(times[0]), pl.col(f"best {times[0]}")
    if len(times) == 1:
        return event >= best
    return (event > best) | ((event == best) & (pl.col(times[1]) >= pl.col(f"best {times[1]}")))


def _is_number(rows: pl.DataFrame, keys: Sequence[str]) -> bool:
    """Whether the only key column holds numbers that fit above the time."""
    column = rows[keys[0]]
    if len(keys) != 1 or not column.dtype.is_integer():
        return False
    ends: list[Any] = [column.min(), column.max()]
    return rows.is_empty() or (ends[0] >= -_ENTITIES and ends[1] < _ENTITIES)


def _packed(time: pl.Expr, place: pl.Expr) -> pl.Expr:
    """Entity, time and place in one number, in this order."""
    moment = pl.col(ENTITY) * _TIMES + time.cast(pl.Int128)
    return moment * _PLACES + place.cast(pl.Int128)
