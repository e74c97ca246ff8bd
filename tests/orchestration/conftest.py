from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pytest

from aligned_dagster import ContractStore, EventTimestamp, FileSource, Float, Int32, String, feature_view

if TYPE_CHECKING:
    from .model_project import Flying

AIRPORTS = "code,name,height\nOSL,Oslo,208\nBGO,Bergen,50\nTRD,Trondheim,17\n"
FLIGHTS = (
    "id,origin,departed,delay,distance\n"
    "1,OSL,2024-01-01T08:00:00Z,5.5,300\n"
    "2,BGO,2024-01-01T09:00:00Z,-2,320\n"
    "3,OSL,2024-01-02T08:00:00Z,,280\n"
)


START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""The tags by which a backfill in a single run names its partitions."""


@dataclass
class Airline:
    """A small project: airports (stored), flights (stored, refer to airports), delays (virtual)."""

    root: Path

    @property
    def flights_file(self) -> Path:
        return self.root / "stored" / "flights.parquet"

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def add_flight(self, line: str) -> None:
        self.write("flights.csv", (self.root / "flights.csv").read_text(encoding="utf-8") + line + "\n")

    def store(self, **options: Any) -> ContractStore:
        delay_rule: Callable[[Float], Float] = options.pop("delay", lambda delay: delay)
        late_after = options.pop("late_after", 5)

        @feature_view(
            source=FileSource.csv_at(str(self.root / "airports.csv")),
            materialized_source=FileSource.parquet_at(str(self.root / "stored" / "airports.parquet")),
        )
        class Airport:
            """Airports of the north."""

            code = String().as_entity()
            name = String().description("Name of the town").with_tag("public")
            height = Int32().lower_bound(0, on_violation="warn")

        @feature_view(
            source=FileSource.csv_at(str(self.root / "flights.csv"), mapping_keys={"delay": "delay_minutes"}),
            materialized_source=FileSource.parquet_at(str(self.flights_file)),
            **options,
        )
        class Flight:
            """Flights and their delays."""

            id = Int32().as_entity()
            departed = EventTimestamp()
            origin = String().reference_to(Airport().code)
            delay_minutes = delay_rule(Float().is_optional())
            distance = Int32().lower_bound(1)
            is_late = delay_minutes > late_after

        @feature_view(source=Flight)
        class Delay:
            """Delays in hours."""

            id = Int32().as_entity()
            departed = EventTimestamp()
            delay_minutes = Float().is_optional()
            hours = delay_minutes / 60

        return ContractStore([Airport, Flight, Delay])


@pytest.fixture
def airline(tmp_path: Path) -> Airline:
    made = Airline(tmp_path)
    made.write("airports.csv", AIRPORTS)
    made.write("flights.csv", FLIGHTS)
    return made


@pytest.fixture
def flying(tmp_path: Path) -> Flying:
    """Flights with weather and a model that is trained."""
    from .model_project import Flying  # scikit-learn is for the tests of models only

    made = Flying(tmp_path)
    (tmp_path / "stored").mkdir()
    made.write()
    made.train()
    return made


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@dataclass
class Ran:
    """What a run left behind, in plain words."""

    result: dg.ExecuteInProcessResult

    @property
    def success(self) -> bool:
        return self.result.success

    def materialized(self) -> set[str]:
        return {
            e.asset_key.to_user_string()
            for e in self.result.get_asset_materialization_events()
            if e.asset_key
        }

    def metadata(self, key: str) -> dict[str, Any]:
        found = self.result.asset_materializations_for_node(key.replace("/", "__"))
        return {name: value.value for name, value in found[-1].metadata.items()}

    def checks(self, key: str) -> dict[str, Any]:
        found = [e for e in self.result.get_asset_check_evaluations() if e.asset_key.to_user_string() == key]
        return {evaluation.check_name: evaluation for evaluation in found}

    def partitions(self, key: str) -> dict[str, dict[str, Any]]:
        """Metadata of each materialised partition, the keys sorted."""
        found = self.result.asset_materializations_for_node(key.replace("/", "__"))
        named = {str(one.partition): {n: v.value for n, v in one.metadata.items()} for one in found}
        return dict(sorted(named.items()))

    def broken_partitions(self, key: str, check: str) -> dict[str, str]:
        """What the only outcome of a check says of each partition that breaks it, the most broken first."""
        found = self.result.get_asset_check_evaluations()
        mine = [e for e in found if e.asset_key.to_user_string() == key and e.check_name == check]
        [outcome] = mine
        assert outcome.partition is None
        if "partitions" not in outcome.metadata:
            return {}
        told = [dict(record.data) for record in outcome.metadata["partitions"].records]
        assert outcome.metadata["broken_partitions"].value >= len(told)
        return {str(record["partition"]): str(record["found"]) for record in told}

    def failure(self, step: str) -> Any:
        return self.result.failure_data_for_node(step)


@pytest.fixture
def run(instance: dg.DagsterInstance) -> Callable[..., Ran]:
    def execute(
        defs: dg.Definitions,
        *keys: str,
        partition: str | None = None,
        span: tuple[str, str] | None = None,
    ) -> Ran:
        job = defs.resolve_implicit_global_asset_job_def()
        selection = [dg.AssetKey(key.split("/")) for key in keys] or None
        tags = {} if span is None else {START: span[0], END: span[1]}
        result = job.execute_in_process(
            instance=instance,
            asset_selection=selection,
            partition_key=partition,
            tags=tags,
            raise_on_error=False,
        )
        return Ran(result)

    return execute


@pytest.fixture
def rows() -> Callable[[Path], list[dict[str, Any]]]:
    return lambda path: pl.read_parquet(path).to_dicts()
