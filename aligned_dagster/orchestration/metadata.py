"""What the Dagster UI shows of a contract, at its definition and after every run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from aligned_dagster.features.constraints import Constraint, NotNull, Unique
from aligned_dagster.features.expression import text
from aligned_dagster.orchestration.images import docker_config
from aligned_dagster.orchestration.lineage import column_lineage, lineage_table
from aligned_dagster.orchestration.previews import accepted_previews
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.tables import frame_to_markdown, markdown_table
from aligned_dagster.orchestration.translator import ContractTranslator

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.publish import Publication
    from aligned_dagster.features.schema import Column, Schema
    from aligned_dagster.quality.report import AuditReport, ColumnStatistics


MANY = 50
"""Partitions in a run above which each one's event records only what is short."""


def table_schema(schema: Schema) -> dg.TableSchema:
    """The columns with their types, descriptions, tags and constraints in words."""
    others = [rule.words() for rule in schema.rules]
    if schema.entities:
        others.insert(0, f"one row for each {' + '.join(schema.key)}")
    return dg.TableSchema(
        columns=[_table_column(column) for column in schema.columns],
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
    storage = view.storage
    metadata: dict[str, Any] = {
        "dagster/column_schema": table_schema(view.schema),
        "dagster/uri": storage.uri,
        "dagster/storage_kind": storage.kind,
        "schema_version": view.version,
        "contract": view.name,
    }
    image = docker_config(view)
    if image is not None:
        metadata["docker_image"] = image.image_url
    table = getattr(storage, "table_name", None)
    if isinstance(table, str):
        metadata["dagster/table_name"] = table
    if lineage and translator.settings.definition_lineage:
        metadata["dagster/column_lineage"] = column_lineage(view, registry)
        metadata["column_lineage"] = dg.MetadataValue.md(lineage_table(view, registry))
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
    lineage: bool = True,
    partitions: int = 0,
) -> dict[str, Any]:
    """Metadata of one materialisation: what was published, what the audit found, figures to be plotted.

    Args:
        view: the contract.
        publication: what was published and audited.
        registry: finds the assets that its columns come from.
        translator: says how many figures are recorded.
        preview: some rows to show.
        aside: some of the rows that were kept aside, with the rules that they broke.
        lineage: false where the rows come from a function, whose columns cannot be traced.
        partitions: how many the run is about; 0 where the contract has none. Each of several has its own event,
            so that what is long is left out of many, and figures over all of them are not plotted as those of each.
    """
    report = publication.report
    metadata: dict[str, Any] = {} if partitions else {"dagster/row_count": publication.rows}
    if publication.bytes is not None:
        metadata["dagster/size_bytes"] = publication.bytes
    metadata["dagster/uri"] = publication.uri or view.storage.uri
    metadata["checks_passed"] = len(report.outcomes) - len(report.failures)
    metadata["checks_failed"] = len(report.failures)
    if publication.quarantine is not None:
        metadata["quarantined_rows"] = report.rows - publication.rows
        metadata["quarantine"] = dg.MetadataValue.path(publication.quarantine)
    if aside is not None:
        metadata["quarantine_preview"] = dg.MetadataValue.md(frame_to_markdown(aside))
    metadata["schema_version"] = view.version
    metadata["dagster/column_schema"] = table_schema(view.schema)
    if partitions > MANY:
        return metadata
    if preview is not None and preview.width:
        metadata["preview"] = dg.MetadataValue.md(frame_to_markdown(preview))
    metadata["audit"] = dg.MetadataValue.md(audit_table(report))
    metadata["statistics"] = dg.MetadataValue.md(statistics_table(report))
    if lineage:
        metadata["dagster/column_lineage"] = column_lineage(view, registry)
        metadata["column_lineage"] = dg.MetadataValue.md(lineage_table(view, registry))
    if partitions > 1:
        return {**metadata, "partitions_in_run": partitions}
    return {**metadata, **statistics_metadata(report, translator.settings.max_statistics)}


def statistics_metadata(report: AuditReport, limit: int) -> dict[str, int | float]:
    """Nulls, mean, min and max of numeric columns as plain numbers, which the UI plots over time.

    Args:
        report: the audit that measured them.
        limit: the most figures; a column is left out rather than half recorded.
    """
    figures: dict[str, int | float] = {}
    for column in report.statistics:
        numbers = _figures(column)
        if len(numbers) > 1 and len(figures) + len(numbers) <= limit:
            figures |= {f"{column.name}.{name}": value for name, value in numbers.items()}
    return figures


def statistics_table(report: AuditReport) -> str:
    """The figures of all columns as a Markdown table."""
    rows = [
        [
            column.name,
            column.nulls,
            *(_short(value) for value in (column.mean, column.std, column.min, column.max)),
        ]
        for column in report.statistics
    ]
    return markdown_table(["column", "nulls", "mean", "std", "min", "max"], rows)


def audit_table(report: AuditReport) -> str:
    """The outcome of every check as a Markdown table, failures first."""
    ordered = sorted(report.outcomes, key=lambda outcome: outcome.passed)
    rows = [[outcome.status, outcome.words, outcome.broken, outcome.note] for outcome in ordered]
    return markdown_table(["status", "rule", "broken rows", "note"], rows)


def _figures(column: ColumnStatistics) -> Mapping[str, int | float]:
    measured = {"mean": column.mean, "min": column.min, "max": column.max}
    kept = {
        name: float(value) for name, value in measured.items() if value is not None and math.isfinite(value)
    }
    return {"nulls": column.nulls, **kept}


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _table_column(column: Column) -> dg.TableColumn:
    rules = column.constraints
    others = [_short_words(c, column.name) for c in rules if not isinstance(c, NotNull | Unique)]
    if column.role != "feature":
        others.insert(0, column.role.replace("_", " "))
    return dg.TableColumn(
        name=column.name,
        type=column.dtype.text,
        description=column.description or _derived_words(column),
        constraints=dg.TableColumnConstraints(
            nullable=column.nullable, unique=any(isinstance(c, Unique) for c in rules), other=others
        ),
        tags=dict.fromkeys(column.tags, "") or None,
    )


def _derived_words(column: Column) -> str | None:
    """What a derived column is computed as, where nobody said what it means."""
    return None if column.derivation is None else f"= {text(column.derivation, 200)}"


def _short_words(constraint: Constraint, column: str) -> str:
    """The rule without the column's name, which stands beside it: "at least 0"."""
    words = constraint.words(column)
    return words.removeprefix(f"{column} must ").removeprefix("be ")
