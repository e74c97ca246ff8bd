"""What the Dagster UI shows of a contract, at its definition and after every run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from aligned_dagster.contracts.engines import engine_of
from aligned_dagster.features.constraints import (
    Constraint,
    MaxLength,
    MinLength,
    NotNull,
    Reference,
    Unique,
)
from aligned_dagster.orchestration.descriptions import ColumnWords
from aligned_dagster.orchestration.images import docker_config
from aligned_dagster.orchestration.lineage import column_lineage, lineage_table
from aligned_dagster.orchestration.model_metadata import learning_definition_metadata
from aligned_dagster.orchestration.previews import accepted_previews
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.tables import frame_to_markdown, markdown_table
from aligned_dagster.orchestration.translator import ContractTranslator

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.publish import Publication
    from aligned_dagster.features.schema import Column
    from aligned_dagster.orchestration.partition_runs import PartitionFindings
    from aligned_dagster.quality.report import AuditReport, ColumnStatistics


MANY = 50
"""Partitions in a run above which each one's event records only what is short."""


def table_schema(view: FeatureView[Any], words: ColumnWords) -> dg.TableSchema:
    """The columns with their types, descriptions, tags and constraints in words.

    A column that comes unchanged from another contract is described as it is there, if it is not here.
    """
    schema = view.schema
    others = [rule.words() for rule in schema.rules]
    if schema.entities:
        others.insert(0, f"one row for each {' + '.join(schema.key)}")
    return dg.TableSchema(
        columns=[_table_column(column, words.of(view, column.name)) for column in schema.columns],
        constraints=dg.TableConstraints(other=others) if others else None,
    )


def definition_metadata(
    view: FeatureView[Any],
    registry: ContractRegistry,
    translator: ContractTranslator,
    *,
    lineage: bool = True,
) -> dict[str, Any]:
    """Metadata of a contract's definition: schema, lineage, address, version, and the lines that define it.

    Args:
        view: the contract.
        registry: finds the assets that its columns come from.
        translator: adds its own.
        lineage: false where the rows come from a function, whose columns cannot be traced.
    """
    storage, words = view.storage, ColumnWords()
    metadata: dict[str, Any] = {
        "dagster/column_schema": table_schema(view, words),
        "dagster/uri": storage.uri,
        "dagster/storage_kind": storage.kind,
        "schema_version": view.version,
        "contract": view.name,
    }
    if engine_of(view) != "polars":
        metadata["engine"] = engine_of(view)
    metadata |= learning_definition_metadata(view)
    image = docker_config(view)
    if image is not None:
        metadata["docker_image"] = image.image_url
    table = getattr(storage, "table_name", None)
    if table is not None:
        metadata["dagster/table_name"] = table.text
    if lineage and translator.settings.definition_lineage:
        metadata["dagster/column_lineage"] = column_lineage(words.lineage(view), registry)
        metadata["column_lineage"] = dg.MetadataValue.md(lineage_table(view, words.lineage(view), registry))
    if view.location is not None:
        reference = dg.LocalFileCodeReference
        with accepted_previews():
            here = reference(file_path=view.location.file, line_number=view.location.line, label=view.name)
            metadata["dagster/code_references"] = dg.CodeReferencesMetadataValue(code_references=[here])
    return {**metadata, **translator.get_metadata(view)}


def run_metadata(
    view: FeatureView[Any],
    publication: Publication,
    registry: ContractRegistry,
    translator: ContractTranslator,
    *,
    preview: pl.DataFrame | None,
    aside: pl.DataFrame | None,
    figures: Sequence[ColumnStatistics],
    lineage: bool = True,
    partitions: int = 0,
    total: int | None = None,
) -> dict[str, Any]:
    """Metadata of one materialisation: what was published, what the audit found, figures to be plotted.

    A run over several partitions records one event for each of them. What is about all of them together is then
    named `run_...`, so that nobody takes it for the partition's own; of many partitions only what is short is told.
    `dagster/row_count` and `table_size_bytes` are those of the whole table.

    Args:
        view: the contract.
        publication: what was published and audited.
        registry: finds the assets that its columns come from.
        translator: says how many figures are recorded.
        preview: some rows to show.
        aside: some of the rows that were kept aside, with the rules that they broke.
        figures: of the columns, over the published rows.
        lineage: false where the rows come from a function, whose columns cannot be traced.
        partitions: how many the run is about; 0 where the contract has none.
        total: number of rows of all partitions, where the contract has some and it is known.
    """
    report = publication.report
    rows = total if partitions else publication.rows
    metadata: dict[str, Any] = {} if rows is None else {"dagster/row_count": rows}
    metadata["dagster/uri"] = publication.uri or view.storage.uri
    if not view.is_virtual:
        metadata["dagster/storage_kind"] = view.storage.kind
    if publication.engine != "polars":
        metadata |= {"engine": publication.engine, "audited_on": publication.audited_on}
    run = "run_" if partitions > 1 else ""
    if partitions > 1:
        metadata |= {"run_partitions": partitions, "run_row_count": publication.rows}
    if publication.bytes is not None:
        metadata["table_size_bytes" if partitions else "dagster/size_bytes"] = publication.bytes
    metadata[f"{run}checks_passed"] = len(report.outcomes) - len(report.failures)
    metadata[f"{run}checks_failed"] = len(report.failures)
    if publication.quarantine is not None:
        metadata[f"{run}quarantined_rows"] = report.rows - publication.rows
        metadata[f"{run}quarantine"] = dg.MetadataValue.path(publication.quarantine)
    if aside is not None:
        metadata[f"{run}quarantine_preview"] = dg.MetadataValue.md(frame_to_markdown(aside))
    metadata["schema_version"] = view.version
    words = ColumnWords()
    metadata["dagster/column_schema"] = table_schema(view, words)
    if partitions > MANY:
        return metadata
    if preview is not None and preview.width:
        metadata[f"{run}preview"] = dg.MetadataValue.md(frame_to_markdown(preview))
    metadata[f"{run}audit"] = dg.MetadataValue.md(audit_table(report))
    metadata[f"{run}statistics"] = dg.MetadataValue.md(statistics_table(figures))
    if lineage:
        metadata["dagster/column_lineage"] = column_lineage(words.lineage(view), registry)
        metadata["column_lineage"] = dg.MetadataValue.md(lineage_table(view, words.lineage(view), registry))
    if partitions > 1:
        return metadata
    measured = [column for column in figures if column.name not in view.schema.entities]
    return {**metadata, **statistics_metadata(measured, translator.settings.max_statistics)}


