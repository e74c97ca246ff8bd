"""A run over partitions of a contract: whose rows it is about, and what was found in each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator

from aligned_dagster.contracts.publish import reference_frames
from aligned_dagster.errors import RequestError
from aligned_dagster.orchestration.partitions import Partitions
from aligned_dagster.quality.audit import broken_rules_column
from aligned_dagster.quality.probes import plan
from aligned_dagster.request.partition import PartitionSlice, number_of_window
from aligned_dagster.sources.source import Writable

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.publish import Publication
    from aligned_dagster.features.schema import Schema
    from aligned_dagster.quality.report import AuditReport

_WINDOW, _ROWS = "__window", "__rows"


@dataclass(frozen=True)
class PartitionFindings:
    """What a run found in one of its partitions.

    Args:
        key: the partition.
        rows: number of rows that it has now; None where nothing was published.
        aside: number of its rows that were kept aside.
        broken: check to the number of rows that break it, where any do and as far as it is known.
    """

    key: str
    rows: int | None
    aside: int
    broken: Mapping[str, int]

    def words(self, check: str) -> str:
        """How many rows break a rule.

        >>> PartitionFindings("JFK", 104_000, 662, {"tail__reference": 28_564}).words("tail__reference")
        'JFK: 28,564 of 104,662 rows break it'
        """
        bad = self.broken.get(check, 0)
        if self.rows is None:
            return f"{self.key}: {'1 row breaks' if bad == 1 else f'{bad:,} rows break'} it"
        return f"{self.key}: {bad:,} of {self.rows + self.aside:,} rows break it"


@dataclass(frozen=True)
class Part:
    """The partitions of one contract that a run is about.

    Args:
        partitions: of the contract.
        keys: those of the run, in Dagster's order.
    """

    partitions: Partitions
    keys: tuple[str, ...]

    @staticmethod
    def of_run(context: dg.AssetExecutionContext, partitions: Partitions) -> Part:
        """The partitions of a run.

        Raises:
            RequestError: the run names none, or they are no rectangle of windows and keys.
        """
        if not context.has_partition_key and not context.has_partition_key_range:
            raise RequestError(
                f"{context.asset_key.to_user_string()!r} is divided into partitions, and this run names none. "
                "Choose partitions where it is launched; `aligned-dagster materialize` takes all of them."
            )
        found = (context.partition_key,) if context.has_partition_key else tuple(context.partition_keys)
        if not found:
            start, end = context.partition_key_range
            raise RequestError(
                f"There is no partition from {start!r} to {end!r}: is the end before the start?"
            )
        return Part(partitions, found)

    @cached_property
    def slice(self) -> PartitionSlice:
        """Their rows.

        Raises:
            RequestError: they are no rectangle of windows and keys.
        """
        return self.partitions.parts(self.keys)

    @property
    def is_everything(self) -> bool:
        """Whether they are all rows, as those of one schema version are."""
        return self.slice == PartitionSlice()

    def rows_of(self, frame: pl.LazyFrame, schema: Schema) -> dict[str, int]:
        """The number of rows of each partition.

        Args:
            frame: rows of the contract.
            schema: of the contract.
        """
        found = self._counted(frame, schema, ())
        return {key: found.get((key,), 0) for key in self.keys}

    def broken_in(self, bad: pl.LazyFrame, schema: Schema) -> dict[tuple[str, str], int]:
        """The number of rows that break a rule, by partition and check.

        Args:
            bad: rows of the contract with the rules that they break, as `split` gives them.
            schema: of the contract.
        """
        rules = broken_rules_column(schema.names)
        counted = self._counted(bad.explode(rules), schema, (rules,))
        return {(key, check): rows for (key, check), rows in counted.items()}

    def _counted(
        self, frame: pl.LazyFrame, schema: Schema, more: tuple[str, ...]
    ) -> dict[tuple[Any, ...], int]:
        part = self.slice
        columns = list(dict.fromkeys(name for key in part.keys for name, _ in key))
        frame = frame.filter(part.predicate(schema))
        parts = {key: self.partitions.part(key) for key in self.keys}
        starts = sorted({window.start for found in parts.values() for window in found.windows})
        numbers = {start: number for number, start in enumerate(starts)}
        by = [pl.col(name) for name in (*columns, *more)]
        if starts:
            by.append(number_of_window(starts, schema).alias(_WINDOW))
        counts = frame.group_by(by).agg(pl.len().alias(_ROWS)) if by else frame.select(pl.len().alias(_ROWS))
        names: dict[tuple[Any, ...], str] = {}
        for key, one in parts.items():
            number = numbers[one.windows[0].start] if one.windows else None
            names[number, *(value for pairs in one.keys for _, value in pairs)] = key
        found: dict[tuple[Any, ...], int] = Counter()
        for row in counts.collect(engine="streaming").iter_rows(named=True):
            place = (row.get(_WINDOW), *(row[name] for name in columns))
            if place in names:
                found[(names[place], *(row[name] for name in more))] += row[_ROWS]
        return found


def record_by_partition(
    context: dg.AssetExecutionContext, key: dg.AssetKey, metadata: Mapping[str, Mapping[str, Any]]
) -> None:
    """Metadata of each partition's own materialisation.

    `context.add_asset_metadata` lists all partitions of the run for every one of them; this takes them at once.

    Args:
        context: of the op.
        key: the asset.
        metadata: partition to its metadata.
    """
    step = context.get_step_execution_context()
    known = dict(step._metadata_accumulator.per_output_metadata)
    for partition, values in metadata.items():
        known[AssetMetadataHandle(asset_key=key, partition_key=partition)] = values
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata=known)


def found_by_partition(
    view: FeatureView[Any],
    part: Part,
    report: AuditReport,
    publication: Publication | None,
    run_id: str,
    references: Mapping[str, pl.LazyFrame],
) -> list[PartitionFindings]:
    """How many rows each partition has and how many of them break which check, as far as they are still at hand.

    Rows that were kept aside tell it of themselves; those that break a rule which only warns are found among the
    published ones. Of a run that published nothing the warnings are not told apart.

    Args:
        view: the contract.
        part: the partitions.
        report: what the audit found over all of them.
        publication: what was published; None where a rule blocked it.
        run_id: names the rows that were kept aside.
        references: rows of the contracts that this one refers to.
    """
    rows: Mapping[str, int | None] = dict.fromkeys(part.keys)
    if publication is not None:
        one = len(part.keys) == 1
        rows = {part.keys[0]: publication.rows} if one else part.rows_of(view.read(), view.schema)
    kept: Mapping[str, int] = {}
    broken: dict[tuple[str, str], int] = {}
    target: object = view.materialized_source
    if isinstance(target, Writable) and (report.blocking or report.quarantined):
        aside = target.read_quarantine(run_id)
        if aside is not None:
            kept = part.rows_of(aside, view.schema)
            broken |= part.broken_in(aside, view.schema)
    if publication is not None:
        broken |= _warned(view, part, report, references)
    found: dict[str, dict[str, int]] = {key: {} for key in part.keys}
    for (key, check), count in broken.items():
        if count:
            found[key][check] = count
    return [PartitionFindings(key, rows[key], kept.get(key, 0), found[key]) for key in part.keys]


def _warned(
    view: FeatureView[Any], part: Part, report: AuditReport, references: Mapping[str, pl.LazyFrame]
) -> dict[tuple[str, str], int]:
    """The number of published rows that break a rule which only warns, by partition and check."""
    warnings = [outcome.name for outcome in report.warnings if outcome.checked]
    if not warnings:
        return {}
    rows = view.read().filter(part.slice.predicate(view.schema))
    probes, _ = plan(
        rows.collect_schema(),
        view.stored_request.schema,
        contract=view.name,
        on_violation=view.on_violation,
        references={**reference_frames(view, references), view.name: rows},
    )
    return {
        (key, probe.check.name): count
        for probe in probes
        if probe.check.name in warnings
        for key, count in part.rows_of(probe.broken(rows), view.schema).items()
    }
