"""How old the data of a contract are, measured on the rows themselves and not on the last run."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aligned_dagster.errors import SourceNotFoundError
from aligned_dagster.features.durations import ago

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

Measured = Literal["event timestamp", "created", "modified"]
"""What tells the newest moment: the event timestamp, else the created timestamp, else when the storage changed."""

FreshnessStatus = Literal["fresh", "warn", "stale", "unknown"]


@dataclass(frozen=True)
class Freshness:
    """How old the newest row of a contract is.

    Args:
        newest: the newest moment in the storage, in UTC; None where nothing is stored or nothing tells.
        measured: what it is the newest of.
        age: from then to now; negative where the newest row lies in the future.
        status: "fresh", "warn" after the acceptable freshness, "stale" after the unacceptable one; "unknown" where no
            row tells a time, or where the contract states neither.
    """

    newest: dt.datetime | None
    measured: Measured
    age: dt.timedelta | None
    status: FreshnessStatus

    def _repr_html_(self) -> str:
        from aligned_dagster.contracts.contract_html import freshness_page

        return freshness_page(self)

    @property
    def words(self) -> str:
        """A sentence about the newest row and its age."""
        if self.newest is None or self.age is None:
            return f"The newest {self._what} is not known: no row is stored that tells one."
        apart = ago(self.age)
        if self.measured == "modified":
            return f"The storage changed last at {self.newest:%Y-%m-%d %H:%M:%S} UTC, {apart}."
        return f"The newest {self._what} is {self.newest:%Y-%m-%d %H:%M:%S} UTC, {apart}."

    @property
    def _what(self) -> str:
        return {"created": "created timestamp", "modified": "change of the storage"}.get(
            self.measured, self.measured
        )


class FreshnessByName(dict[str, Freshness]):
    """Name of a contract to its freshness; in a notebook a table."""

    def _repr_html_(self) -> str:
        from aligned_dagster.contracts.contract_html import freshness_table

        return freshness_table(self)


def measure_freshness(view: FeatureView[Any], now: dt.datetime | None = None) -> Freshness:
    """How old the newest stored row of a contract is; of a virtual one, the newest row that it would give.

    The newest event timestamp counts; for a contract without one the newest created timestamp, and without either when
    the storage was changed. A timestamp without a zone is read in UTC.

    Args:
        view: the contract.
        now: the moment to measure from, without a zone in UTC; the present one if not given.

    Raises:
        SourceError: the storage cannot be read. That nothing is there yet is no error: the freshness is unknown.

    >>> from aligned_dagster import EventTimestamp, InMemorySource, Int32, feature_view
    >>> @feature_view(
    ...     source=InMemorySource.from_values({"id": [1], "at": [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)]}),
    ...     acceptable_freshness=dt.timedelta(hours=6),
    ... )
    ... class Reading:
    ...     id = Int32().as_entity()
    ...     at = EventTimestamp()
    >>> found = measure_freshness(Reading, now=dt.datetime(2026, 1, 1, 8, tzinfo=dt.UTC))
    >>> found.status, found.words
    ('warn', 'The newest event timestamp is 2026-01-01 00:00:00 UTC, 8 hours ago.')
    """
    event, created = view.schema.event_timestamp, view.schema.created_timestamp
    column = event or created
    measured: Measured = "modified"
    if column is not None:
        measured = "event timestamp" if event is not None else "created"
    try:
        newest = view.storage.fingerprint().modified if column is None else _newest(view, column)
    except SourceNotFoundError:
        newest = None
    if newest is None:
        return Freshness(None, measured, None, "unknown")
    moment = in_utc(newest)
    age = (dt.datetime.now(dt.UTC) if now is None else in_utc(now)) - moment
    return Freshness(moment, measured, age, _status(view, age))


def in_utc(moment: dt.datetime) -> dt.datetime:
    """A moment in UTC; without a zone it is read in UTC.

    >>> in_utc(dt.datetime(2026, 1, 2)).isoformat()
    '2026-01-02T00:00:00+00:00'
    """
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _newest(view: FeatureView[Any], column: str) -> dt.datetime | None:
    """The greatest value of a column of times, asked of the storage itself where that has the column."""
    if view.materialized_source is not None:
        return view.materialized_source.newest(view.stored_request, column)
    compiled = view.compiled
    if not compiled.groupings and column in (stored.name for stored in compiled.inputs.stored):
        return view.source.newest(view.request, column)
    rows = view.compute(columns=[column])
    found: dt.datetime | None = rows.max().collect(engine="streaming").item()
    return found


def _status(view: FeatureView[Any], age: dt.timedelta) -> FreshnessStatus:
    acceptable, unacceptable = view.acceptable_freshness, view.unacceptable_freshness
    if acceptable is None and unacceptable is None:
        return "unknown"
    if unacceptable is not None and age > unacceptable:
        return "stale"
    return "warn" if acceptable is not None and age > acceptable else "fresh"
