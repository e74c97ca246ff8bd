"""A store of contracts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.contracts.connections import (
    Config,
    Connection,
    Names,
    configs_of,
    connections_of,
    plain,
    with_connections,
)
from aligned_dagster.contracts.discovery import contract_files, views_in
from aligned_dagster.contracts.engines import on_engine
from aligned_dagster.contracts.facts import Facts, facts_frame
from aligned_dagster.contracts.feature_view import FeatureView, view_of
from aligned_dagster.contracts.freshness import FreshnessByName
from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.contracts.model_query import ModelQuery
from aligned_dagster.contracts.retrieval import (
    EntityColumns,
    FeatureRefs,
    FeaturesJob,
    fact_time,
    features_job,
    wanted_of,
)
from aligned_dagster.contracts.serialisation import needs, view_from_json, view_to_json
from aligned_dagster.errors import (
    ContractError,
    DuplicateNameError,
    RequestError,
    UnknownContractError,
    did_you_mean,
)
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.names import Engine, check_engine
from aligned_dagster.features.location import at
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.job import RetrievalJob
from aligned_dagster.request.waiting import awaited
from aligned_dagster.sources import publishing
from aligned_dagster.sources.engines.spark_config import SparkConfig
from aligned_dagster.sources.frame import FrameSource
from aligned_dagster.sources.in_memory_source import InMemorySource

if TYPE_CHECKING:
    from aligned_dagster.contracts.lineage_drawing import LineageDrawing


class ContractStore:
    """Contracts by name.

    >>> from aligned_dagster import ContractStore, InMemorySource, Int32, feature_view
    >>> @feature_view(source=InMemorySource.from_values({"id": [1, 2]}))
    ... class Person:
    ...     id = Int32().as_entity()
    >>> store = ContractStore([Person])
    >>> other = store.update_source_for(Person, InMemorySource.from_values({"id": [3]}))
    >>> store.execute_sql("SELECT max(id) AS most FROM person").collect().item()
    2
    >>> other.feature_view("person").all().collect()["id"].to_list()
    [3]
    """

    def __init__(self, views: Iterable[FeatureView[Any]] = ()) -> None:
        self._views: dict[str, FeatureView[Any]] = {}
        self._names: Names = ()
        for view in views:
            self.add(view)

    def __repr__(self) -> str:
        return f"<contract store: {', '.join(self._views) or 'empty'}>"

    def _repr_html_(self) -> str:
        from aligned_dagster.contracts.contract_html import store_page

        return store_page(self)

    # --- filling it -----------------------------------------------------------------------------------

    @staticmethod
    def empty() -> ContractStore:
        """A store without contracts."""
        return ContractStore()

    @staticmethod
    def discover(pattern: str | Path, exclude: str | None = None) -> ContractStore:
        """All contracts in the files that match a glob.

        Args:
            pattern: a glob such as "**/contract.py", or a directory.
            exclude: a glob of files to leave out.

        Raises:
            ContractImportError: nothing matches, or a file cannot be imported.
            DuplicateNameError: two contracts have one name.
        """
        return ContractStore(view for file in contract_files(pattern, exclude) for view in views_in(file))

    @staticmethod
    @awaited("ContractStore.discover(...)")
    async def from_glob(glob: str) -> ContractStore:
        """`discover`, to be awaited."""
        return ContractStore.discover(glob)

    @staticmethod
    @awaited("ContractStore.discover(...)")
    async def from_dir(path: str | Path = ".", exclude_glob: str | None = None) -> ContractStore:
        """All contracts in the Python files below a directory."""
        return ContractStore.discover(Path(path) / "**" / "*.py", exclude_glob)

    def add(self, contract: FeatureView[Any]) -> ContractStore:
        """Add a contract to this store, and return the store.

        Raises:
            DuplicateNameError: another one has that name.
        """
        view = view_of(contract)
        known = self._views.get(view.name)
        if known is not None and known is not view and not _one_and_the_same(known, view):
            raise DuplicateNameError(
                f"Two contracts are called {view.name!r}: one{at(known.location)}, another{at(view.location)}. "
                "Give one of them a name, as in @feature_view(name=...)."
            )
        self._views.setdefault(view.name, view)
        return self

    def add_feature_view(self, contract: FeatureView[Any]) -> ContractStore:
        """The name that `aligned` gives to `add`."""
        return self.add(contract)

    def combined_with(self, other: ContractStore) -> ContractStore:
        """A store with the contracts of both.

        Raises:
            DuplicateNameError: the two have different contracts of one name.
        """
        store = ContractStore([*self._views.values(), *other._views.values()])
        store._names = (*self._names, *other._names)
        return store

    def with_missing(self, contracts: Iterable[FeatureView[Any]]) -> ContractStore:
        """A store that also has those contracts of whose name it has none."""
        store = ContractStore()
        store._views = dict(self._views)
        for view in map(view_of, contracts):
            store._views.setdefault(view.name, view)
        store._names = self._names
        return store

    # --- what it holds --------------------------------------------------------------------------------

    @property
    def views(self) -> Mapping[str, FeatureView[Any]]:
        """Name to contract, in the order in which they were added."""
        return MappingProxyType(self._views)

    def view(self, name: str | FeatureView[Any]) -> FeatureView[Any]:
        """The contract of that name.

        Raises:
            UnknownContractError: there is none.
        """
        wanted = name if isinstance(name, str) else view_of(name).name
        if wanted not in self._views:
            raise UnknownContractError(
                f"There is no contract {wanted!r} in the store.{did_you_mean(wanted, self._views)} "
                f"Contracts: {', '.join(self._views) or 'none'}."
            )
        return self._views[wanted]

    def feature_view(self, name: str | FeatureView[Any]) -> Any:
        """Questions to the contract of that name: `store.feature_view("titanic").all()`.

        Raises:
            UnknownContractError: there is none.
        """
        return self.view(name).query()

    def model(self, name: str | ModelContract[Any]) -> ModelQuery:
        """Questions to the model contract of that name: `store.model("survival").predict_over(facts)`.

        Raises:
            UnknownContractError: there is none, or it is no model.
        """
        view = self.view(name)
        if not isinstance(view, ModelContract):
            models = [known for known, other in self._views.items() if isinstance(other, ModelContract)]
            raise UnknownContractError(
                f"{view.name!r} is a feature view and no model.{did_you_mean(view.name, models)} "
                f"Models: {', '.join(models) or 'none'}."
            )
        return view.query()

    @property
    def models(self) -> Mapping[str, ModelContract[Any]]:
        """Name to model contract, in the order in which they were added."""
        return {name: view for name, view in self._views.items() if isinstance(view, ModelContract)}

    @property
    def connections(self) -> Mapping[str, Connection]:
        """The databases, buckets and accounts of all contracts, those that are only read included, by name."""
        return MappingProxyType(connections_of(self._reached().values(), self._names))

    def _reached(self) -> dict[str, FeatureView[Any]]:
        """The contracts, and those that they read or refer to."""
        known = dict(self._views)
        waiting = list(known.values())
        while waiting:
            for name, upstream in waiting.pop().upstream_views.items():
                if name not in known:
                    known[name] = upstream
                    waiting.append(upstream)
        return known

    def plot_lineage(self, contract: str | FeatureView[Any] | None = None) -> LineageDrawing:
        """A drawing of the contracts and of what they read, which shows itself in a notebook.

        Args:
            contract: one contract or its name, to draw only what it reads and what reads it; all of them if not given.

        Raises:
            UnknownContractError: there is no such contract.

        >>> from aligned_dagster import ContractStore, InMemorySource, Int32, feature_view
        >>> @feature_view(source=InMemorySource.from_values({"id": [1, 2]}))
        ... class Person:
        ...     id = Int32().as_entity()
        >>> ContractStore([Person]).plot_lineage("person")
        <lineage of person from 1 source>
        """
        from aligned_dagster.contracts.lineage_drawing import around, drawing_of

        if contract is None:
            return drawing_of(self._views.values())
        return drawing_of(around(self._views, self.view(contract).name))

    @property
    def digest(self) -> str:
        """32 hex digits over all contracts, the same in every process."""
        forms = [view.to_json() for _, view in sorted(self._views.items())]
        return hashlib.sha256(json.dumps(forms, sort_keys=True).encode()).hexdigest()[:32]

    # --- other sources --------------------------------------------------------------------------------

    def update_source_for(self, contract: str | FeatureView[Any], source: Any) -> ContractStore:
        """A new store in which a contract reads other rows, and with it every contract that reads that one.

        Args:
            contract: the contract or its name.
            source: a source, a view, a frame (polars, pandas, a dict of columns) or a job.

        Raises:
            UnknownContractError: there is no such contract.
        """
        changed = self.view(contract)
        replaced = {changed.name: changed.with_source(_any_source(source))}
        for view in _in_order(self._views):
            if view.name not in replaced:
                replaced[view.name] = _reading(view, replaced)
        store = ContractStore()
        store._views = {name: replaced[name] for name in self._views}
        store._names = self._names
        return store

    def with_connections(self, configs: Mapping[str, Config]) -> ContractStore:
        """A new store whose contracts reach other databases, buckets or accounts, with all that they read.

        The connections keep their names, and so do the contracts and their tables and paths.

        Args:
            configs: name of a connection, as in `store.connections`, to the config that takes its place.

        Raises:
            ConfigurationError: no contract uses a connection of a name, or it is of another kind.

        >>> from aligned_dagster import ContractStore, Int32, PostgreSQLConfig, feature_view
        >>> @feature_view(source=PostgreSQLConfig(env_var="TEST_URL").table("orders"))
        ... class Orders:
        ...     id = Int32().as_entity()
        >>> store = ContractStore([Orders])
        >>> list(store.connections)
        ['postgres_TEST_URL']
        >>> elsewhere = store.with_connections({"postgres_TEST_URL": PostgreSQLConfig(env_var="PROD_URL")})
        >>> elsewhere.view("orders").source.uri, list(elsewhere.connections)
        ('postgres://$PROD_URL/orders', ['postgres_TEST_URL'])
        """
        if not configs:
            return self
        known = self.connections
        rebound = with_connections(self._views.values(), known, configs)
        store = ContractStore()
        store._views = {name: rebound(view) for name, view in self._views.items()}
        kept = {one.config: one.name for one in known.values()}
        replaced = {known[name].config: config for name, config in configs.items()}
        reached = {config for view in store._reached().values() for config in configs_of(view)}
        told = {plain(replaced.get(config, config)): name for config, name in kept.items()}
        store._names = tuple((config, name) for config, name in told.items() if config in reached)
        return store

    def with_engine(self, engine: Engine | None = None, *, spark: SparkConfig | None = None) -> ContractStore:
        """A new store whose contracts are computed and audited on an engine when they are published, with all they read.

        Rows are equal on every engine; where rows tie in key and times, an engine has no last one and takes that with the
        greatest values. A contract that states an engine keeps it; those of models stay on polars.

        Args:
            engine: "polars", "spark" or "duckdb", for contracts that state none; None leaves those as they are.
            spark: how Spark is reached; by the environment if not given.

        Raises:
            ContractError: there is no such engine.
            UnsupportedError: columns cannot be computed on the engine; every one is listed with the reason.

        >>> from aligned_dagster import ContractStore, InMemorySource, Int32, feature_view
        >>> @feature_view(source=InMemorySource.from_values({"id": [1, 2]}))
        ... class Person:
        ...     id = Int32().as_entity()
        >>> ContractStore([Person]).with_engine("duckdb").view("person").engine
        'duckdb'
        """
        if engine is not None:
            check_engine(engine)
        if engine is None and spark is None:
            return self
        other = on_engine(self._views.values(), engine, spark)
        store = ContractStore()
        store._views = {name: other(view) for name, view in self._views.items()}
        store._names = self._names
        return store

    def dummy_store(self, seed: int = 0, rows: int = 1_000) -> ContractStore:
        """A new store whose contracts read made-up rows that keep their rules; no source is touched.

        Views of views stay what they are and references draw from the random rows of the view that they name, so that
        keys join. Nothing is materialized.

        Args:
            seed: decides the rows; the same seed gives the same rows in every process.
            rows: how many each raw source has; fewer where a contract does not allow so many different ones.
        """
        from aligned_dagster.contracts.dummy import dummies

        made = dummies(self._views.values(), seed, rows)
        store = ContractStore()
        store._views = {name: made[name] for name in self._views}
        return store

    # --- questions ------------------------------------------------------------------------------------

    def features_for(
        self,
        facts: Facts,
        features: FeatureRefs,
        event_timestamp_column: str | None = None,
        *,
        entity_columns: EntityColumns | None = None,
        max_age: timedelta | Mapping[str, timedelta] | None = None,
    ) -> FeaturesJob:
        """Features of any views for the same facts, each as it was known at the fact's time.

        The rows are those of the facts, in their order, whatever the order in which features are asked for. Without a
        time the latest row of an entity counts; where none is known, a feature is null or its default. A view without
        an event timestamp is looked up by its entities. Aggregations of a view that is computed when it is read end at
        each fact's time.

        Args:
            facts: rows with the entity columns: a dict of columns, a frame (polars, lazy or not, pandas, Arrow), a job,
                or a SELECT over the store.
            features: "view:feature", "view:*" or `View().feature`; in a mapping under the names that they get.
            event_timestamp_column: the facts' column with the time; the views' own name for it if the facts have it.
            entity_columns: entity to the facts' column for it, for all views or by the view's name.
            max_age: the greatest age of a feature, inclusive, for all views or by the view's name.

        Raises:
            UnknownContractError: there is no such view.
            UnknownFeatureError: a view has no such feature.
            RequestError: the facts lack a column, their times cannot be compared, or two columns would have one name.

        >>> from aligned_dagster import (
        ...     ContractStore,
        ...     EventTimestamp,
        ...     Float,
        ...     InMemorySource,
        ...     String,
        ...     feature_view,
        ... )
        >>> from datetime import datetime, timezone
        >>> day = [datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, 2, 3)]
        >>> seen = InMemorySource.from_values({"airport": ["OSL"] * 2, "at": day[::2], "wind": [3.0, 9.0]})
        >>> @feature_view(source=seen)
        ... class Weather:
        ...     airport = String().as_entity()
        ...     at = EventTimestamp()
        ...     wind = Float()
        >>> flights = {"origin": ["OSL", "BGO"], "leaves": [day[1], day[1]]}
        >>> store = ContractStore([Weather])
        >>> job = store.features_for(
        ...     flights, ["weather:wind"], "leaves", entity_columns={"airport": "origin"}
        ... )
        >>> job.collect()["wind"].to_list()
        [3.0, None]
        >>> print(job.report())
        2 facts, 2 rows; no row from the future
          weather  50.0 % matched  0 leaked  age 0 %: 1 day, 0:00:00, ...
        """
        wanted = wanted_of(features, self.view, entity_columns, max_age)
        given = self.execute_sql(facts).lazy() if isinstance(facts, str) else facts_frame(facts)
        time = fact_time(given.collect_schema().names(), wanted, event_timestamp_column)
        return features_job(", ".join(want.view.name for want in wanted), given, wanted, time)

    def freshness_for(
        self, names: Iterable[str | FeatureView[Any]] | None = None, now: datetime | None = None
    ) -> FreshnessByName:
        """How old the newest stored row of each contract is, by its name.

        Args:
            names: the contracts or their names; all of them if not given.
            now: the moment to measure from, the same for all; the present one if not given.

        Raises:
            UnknownContractError: there is no contract of a name.
            SourceError: a storage cannot be read.
        """
        if isinstance(names, str):
            names = [names]
        moment = now or datetime.now(UTC)
        views = [self.view(name) for name in (self._views if names is None else names)]
        return FreshnessByName({view.name: view.measured_freshness(moment) for view in views})

    def execute_sql(self, query: str) -> RetrievalJob:
        """Ask in polars' SQL; every contract is a table of its name. Nothing is read before the job is collected.

        Args:
            query: one SELECT.

        Raises:
            RequestError: polars does not understand the query, or it names a table that is no contract.
        """
        words = set(re.findall(r"\w+", query))
        frames = {name: view.read() for name, view in self._views.items() if name in words}
        try:
            frame = pl.SQLContext(frames).execute(query, eager=False)
            columns = frame.collect_schema()
        except pl.exceptions.PolarsError as error:
            unknown = re.search(r"relation '([^']+)' was not found", str(error))
            hint = did_you_mean(unknown.group(1), self._views) if unknown else ""
            raise RequestError(
                f"The query failed: {str(error).splitlines()[0]}.{hint} Tables: {', '.join(self._views) or 'none'}."
            ) from error
        schema = Schema(
            tuple(Column(name, DataType.from_polars(dtype), optional=True) for name, dtype in columns.items())
        )
        return RetrievalJob("sql", schema, lambda: frame)

    # --- JSON -----------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form of all contracts.

        Raises:
            UnsupportedError: a source has no JSON form, such as a lambda.
        """
        return {"format": 1, "contracts": [view_to_json(view) for view in self._views.values()]}

    @staticmethod
    def from_json(form: Mapping[str, Any]) -> ContractStore:
        """Read what `to_json` wrote.

        Raises:
            ContractError: contracts read each other in a circle, or one that is not there.
        """
        waiting = {item["name"]: item for item in form["contracts"]}
        built: dict[str, FeatureView[Any]] = {}
        while waiting:
            ready = [name for name, item in waiting.items() if not needs(item) & waiting.keys()]
            if not ready:
                raise ContractError(
                    f"These contracts read each other in a circle: {', '.join(sorted(waiting))}."
                )
            for name in ready:
                built[name] = view_from_json(waiting.pop(name), built)
        store = ContractStore()
        store._views = {item["name"]: built[item["name"]] for item in form["contracts"]}
        return store

    def write_to(self, file: str | Path) -> None:
        """Write all contracts to a JSON file, atomically."""
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"
        target = Path(file).expanduser().absolute()
        staging = publishing.new_staging(target)
        try:
            (staging / target.name).write_text(text, encoding="utf-8")
            publishing.replace_file(staging / target.name, target)
        finally:
            publishing.remove(staging)

    @staticmethod
    def from_file(file: str | Path) -> ContractStore:
        """Read the contracts that `write_to` wrote."""
        return ContractStore.from_json(json.loads(Path(file).read_text(encoding="utf-8")))

    @staticmethod
    async def from_reference_at_path(path: str | Path) -> ContractStore:
        """`from_file`, to be awaited."""
        import asyncio

        return await asyncio.to_thread(ContractStore.from_file, path)


