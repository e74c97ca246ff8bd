"""The rows that were kept aside: what there is of a contract, and publishing or dropping it."""

from __future__ import annotations

import datetime as dt
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from aligned_dagster.contracts.publish import Publication, as_written, completed, publish, reference_frames
from aligned_dagster.errors import AlignedError, AuditError, RequestError, UnsupportedError, did_you_mean
from aligned_dagster.quality.audit import audit, split
from aligned_dagster.sources.quarantine_run import QuarantineRun
from aligned_dagster.sources.source import Writable

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

__all__ = ["QuarantineRun", "Release", "drop", "keeps_quarantine", "quarantines", "read", "release"]


@dataclass(frozen=True)
class Release:
    """What became of rows that were to leave the quarantine.

    Args:
        publication: of those that were published.
        released: how many those are.
        kept: how many still break a rule and stay in the quarantine, under the same run.
    """

    publication: Publication
    released: int
    kept: int


def keeps_quarantine(view: FeatureView[Any]) -> bool:
    """Whether rows of a contract can be kept aside: it is stored where rows can be written."""
    return isinstance(view.storage, Writable)


def quarantines(view: FeatureView[Any]) -> list[QuarantineRun]:
    """The runs that kept rows of a contract aside, the oldest first.

    Raises:
        UnsupportedError: the contract's storage can only be read.
        SourceError: the storage cannot be read.
    """
    return _target(view).quarantine_runs()


def read(view: FeatureView[Any], run_id: str) -> pl.LazyFrame:
    """The rows that one run kept aside: the contract's columns as they were, and the rules that each broke.

    Raises:
        RequestError: no run of that id kept rows aside.
        UnsupportedError: the contract's storage can only be read.
        SourceError: the storage cannot be read.
    """
    found = _target(view).read_quarantine(run_id)
    if found is None:
        known = [run.run_id for run in quarantines(view)]
        raise RequestError(
            f"No run {run_id!r} keeps rows of {view.name!r} aside.{did_you_mean(run_id, known)} "
            f"Runs: {', '.join(known) or 'none'}."
        )
    return found


def release(view: FeatureView[Any], run_id: str, mode: Literal["upsert", "insert"] | None = None) -> Release:
    """Audit the rows of one run again and publish those that keep the contract now; they leave the quarantine.

    Columns that are derived are computed anew. The rows are audited by themselves first, so that no stored row gives way
    to one that breaks a rule, and then, as whatever is published, together with the stored ones. Rows that break a rule
    whose effect is "quarantine" stay where they are. An upsert takes the place of a stored row of the same key, also
    where that was published later.

    Args:
        view: the contract.
        run_id: the run that kept the rows aside.
        mode: "upsert" or "insert"; an upsert if not given, and an insert for a contract without an entity.

    Raises:
        AuditError: a blocking rule is broken, or no row keeps all rules; the quarantine and the stored rows stay as they
            were.
        RequestError: no run of that id kept rows aside.
        UnsupportedError: the contract's storage can only be read, or it is a training set, which does not change.
        SourceError: the storage cannot be read or written.

    >>> from aligned_dagster import InMemorySource, Int32, feature_view, publish
    >>> target = InMemorySource.empty()
    >>> def people(most):
    ...     @feature_view(
    ...         source=InMemorySource.from_values({"id": [1, 2], "age": [40, 130]}),
    ...         materialized_source=target,
    ...     )
    ...     class Person:
    ...         id = Int32().as_entity()
    ...         age = Int32().upper_bound(most, on_violation="quarantine")
    ...
    ...     return Person
    >>> publication = publish(people(120), run_id="monday")
    >>> [(run.run_id, run.rows) for run in quarantines(people(120))]
    [('monday', 1)]
    >>> release(people(150), "monday").released, target.rows.frame["age"].to_list()
    (1, [40, 130])
    """
    rows = read(view, run_id)
    written, target = as_written(view), _target(view)
    if written.is_immutable:
        raise UnsupportedError(
            f"{view.name} is a training set, whose stored rows never change. Build another one, under another name."
        )
    if not written.compiled.groupings:
        rows = rows.drop(written.schema.derivations, strict=False)
    given = completed(written, rows).collect().lazy()
    schema, around = written.stored_request.schema, reference_frames(written, {})
    alone = audit(given, schema, contract=view.name, on_violation=written.on_violation, references=around)
    stay = "Nothing was released; the rows are still in the quarantine."
    if alone.blocking:
        raise AuditError(f"{alone.explain()}\n{stay}", alone)
    parts = split(given, schema, contract=view.name, on_violation=written.on_violation, references=around)
    good, bad = pl.collect_all([parts.good, parts.bad])
    if good.is_empty():
        raise AuditError(f"{alone.explain()}\n{stay} No row keeps all rules.", alone)
    again = f"{run_id}-{uuid.uuid4().hex[:8]}"
    how = mode or ("upsert" if schema.entities else "insert")
    try:
        publication = publish(written, good.lazy(), mode=how, run_id=again, references=around, audit_all=True)
    except AlignedError as error:
        with suppress(AlignedError):
            target.remove_quarantine(again)
        if isinstance(error, AuditError):
            raise AuditError(f"{error.report.explain()}\n{stay}", error.report) from None
        raise
    _keep_only(bad, written, target, run_id)
    return Release(publication, good.height, bad.height)


def drop(
    view: FeatureView[Any],
    run_id: str | None = None,
    *,
    older_than: dt.timedelta | None = None,
    now: dt.datetime | None = None,
) -> list[QuarantineRun]:
    """Remove the rows that one run kept aside, or those of all runs that are old enough, and say which.

    Args:
        view: the contract.
        run_id: the run.
        older_than: in place of a run: the age of the rows in the quarantine from which on they are removed.
        now: the moment to measure from; the present one if not given.

    Raises:
        RequestError: neither a run nor an age is given, or both; or no run of that id kept rows aside.
        UnsupportedError: the contract's storage can only be read.
        SourceError: the storage cannot be read or written.
    """
    if (run_id is None) == (older_than is None):
        raise RequestError("Say which rows to drop: those of one run, or those that are older than so long.")
    target, kept = _target(view), quarantines(view)
    if older_than is not None:
        last = (now or dt.datetime.now(dt.UTC)) - older_than
        gone = [run for run in kept if run.kept_at < last]
    else:
        assert run_id is not None
        read(view, run_id)
        gone = [run for run in kept if run.run_id == run_id]
    for name in dict.fromkeys(run.run_id for run in gone):
        target.remove_quarantine(name)
    return gone


def _keep_only(bad: pl.DataFrame, view: FeatureView[Any], target: Writable, run_id: str) -> None:
    """Put rows in the place of all that a run kept aside, under every schema version; they are there at any time."""
    if bad.is_empty():
        target.remove_quarantine(run_id)
        return
    meanwhile = f"{run_id}-{uuid.uuid4().hex[:8]}"
    target.quarantine(bad.lazy(), view.stored_request, meanwhile)
    target.remove_quarantine(run_id)
    target.quarantine(bad.lazy(), view.stored_request, run_id)
    target.remove_quarantine(meanwhile)


def _target(view: FeatureView[Any]) -> Writable:
    storage: object = view.storage
    if isinstance(storage, Writable):
        return storage
    raise UnsupportedError(
        f"{view.name} is stored in {view.storage.uri}, which can only be read, so no rows of it are kept aside. "
        "Give it a materialized_source."
    )