def partition_metadata(
    partitions: Sequence[PartitionFindings], report: AuditReport
) -> dict[str, dict[str, Any]]:
    """What the event of each partition tells of that partition alone: its rows, and the checks that it breaks.

    Args:
        partitions: what was found in each.
        report: the audit of all of them; what it could not tell apart by rows counts as broken in each.
    """
    told = {check for part in partitions for check in part.broken}
    everywhere = [outcome for outcome in report.failures if outcome.name not in told]
    found: dict[str, dict[str, Any]] = {}
    for part in partitions:
        broken = [outcome for outcome in report.failures if part.broken.get(outcome.name)]
        failed = len(broken) + len(everywhere)
        found[part.key] = {
            "dagster/partition_row_count": part.rows,
            "checks_passed": len(report.outcomes) - failed,
            "checks_failed": failed,
        }
        if part.aside:
            found[part.key]["quarantined_rows"] = part.aside
        if broken:
            rows = [[outcome.status, outcome.words, part.words(outcome.name)] for outcome in broken]
            found[part.key]["failed_checks"] = dg.MetadataValue.md(
                markdown_table(["status", "rule", "found"], rows)
            )
    return found


def statistics_metadata(figures: Sequence[ColumnStatistics], limit: int) -> dict[str, int | float]:
    """Mean and nulls of numeric columns as plain numbers, which the UI plots over time.

    Args:
        figures: of the columns that are to be plotted.
        limit: the most numbers; a column is left out rather than half recorded.

    >>> from aligned_dagster.quality.report import ColumnStatistics
    >>> statistics_metadata([ColumnStatistics("age", 2, mean=29.69911764), ColumnStatistics("name", 0)], 48)
    {'age.mean': 29.6991, 'age.nulls': 2}
    """
    numbers: dict[str, int | float] = {}
    for column in figures:
        if column.mean is not None and math.isfinite(column.mean) and len(numbers) + 2 <= limit:
            numbers[f"{column.name}.mean"] = float(f"{column.mean:.6g}")
            numbers[f"{column.name}.nulls"] = column.nulls
    return numbers


def statistics_table(figures: Sequence[ColumnStatistics]) -> str:
    """The figures of all columns as a Markdown table."""
    rows = [
        [
            column.name,
            column.nulls,
            *(_short(value) for value in (column.mean, column.std, column.min, column.max)),
        ]
        for column in figures
    ]
    return markdown_table(["column", "nulls", "mean", "std", "min", "max"], rows)


def audit_table(report: AuditReport) -> str:
    """The outcome of every check as a Markdown table, failures first."""
    ordered = sorted(report.outcomes, key=lambda outcome: outcome.passed)
    rows = [[outcome.status, outcome.words, outcome.broken, outcome.note] for outcome in ordered]
    return markdown_table(["status", "rule", "broken rows", "note"], rows)


def _short(value: float | None) -> str:
    """Five significant digits; of larger numbers all digits before the point."""
    if value is None:
        return ""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.5g}"


def _table_column(column: Column, description: str | None) -> dg.TableColumn:
    rules = column.constraints
    others = [_short_words(c, column.name) for c in rules if not isinstance(c, NotNull | Unique)]
    if column.role != "feature":
        others.insert(0, column.role.replace("_", " "))
    return dg.TableColumn(
        name=column.name,
        type=column.dtype.text,
        description=description,
        constraints=dg.TableColumnConstraints(
            nullable=column.nullable, unique=any(isinstance(c, Unique) for c in rules), other=others
        ),
        tags=dict.fromkeys(column.tags, "") or None,
    )


def _short_words(constraint: Constraint, column: str) -> str:
    """The rule without the column's name, which stands beside it: "at least 0"."""
    if isinstance(constraint, Reference):
        return f"in {constraint.view}.{constraint.column}"
    if isinstance(constraint, MinLength | MaxLength):
        return f"at {'least' if isinstance(constraint, MinLength) else 'most'} {constraint.length} long"
    words = constraint.words(column)
    return words.removeprefix(f"{column} must ").removeprefix("be ")
