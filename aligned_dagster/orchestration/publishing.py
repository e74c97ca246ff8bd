"""The inside of a contract's op: audit, report every check, publish or fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from aligned_dagster.contracts.engines import TITLES, engine_of, needs_session
from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.contracts.quarantine import drop
from aligned_dagster.contracts.training_set import TrainingSet
from aligned_dagster.errors import AlignedError, AuditError, SourceError
from aligned_dagster.orchestration.checks import check_results, checks_of
from aligned_dagster.orchestration.metadata import audit_table, partition_metadata, run_metadata
from aligned_dagster.orchestration.model_log import models_heard
from aligned_dagster.orchestration.model_metadata import model_run_metadata, training_run_metadata
from aligned_dagster.orchestration.partition_runs import (
    Part,
    PartitionFindings,
    found_by_partition,
    record_by_partition,
)
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.translator import ContractTranslator
from aligned_dagster.quality.audit import broken_rules_column, statistics
from aligned_dagster.quality.report import SAMPLE_ROWS
from aligned_dagster.sources.source import Writable

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.publish import Publication
    from aligned_dagster.quality.report import AuditReport


def publish_and_report(
    context: dg.AssetExecutionContext,
    view: FeatureView[Any],
    registry: ContractRegistry,
    translator: ContractTranslator,
    *,
    frames: Mapping[str, pl.LazyFrame],
    frame: pl.LazyFrame | None = None,
    data_version: dg.DataVersion | None = None,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    """Publish a contract's rows and yield what Dagster records: every check first, then the materialisation.

    Args:
        context: of the op.
        view: the contract; a virtual one is audited only.
        registry: the contracts by asset key.
        translator: names and describes.
        frames: rows of the contracts that this one reads or refers to, by contract name.
        frame: rows to publish in place of what the contract's source gives.
        data_version: what the rows were computed from; Dagster's own reckoning if not given.

    Raises:
        Failure: a blocking rule is broken, or the rows cannot be read or written. The old rows stay.
    """
    from aligned_dagster.contracts.publish import publish

    key = registry.key_of(view.name)
    audited: list[AuditReport] = []
    publication, problem, part = None, None, None
    references = {name: rows for name, rows in frames.items() if name in view.references()}
    # Another engine reads what is stored by itself, unless an IO manager of the user's does.
    own = frame is None and needs_session(engine_of(view))
    at_hand = {name: rows for name, rows in frames.items() if not own or name in registry.read_by_others}
    try:
        if view.name in registry.partitions:
            part = Part.of_run(context, registry.partitions[view.name])
        with models_heard(context):
            publication = publish(
                view,
                frame,
                frames={name: rows for name, rows in at_hand.items() if name in view.depends_on()},
                references={name: rows for name, rows in at_hand.items() if name in references},
                part=None if part is None or part.is_everything else part.slice,
                run_id=context.run.run_id,
                on_audit=audited.append,
            )
    except AlignedError as error:
        problem = error
    quarantine = publication.quarantine if publication is not None else getattr(problem, "quarantine", None)
    partitions: list[PartitionFindings] = []
    for report in audited:
        if part is not None:
            partitions = found_by_partition(view, part, report, publication, context.run.run_id, references)
        yield from check_results(view, key, report, translator, quarantine, partitions)
    if publication is None:
        assert problem is not None
        raise failure(problem, key) from problem
    if publication.engine != "polars":
        context.log.info(_what_ran_where(view, publication))
    _drop_expired(context, view, translator)
    upstream = {name: frames.get(name, registry.rows(registry.views[name])) for name in view.depends_on()}
    published = view.read(upstream) if view.is_virtual else view.read()
    total = None
    if part is not None:
        total = int(published.select(pl.len()).collect(engine="streaming").item())
        published = published.filter(part.slice.predicate(view.schema))
    report, rows = publication.report, translator.settings.preview_rows
    all_published = publication.quarantine is None
    metadata = run_metadata(
        view,
        publication,
        registry,
        translator,
        preview=published.head(rows).collect() if rows else None,
        aside=_kept_aside(view, publication.quarantine, context.run.run_id),
        figures=report.statistics if all_published else statistics(published, view.stored_request.schema),
        lineage=frame is None,
        partitions=len(partitions),
        total=total,
    )
    metadata |= _learning(context, view, frames, part, translator) if frame is None else {}
    if part is not None:
        record_by_partition(context, key, partition_metadata(partitions, report))
    yield dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=data_version)


def _what_ran_where(view: FeatureView[Any], publication: Publication) -> str:
    title, auditor = TITLES[publication.engine], TITLES[publication.audited_on]
    audited = f"{auditor} audited them"
    if view.is_virtual:
        return f"{title} computed the rows of {view.name}, and {audited}."
    return (
        f"{title} computed the rows of {view.name} and wrote them to files, {audited}, and polars copied them to "
        f"{publication.uri}."
    )


def _learning(
    context: dg.AssetExecutionContext,
    view: FeatureView[Any],
    frames: Mapping[str, pl.LazyFrame],
    part: Part | None,
    translator: ContractTranslator,
) -> dict[str, Any]:
    """What only model contracts and training sets tell. The rows are published: what cannot be told fails nothing."""
    within = None if part is None or part.is_everything else part.slice
    several = part is not None and len(part.keys) > 1
    try:
        if isinstance(view, ModelContract):
            report = translator.settings.features_report
            return model_run_metadata(view, frames, within, report=report, several=several)
        if isinstance(view, TrainingSet):
            return training_run_metadata(view, within, several=several)
    except AlignedError as error:
        context.log.warning(f"The rows of {view.name} are published, but not all is known of them: {error}")
    return {}


def _drop_expired(
    context: dg.AssetExecutionContext, view: FeatureView[Any], translator: ContractTranslator
) -> None:
    """Drop what was kept aside too long ago. The rows are published: what cannot be dropped fails nothing."""
    days = translator.settings.quarantine_days
    if days is None or view.is_virtual:
        return
    try:
        gone = drop(view, older_than=timedelta(days=days))
    except AlignedError as error:
        context.log.warning(f"The quarantine of {view.name} keeps rows longer than {days:g} days: {error}")
        return
    for run in gone:
        context.log.info(f"Dropped {run.rows:,} rows of {run.uri}, kept for more than {days:g} days.")


def failure(error: AlignedError, key: dg.AssetKey) -> dg.Failure:
    """The error as a failure of the run with its own words and no stack of Dagster's before them.

    Only a source that could not be read or written is worth another try.
    """
    metadata: dict[str, Any] = {"contract": key.to_user_string()}
    if isinstance(error, AuditError):
        metadata["audit"] = dg.MetadataValue.md(audit_table(error.report))
        metadata["blocking_rules"] = ", ".join(outcome.name for outcome in error.report.blocking)
        if error.quarantine is not None:
            metadata["quarantine"] = dg.MetadataValue.path(error.quarantine)
    return dg.Failure(description=str(error), metadata=metadata, allow_retries=isinstance(error, SourceError))


def _kept_aside(view: FeatureView[Any], quarantine: str | None, run_id: str) -> pl.DataFrame | None:
    """Some of the rows that this run kept aside: the broken rules, the key, what the rules are about, the rest."""
    target: object = view.materialized_source
    if quarantine is None or not isinstance(target, Writable):
        return None
    rows = target.read_quarantine(run_id)
    if rows is None:
        return None
    rules = broken_rules_column(view.schema.names)
    sample = rows.head(SAMPLE_ROWS).collect()
    broken = set(sample[rules].explode().to_list())
    concerned = [c for check in checks_of(view) if check.name in broken for c in check.columns]
    first = dict.fromkeys(name for name in (*view.schema.key, *concerned) if name in sample.columns)
    return sample.select(pl.col(rules).list.join(", "), *first, pl.exclude(rules, *first))