FeatureStore = ContractStore


def _one_and_the_same(one: FeatureView[Any], other: FeatureView[Any]) -> bool:
    """Whether two views came from one line of one file, imported under two names."""
    return (
        one.location is not None and one.location == other.location and one.code_version == other.code_version
    )


def _any_source(source: Any) -> Any:
    if isinstance(source, RetrievalJob):
        return FrameSource.of(source.lazy(), source.name)
    if isinstance(source, pl.LazyFrame):
        return FrameSource.of(source)
    if isinstance(source, Mapping):
        return InMemorySource.from_values(dict(source))
    if type(source).__module__.startswith("pandas"):
        return InMemorySource(pl.from_pandas(source))
    return source


def _reading(view: FeatureView[Any], replaced: Mapping[str, FeatureView[Any]]) -> FeatureView[Any]:
    """The view, reading the replaced views where it read those of their names."""

    def other(known: FeatureView[Any]) -> FeatureView[Any]:
        return replaced.get(known.name, known)

    touched = [
        name for name in view.upstream_views if replaced.get(name) not in (None, view.upstream_views[name])
    ]
    if not touched:
        return view
    return view.reading(other)


def _in_order(views: Mapping[str, FeatureView[Any]]) -> list[FeatureView[Any]]:
    """The views, each after those that it reads or refers to."""
    done: dict[str, FeatureView[Any]] = {}
    waiting = list(views.values())
    while waiting:
        ready = [
            v for v in waiting if all(n in done or n not in views or n == v.name for n in v.upstream_views)
        ]
        if not ready:
            raise ContractError(
                f"These contracts read each other in a circle: {', '.join(v.name for v in waiting)}."
            )
        done.update((view.name, view) for view in ready)
        waiting = [view for view in waiting if view.name not in done]
    return list(done.values())
