"""Which published rows a profile is made of: few enough that it costs little beside the materialisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.quality.profile import BINS, MOST_COLUMNS, Profile, profile, sampled_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.quality.report import ColumnStatistics

BLOCKS = BINS
"""From how many places of Parquet files rows are taken: of a column in order, each bin of its distribution gets some."""
READ_WHOLE = 1_000_000
"""The most rows of Parquet files that are read to take every n-th of them."""


def profile_of(
    view: FeatureView[Any],
    published: pl.LazyFrame,
    figures: Sequence[ColumnStatistics],
    rows: int,
    *,
    most: int,
    whole: bool,
) -> Profile:
    """The profile of published rows.

    Of many rows in Parquet files every n-th is taken; of very many, blocks from everywhere, to which a reader leaps, and
    every n-th event timestamp, in whose order rows are often stored. Of other storage the first ones are.

    Args:
        view: the contract.
        published: its rows, or those of the partitions that the run is about.
        figures: of all these rows, as an audit takes them.
        rows: number of them.
        most: the most rows that are read.
        whole: whether they are all rows of the contract.

    Raises:
        SourceError: they cannot be read.
    """
    schema = published.collect_schema()
    told = published.select(sampled_columns({one.name: schema[one.name] for one in figures[:MOST_COLUMNS]}))
    if rows <= most or view.is_virtual or view.storage.kind != "parquet" or not whole:
        return profile(told.head(most).collect(engine="streaming"), figures, rows, first=True)
    step = -(-rows // most)
    if rows <= READ_WHOLE:
        return profile(told.gather_every(step).collect(engine="streaming"), figures, rows)
    block = most // BLOCKS
    starts = [(2 * number + 1) * rows // (2 * BLOCKS) - block // 2 for number in range(BLOCKS)]
    # One by one: in one query polars would read all rows once, and take the blocks of those.
    blocks = pl.concat(told.slice(start, block).collect(engine="streaming") for start in starts)
    sample = dict(blocks.to_dict())
    time = view.schema.event_timestamp
    if time in sample:
        sample[time] = told.select(time).gather_every(step).collect(engine="streaming")[time]
    return profile(sample, figures, rows)
