"""What a person looks at first in a materialisation: the profile of its rows, and which partitions there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from aligned_dagster.errors import AlignedError
from aligned_dagster.orchestration.coverage import coverage_of
from aligned_dagster.orchestration.coverage_pictures import coverage_picture
from aligned_dagster.orchestration.profile_pictures import profile_picture, profile_table
from aligned_dagster.orchestration.sampling import profile_of
from aligned_dagster.request.explain import explained

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.orchestration.partition_runs import PartitionFindings
    from aligned_dagster.orchestration.partitions import Partitions
    from aligned_dagster.quality.report import ColumnStatistics


def profile_metadata(
    context: dg.AssetExecutionContext,
    view: FeatureView[Any],
    published: pl.LazyFrame,
    figures: Sequence[ColumnStatistics],
    rows: int,
    *,
    most: int,
    whole: bool,
    several: bool,
) -> dict[str, Any]:
    """The profile of what a run published, as a table and as a picture; nothing where it is switched off.

    The rows are published: what cannot be told fails nothing.

    Args:
        context: of the op.
        view: the contract.
        published: the rows.
        figures: of all of them.
        rows: number of them.
        most: the most rows that are read for it; 0 for no profile.
        whole: whether they are all rows of the contract.
        several: whether they are those of several partitions, of each of which something else would hold.
    """
    if not most or not figures:
        return {}
    try:
        with explained(view.name, view.storage.uri):
            found = profile_of(view, published, figures, rows, most=most, whole=whole)
    except AlignedError as error:
        context.log.warning(f"The rows of {view.name} are published, but their profile is not known: {error}")
        return {}
    run = "run_" if several else ""
    return {
        f"{run}profile": profile_table(found),
        f"{run}profile_plots": profile_picture(found),
    }


def coverage_metadata(
    context: dg.AssetExecutionContext,
    view: FeatureView[Any],
    key: dg.AssetKey,
    partitions: Partitions,
    found: Sequence[PartitionFindings],
    *,
    total: int,
    most: int,
) -> dict[str, Any]:
    """Which partitions the contract has now, in words and as a picture.

    The rows are published: what cannot be told fails nothing.

    Args:
        context: of the op.
        view: the contract.
        key: its asset.
        partitions: of the contract.
        found: what the run found in each of its partitions.
        total: number of rows of all partitions.
        most: the most rows that are counted by partition.
    """
    try:
        with explained(view.name, view.storage.uri):
            coverage = coverage_of(
                view, key, partitions, context.instance, found=found, total=total, most=most
            )
    except AlignedError as error:
        context.log.warning(
            f"The rows of {view.name} are published, but not all partitions are known: {error}"
        )
        return {}
    if coverage is None:
        return {}
    return {"partitions_there": coverage.words(), "coverage": coverage_picture(coverage)}
