"""Rows that are made up: a source for tests, for trying a contract out, and for running a project without its data."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl
from pydantic import Field, field_validator

from aligned_dagster.errors import ConfigurationError, UnsupportedError, did_you_mean
from aligned_dagster.features.constraints import Reference
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.point_in_time import point_in_time_join
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform
from aligned_dagster.sources.generation.rows import RandomRows
from aligned_dagster.sources.in_memory_source import InMemorySource
from aligned_dagster.sources.source import DataSource, Fingerprint

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_KNOWN = "__known"


class RandomDataSource(DataSource):
    """Made-up rows that keep every rule of the contract that reads them.

    The same seed gives the same rows in every process and on every platform. What stands beside a key depends on the
    key: an entity has the same values whatever else is asked for. Derived columns are computed of the rows as ever.

    Args:
        default_data_size: how many rows there are, unless values are given.
        seed: decides the rows. Without one it is 0, so that all processes that import a contract see the same rows.
        partial_data: values of some columns, row by row; the other columns are made up beside them. A null where none
            may be is made up too.
        exact_size: whether it is an error if the contract does not allow so many different rows; there are fewer
            otherwise.

    >>> from aligned_dagster import Int32, String, feature_view
    >>> @feature_view(source=RandomDataSource(default_data_size=100, seed=1))
    ... class Passenger:
    ...     passenger_id = Int32().as_entity()
    ...     siblings = Int32().bounded_between(0, 68)
    ...     cabin = String().validate_regex("^[A-F][0-9]{2}$")
    >>> passengers = Passenger.query().all().collect()
    >>> passengers.height, passengers["siblings"].is_between(0, 68).all()
    (100, True)
    """

    type: Literal["random"] = "random"
    default_data_size: int = Field(default=10_000, ge=0)
    seed: int | None = None
    partial_data: InMemorySource | None = None
    exact_size: bool = True

    @staticmethod
    def with_values(values: Mapping[str, Sequence[Any]], seed: int | None = None) -> RandomDataSource:
        """As many rows as there are values, with the columns that are not given made up.

        Args:
            values: column name to its values, all of the same length.
            seed: decides the other columns.

        Raises:
            ConfigurationError: columns differ in length, or one mixes types that have nothing in common.
        """
        return RandomDataSource(partial_data=InMemorySource.from_values(values), seed=seed)

    @field_validator("partial_data", mode="before")
    @classmethod
    def _as_source(cls, value: Any) -> Any:
        if isinstance(value, pl.DataFrame | pl.LazyFrame):
            return InMemorySource(value)
        if isinstance(value, Mapping) and "type" not in value:
            return InMemorySource.from_values(value)
        return value

    __hash__ = DataSource.__hash__

    @property
    def uri(self) -> str:
        """The seed, the number of rows and a digest of the values: all that the rows depend on."""
        values = f",values={self._digest()[:12]}" if self.partial_data is not None else ""
        return f"random://random rows={self.size},seed={self.seed or 0}{values}"

    @property
    def kind(self) -> str:
        """random."""
        return "random"

    @property
    def label(self) -> str:
        """The number of rows and the seed."""
        return f"{self.size} random rows (seed {self.seed or 0})"

    @property
    def size(self) -> int:
        """How many rows there are."""
        values = self._values
        return self.default_data_size if values is None else values.height

    def all_data(self, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
        """See `DataSource.all_data`. Rows are made when the frame is collected, once.

        Raises:
            UnsupportedError: upon collection, where no rows were found that keep the contract.
            ConfigurationError: upon collection, where values are given for a column that the contract lacks.
        """
        frame = _deferred(lambda: self._rows(request), request.polars)
        return frame if limit is None else frame.head(limit)

    def all_between_dates(
        self, request: RetrievalRequest, start_date: dt.date, end_date: dt.date
    ) -> pl.LazyFrame:
        """See `DataSource.all_between_dates`. A period has rows of its own, as many as there are in all.

        Where the event timestamps are given as values, the rows of the period are those among them.
        """
        name = request.event_timestamp
        if name is None or name in self._given_names:
            return super().all_between_dates(request, start_date, end_date)
        zone = request.schema.column(name).dtype.time_zone or request.zone
        naive = request.schema.column(name).dtype.time_zone is None
        period = tuple(
            _micros(moment, request.zone if not naive else zone, naive=naive, end=end)
            for moment, end in ((start_date, False), (end_date, True))
        )
        return _deferred(lambda: self._rows(request, (period[0], period[1])), request.polars)

    @property
    def tells_times(self) -> bool:
        """See `DataSource.tells_times`. Values that are made up for an entity have no time."""
        return False

    def features_for(
        self, facts: pl.LazyFrame, request: RetrievalRequest, *, fact_timestamp: str | None = None
    ) -> pl.LazyFrame:
        """See `DataSource.features_for`. An entity that has no row here gets values of its own, made up for it.

        An entity among the given values gets those, as they were known at the fact's time.
        """
        asked = facts.collect_schema()
        keys = {name: request.schema.column(name).dtype.polars for name in request.entities}
        new = [name for name in request.columns if name not in keys]
        schema = {**asked, **{name: keys[name] for name in keys if name in asked}}
        schema |= {name: request.schema.column(name).dtype.polars for name in new}
        return _deferred(lambda: self._features(facts, request, new, fact_timestamp), schema)

    def fingerprint(self) -> Fingerprint:
        """See `DataSource.fingerprint`."""
        version = hashlib.sha256(f"{self.uri} {self._digest()}".encode()).hexdigest()[:32]
        return Fingerprint(version, rows=self.size)

    # --- rows -------------------------------------------------------------------------------------------

    @property
    def _values(self) -> pl.DataFrame | None:
        found = None if self.partial_data is None else self.partial_data.data
        return None if found is None or not found.width else found

    @property
    def _given_names(self) -> frozenset[str]:
        return frozenset() if self._values is None else frozenset(self._values.columns)

    def _digest(self) -> str:
        return "" if self.partial_data is None else self.partial_data.fingerprint().data_version

    def _rows(self, request: RetrievalRequest, period: tuple[int, int] | None = None) -> pl.DataFrame:
        given = self._given(request)
        maker = self._maker(request, period)
        made = maker.make(self.size, given, request.columns)
        return made.select(request.columns)

    def _given(self, request: RetrievalRequest) -> pl.DataFrame | None:
        """The given values, as the contract has them."""
        values = self._values
        if values is None:
            return None
        for name in values.columns:
            if name not in request.schema:
                promise = request.promise
                derived = promise is not None and name in promise
                raise ConfigurationError(
                    f"RandomDataSource.with_values got the column {name!r}, which {request.name!r} "
                    + ("derives. Give the columns that it is derived from." if derived else "does not have.")
                    + ("" if derived else did_you_mean(name, request.schema.names))
                )
        stored = request.project(values.columns)
        return conform(values.lazy(), stored, source_label="RandomDataSource.with_values").collect()

    def _maker(self, request: RetrievalRequest, period: tuple[int, int] | None = None) -> RandomRows:
        promise = request.promise
        if promise is None:
            promise = Schema(request.schema.columns, request.schema.rules)
        return RandomRows(
            contract=request.name,
            stored=request.schema.columns,
            promise=promise,
            seed=self.seed or 0,
            values_of=lambda rule: _values_of(rule, request),
            exact=self.exact_size,
            period=period,
            size=self.size,
        )

    def _features(
        self, facts: pl.LazyFrame, request: RetrievalRequest, new: list[str], fact_timestamp: str | None
    ) -> pl.DataFrame:
        entities = list(request.entities)
        keys = {name: request.schema.column(name).dtype.polars for name in entities}
        entity_request = request.project(entities)
        asked = facts.collect()
        known_as = conform(asked.lazy().select(entities), entity_request, source_label="the facts").collect()
        asked = asked.with_columns(known_as.get_columns())
        times = [name for name in (request.event_timestamp, request.created_timestamp) if name]
        rows = self._rows(request.project(dict.fromkeys([*entities, *times, *new])))
        found = point_in_time_join(
            asked.lazy(),
            rows.lazy().with_columns(pl.lit(True).alias(_KNOWN)),
            entities=entities,
            event_timestamp=request.event_timestamp,
            created_timestamp=request.created_timestamp,
            fact_timestamp=fact_timestamp,
            columns=[*new, _KNOWN],
            zone=request.zone,
        ).collect()
        strange = pl.col(_KNOWN).is_null() & pl.all_horizontal(
            pl.col(name).is_not_null() for name in entities
        )
        if self._given_names.issuperset(entities):
            own = rows.select(entities).unique().with_columns(pl.lit(True).alias("__own"))
            found = found.join(own, on=entities, how="left", maintain_order="left")
            strange &= pl.col("__own").is_null()
        others = found.filter(strange).select(entities).unique(maintain_order=True)
        if others.height and new:
            maker = replace(self._maker(request), exact=True)
            made = maker.make(others.height, others.cast(keys), new).select(*entities, *new)  # type: ignore[arg-type]  # a dict of dtypes will do
            found = _beside(found, made, entities, new, strange, request, fact_timestamp)
        return found.select(*asked.columns, *new)


def _beside(
    found: pl.DataFrame,
    made: pl.DataFrame,
    entities: list[str],
    new: list[str],
    strange: pl.Expr,
    request: RetrievalRequest,
    fact_timestamp: str | None,
) -> pl.DataFrame:
    """The made-up values in the rows of the entities that have none."""
    beside = made.rename({name: f"__made {name}" for name in new})
    joined = found.with_columns(strange.alias("__strange")).join(
        beside, on=entities, how="left", maintain_order="left"
    )
    values = {name: pl.col(f"__made {name}") for name in new}
    time = request.event_timestamp
    if fact_timestamp and time in values:
        asked = pl.col(fact_timestamp).cast(request.schema.column(str(time)).dtype.polars, strict=False)
        values[time] = pl.min_horizontal(values[time], asked)
    chosen = {name: pl.when("__strange").then(values[name]).otherwise(name) for name in new}
    return joined.with_columns(**chosen)


def _values_of(rule: Reference, request: RetrievalRequest) -> pl.Series:
    """The values that stand in the column of another view."""
    view: Any = request.referenced.get(rule.view) or rule.owner
    if view is None:
        raise UnsupportedError(
            f"Random rows of {request.name!r} refer to {rule.view}.{rule.column}, and that contract is not at hand. "
            "Read the contract through a store that has both."
        )
    rows: pl.DataFrame = view.read(columns=[rule.column]).collect()
    return rows.to_series().drop_nulls().unique(maintain_order=True)


def _deferred(make: Callable[[], pl.DataFrame], schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """A lazy frame whose rows are made when it is collected first, and kept for whoever else collects it."""
    lock = threading.Lock()
    made: list[pl.DataFrame] = []

    def once() -> pl.DataFrame:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return pl.defer(once, schema=dict(schema))


def _micros(moment: dt.date, zone: str, *, naive: bool, end: bool) -> int:
    """A moment, or the start or end of a day, in microseconds since 1970; of a naive column by its own clock."""
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime.combine(moment, dt.time.max if end else dt.time.min)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    if naive:
        moment = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=dt.UTC)
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)
