"""Keys that differ from each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import polars as pl

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features.constraints import Unique
from aligned_dagster.sources.generation.bits import Draw, mixed, numbered, salt
from aligned_dagster.sources.generation.columns import Maker

_ROUNDS, _BARREN = 200, 12
_BATCH = 4_096


def distinct_rows(
    makers: Sequence[Maker], rows: int, kept: Callable[[pl.DataFrame], pl.DataFrame], *, exact: bool
) -> pl.DataFrame:
    """So many rows of a few columns that together differ in each row.

    Whole numbers that are a key by themselves count up from 1, or from their lower bound; else the order is random.
    Where there are no more values than rows, each value is used.

    Args:
        makers: of the columns, at least one.
        rows: how many.
        kept: leaves out the rows that break a rule.
        exact: whether fewer rows are an error.

    Raises:
        UnsupportedError: there are not so many.
    """
    for found in (_in_order(makers, rows), _enumerated(makers, rows)):
        if found is not None:
            found = kept(found)
            if found.height >= rows:
                return found.head(rows)
            if _enumerated(makers, rows) is not None:
                return _enough(found, makers, rows, exact)
    alone = [m.name for m in makers if any(isinstance(rule, Unique) for rule in m.column.constraints)]
    window = max(1_000, 4 * rows)
    pieces: list[pl.DataFrame] = []
    frame = pl.DataFrame()
    start = barren = 0
    for number in range(_ROUNDS):
        size = rows if number == 0 else max(2 * (rows - frame.height), _BATCH)
        keys = mixed(numbered(size, start), salt(makers[0].seed, "key"))
        start += size
        columns = [
            maker.values(Draw(maker.seed, "", keys, number, window, number // 4), nulls=False)
            for maker in makers
        ]
        pieces = [*pieces[-1:], kept(pl.DataFrame(columns))]
        before = frame.height
        frame = pl.concat([frame, pieces[-1]]) if frame.width else pieces[-1]
        frame = frame.unique(maintain_order=True, keep="first")
        for name in alone:
            frame = frame.unique(subset=name, maintain_order=True, keep="first")
        if frame.height >= rows:
            return frame.head(rows)
        barren = barren + 1 if frame.height == before else 0
        if barren == _BARREN:
            break
    return _enough(frame, makers, rows, exact)


def _in_order(makers: Sequence[Maker], rows: int) -> pl.DataFrame | None:
    if len(makers) > 1:
        return None
    values = makers[0].in_order(rows)
    if values is None:
        values = makers[0].distinct_texts(rows)
    return None if values is None else values.alias(makers[0].name).to_frame()


def _enumerated(makers: Sequence[Maker], rows: int) -> pl.DataFrame | None:
    """All combinations that there are, in random order; None where they are many more than the rows."""
    most = max(4 * rows, _BATCH)
    frames: list[pl.DataFrame] = []
    for maker in makers:
        values = maker.domain(most)
        if values is None:
            return None
        frames.append(values.alias(maker.name).to_frame())
    total = reduce(lambda count, frame: count * frame.height, frames, 1)
    if total > most:
        return None
    whole = reduce(lambda one, other: one.join(other, how="cross"), frames)
    if (
        any(isinstance(rule, Unique) for maker in makers for rule in maker.column.constraints)
        and len(frames) > 1
    ):
        return None
    order = mixed(numbered(whole.height), salt(makers[0].seed, "combinations"))
    return whole[order.arg_sort()]


def _enough(frame: pl.DataFrame, makers: Sequence[Maker], rows: int, exact: bool) -> pl.DataFrame:
    if frame.height >= rows or (not exact and frame.height):
        return frame
    contract, names = makers[0].contract, " + ".join(maker.name for maker in makers)
    rules = [
        rule.words(maker.name)
        for maker in makers
        for rule in maker.column.constraints
        if rule.kind not in {"not_null", "unique"}
    ]
    said = f" Rules: {'; '.join(rules)}." if rules else ""
    raise UnsupportedError(
        f"{contract} cannot have {rows} rows that differ in {names}: {frame.height} were found.{said} "
        f"Ask for fewer rows, as in RandomDataSource(default_data_size={max(frame.height, 1)}), or allow more values."
    )
