"""Write, audit, publish: rows reach a materialized source only after they kept the contract."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.contracts.engines import engine_of, needs_session
from aligned_dagster.contracts.immutable import is_stored_already
from aligned_dagster.contracts.staging_on import RowsOn, rows_on
from aligned_dagster.contracts.window_keys import partition_condition
from aligned_dagster.errors import AuditError, UnsupportedError
from aligned_dagster.features.compiling import Compiled
from aligned_dagster.features.plan import with_derived
from aligned_dagster.quality.audit import Split, audit, split
from aligned_dagster.quality.probes import Around
from aligned_dagster.quality.report import AuditReport
from aligned_dagster.request.explain import explained
from aligned_dagster.request.partition import PartitionSlice
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform
from aligned_dagster.sources.source import Published, Staged, Writable, WriteMode

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.features.engines.names import Engine

Frames = Mapping[str, pl.LazyFrame]


@dataclass(frozen=True)
class Publication:
    """What was audited and, unless the view is virtual, published.

    Args:
        report: the audit of all rows, those that were kept aside included; after an insert or upsert into a directory
            of partitions, of those of the partitions that changed.
        published: what was written; None for a virtual view.
        quarantine: URI of the rows that were kept aside; None where there are none.
        counted: number of rows that readers see now, or what counts them.
        bytes: size of what is stored; None where nothing is, or where the storage does not tell.
        uri: where it is stored, or what a virtual view reads.
        engine: what computed the rows; polars where they were given.
        audited_on: what audited them.
    """

    report: AuditReport
    published: Published | None
    quarantine: str | None
    counted: int | Callable[[], int]
    bytes: int | None
    uri: str
    engine: Engine = "polars"
    audited_on: Engine = "polars"

    @cached_property
    def rows(self) -> int:
        """Number of rows that readers see now. Where only some partitions changed, it is counted when it is asked for."""
        return self.counted if isinstance(self.counted, int) else self.counted()


def publish(
    view: FeatureView[Any],
    frame: pl.LazyFrame | None = None,
    *,
    frames: Frames | None = None,
    mode: WriteMode = "overwrite",
    part: PartitionSlice | None = None,
    run_id: str | None = None,
    references: Frames | None = None,
    on_audit: Callable[[AuditReport], None] | None = None,
    audit_all: bool = False,
) -> Publication:
    """Compute a view (or take given rows), audit it, and publish it if no blocking rule is broken.

    Rows that break a rule of `on_violation="quarantine"` are kept aside beside the data and the others published.
    If a blocking rule is broken nothing is published: the old rows stay, the bad rows are kept aside. Of a training
    set a partition is published once: the same rows again are not written, and others are an error.

    An insert or upsert into a directory of partitions audits every row of the partitions that it changes, and of the
    others just the columns of rules that they can break as well: a key or a unique column that may stand in several
    partitions, a rule for a share of the rows. Rows that stay as they are were audited when they were written.

    The view's engine computes the rows, and audits them; those of an insert or upsert polars audits, beside the rows that
    stay. Rows that are given are a matter of polars.

    Args:
        view: the contract. A virtual one is audited and nothing is written.
        frame: rows to publish in place of computing them; stored columns suffice, derived ones are added.
        frames: rows of upstream views that are at hand, by name.
        mode: "overwrite", "insert" or "upsert"; a part is always replaced.
        part: the partitions to compute, audit and replace; everything if not given.
        run_id: names the quarantine; a random one if not given.
        references: rows of the views that references point to; read from their storage if not given.
        on_audit: called once with the report, before anything is published or raised.
        audit_all: whether to audit the rows of partitions that do not change too, as after a rule became stricter.

    Raises:
        AuditError: a blocking rule is broken, or every row would be kept aside; it carries the report and the URI of
            the quarantine.
        SourceError: a source could not be read or written; the old rows are still there.
        PublishError: a training set has other rows in one of the partitions.
    """
    run, engine = run_id or uuid.uuid4().hex[:12], engine_of(view)
    here = _Here(view, dict(references or {}), frames)
    if frame is None and needs_session(engine):
        with rows_on(view, engine, frames=frames, part=part, references=references) as computed:
            return _publish(view, computed, here, mode, part, run=run, on_audit=on_audit, audit_all=audit_all)
    rows = view.compute(frames, part=part) if frame is None else completed(view, frame)
    return _publish(view, rows, here, mode, part, run=run, on_audit=on_audit, audit_all=audit_all)


def _publish(
    view: FeatureView[Any],
    computed: pl.LazyFrame | RowsOn,
    here: _Here,
    mode: WriteMode,
    part: PartitionSlice | None,
    *,
    run: str,
    on_audit: Callable[[AuditReport], None] | None,
    audit_all: bool,
) -> Publication:
    """Audit and publish rows; see `publish`.

    Args:
        view: the contract.
        computed: rows of polars, or of an engine.
        here: audits with polars.
        mode: "overwrite", "insert" or "upsert".
        part: the partitions that they are.
        run: names the quarantine.
        on_audit: called once with the report.
        audit_all: whether to audit the rows of partitions that do not change too.
    """
    if view.materialized_source is None:
        if isinstance(computed, RowsOn):
            return _audited_only(view, computed.audit(), on_audit, computed.engine)
        within = computed if part is None else computed.filter(part.predicate(view.schema))
        return _audited_only(view, here.audit(within), on_audit, "polars")
    if not isinstance(view.materialized_source, Writable):
        raise UnsupportedError(
            f"{view.name} is materialized to {view.materialized_source!r}, which can only be read."
        )
    target, request = view.materialized_source, view.stored_request
    where = None if part is None else partition_condition(view, part)
    if where is None and view.is_immutable:  # other writers wait from before what is stored is looked at
        where = pl.lit(True)
    rows = computed if isinstance(computed, pl.LazyFrame) else computed.frame()
    # What is inserted or upserted keeps rules only together with the rows that stay, which polars reads.
    there = computed if isinstance(computed, RowsOn) and (mode == "overwrite" or where is not None) else None
    engine: Engine = "polars" if isinstance(computed, pl.LazyFrame) else computed.engine
    auditor: Engine = "polars" if there is None else there.engine

    def done(
        report: AuditReport, published: Published, quarantine: str | None, rows: int | Callable[[], int]
    ) -> Publication:
        return Publication(
            report, published, quarantine, rows, published.bytes, published.uri, engine, auditor
        )

    with _stage(target, rows, request, mode, where) as staged:
        whole = audit_all and where is None
        beyond = None if whole else staged.around
        seen = staged.frame if whole else staged.part
        report = here.audit(seen, beyond) if there is None else there.audit()
        quarantine = None
        suspects = {outcome.name for outcome in (*report.blocking, *report.quarantined)}
        is_part = not whole and suspects.isdisjoint(report.beyond)
        rows_apart = None
        if _has_rows_to_keep_aside(report):
            checked = staged.part if is_part else staged.frame
            rows_apart = here.split(checked, report) if there is None else there.split(report)
            quarantine = target.quarantine(rows_apart.bad, request, run)
        if on_audit is not None:
            on_audit(report)
        _raise_if_blocked(view, report, quarantine)
        if rows_apart is None:
            if view.is_immutable and is_stored_already(view, staged.part, part):
                return done(report, _as_stored(view), None, report.rows)
            published = staged.publish()
            rows_now = report.rows if beyond is None else partial(_stored_rows, view)
            return done(report, published, quarantine, rows_now)
        good = rows_apart.good
        with explained(view.name, view.storage.uri):
            kept = _count(good)
            others = beyond if is_part else None
            empty = kept == 0 and part is None and (others is None or _count(others.rows) == report.rows)
        if empty:
            raise AuditError(
                f"{report.explain()}\nEvery row breaks a rule, so nothing was published and the old rows are still there. "
                f"Is the rule right? The rows are in {quarantine}.",
                report,
                quarantine,
            )
        if view.is_immutable and is_stored_already(view, good, part):
            return done(report, _as_stored(view), quarantine, kept)
        if is_part:
            staged.keep_part(good)
        else:
            staged.keep(good)
        published = staged.publish()
        return done(report, published, quarantine, kept if others is None else partial(_stored_rows, view))


def write(view: FeatureView[Any], rows: pl.LazyFrame, mode: WriteMode) -> Publication:
    """Publish given rows to where a view is stored: its materialized source, or its source if that can be written.

    Raises:
        UnsupportedError: the view's storage can only be read.
        AuditError: a blocking rule is broken.
    """
    return publish(as_written(view), rows, mode=mode)


def as_written(view: FeatureView[Any]) -> FeatureView[Any]:
    """The view as rows are published to it: where none is materialized, its source takes their place.

    Raises:
        UnsupportedError: the view's storage can only be read.
    """
    if view.materialized_source is not None:
        return view
    if not isinstance(view.source, Writable):
        raise UnsupportedError(
            f"{view.name} reads {view.source!r}, which cannot be written. Give it a materialized_source."
        )
    if view.compiled.groupings:
        raise UnsupportedError(f"{view.name} aggregates its source; rows are written to what it reads.")
    stored = view.compiled.inputs.select(column.name for column in view.compiled.inputs.stored)
    return replace(view, compiled=Compiled(stored, stored), materialized_source=view.source)


def completed(view: FeatureView[Any], frame: pl.LazyFrame) -> pl.LazyFrame:
    """Given rows with all columns of the contract: stored ones conformed, derived ones computed where they are absent."""
    given = frame.collect_schema()
    schema = view.schema
    derivations = {name: tree for name, tree in schema.derivations.items() if name not in given}
    if view.compiled.groupings:
        derivations = {}
    names = [name for name in schema.names if name not in derivations]
    request = RetrievalRequest(view.name, schema.as_stored()).project(names)
    rows = conform(frame, request, source_label=f"the rows given for {view.name}", stored=given)
    return with_derived(rows, derivations).select(schema.names)


def reference_frames(
    view: FeatureView[Any], known: Frames, frames: Frames | None = None
) -> dict[str, pl.LazyFrame]:
    """The rows of every view that a reference of this one points to, by name."""
    found = dict(known)
    for name in view.references():
        if name not in found and name != view.name:
            found[name] = view.upstream_views[name].read(frames)
    return found


@dataclass(frozen=True)
class _Here:
    """Audits rows with polars.

    Args:
        view: the contract.
        known: rows of the views that references point to, where they are at hand.
        frames: rows of upstream views that are at hand.
    """

    view: FeatureView[Any]
    known: Frames
    frames: Frames | None

    @cached_property
    def references(self) -> Frames:
        return reference_frames(self.view, self.known, self.frames)

    def audit(self, rows: pl.LazyFrame, around: Around | None = None) -> AuditReport:
        return audit(
            rows,
            self.view.stored_request.schema,
            contract=self.view.name,
            on_violation=self.view.on_violation,
            references=self.references,
            around=around,
        )

    def split(self, rows: pl.LazyFrame, report: AuditReport) -> Split:
        """The rows that break what the audit found broken, and the others."""
        return split(
            rows,
            self.view.stored_request.schema,
            contract=self.view.name,
            on_violation=self.view.on_violation,
            references=self.references,
            include_blocking=bool(report.blocking),
            checks=[outcome.name for outcome in (*report.blocking, *report.quarantined)],
        )


def _audited_only(
    view: FeatureView[Any],
    report: AuditReport,
    on_audit: Callable[[AuditReport], None] | None,
    engine: Engine,
) -> Publication:
    if on_audit is not None:
        on_audit(report)
    _raise_if_blocked(view, report, None)
    return Publication(report, None, None, report.rows, None, view.source.uri, engine, engine)


def _stage(
    target: Writable, rows: pl.LazyFrame, request: RetrievalRequest, mode: WriteMode, where: pl.Expr | None
) -> Staged:
    if where is None:
        return target.stage(rows, request, mode)
    return target.stage(rows, request, "replace", where=where)


def _has_rows_to_keep_aside(report: AuditReport) -> bool:
    """Whether rows break a rule; where a blocking rule could not even be computed, none can be told from the others."""
    if any(not outcome.checked for outcome in report.blocking):
        return False
    return bool(report.blocking or report.quarantined)


def _raise_if_blocked(view: FeatureView[Any], report: AuditReport, quarantine: str | None) -> None:
    if not report.blocking:
        return
    kept = f" The bad rows are in {quarantine}." if quarantine else ""
    nothing = (
        "Nothing was published; the old rows are still there."
        if not view.is_virtual
        else "It is computed when read."
    )
    raise AuditError(f"{report.explain()}\n{nothing}{kept}", report, quarantine)


def _as_stored(view: FeatureView[Any]) -> Published:
    """What is there already, in place of what a write would have left behind."""
    there = view.storage.fingerprint()
    return Published(view.storage.uri, there.bytes, there.rows)


def _count(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect(engine="streaming").item())


def _stored_rows(view: FeatureView[Any]) -> int:
    """The rows that are stored, by the footers of their files."""
    with explained(view.name, view.storage.uri):
        return _count(view.storage.all_data(view.stored_request))
