from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aligned_dagster import (
    Bool,
    ContractStore,
    CreatedTimestamp,
    EventTimestamp,
    FeatureView,
    FileSource,
    Float,
    InMemorySource,
    Int32,
    PostgreSQLConfig,
    String,
    TrainingSet,
    feature_view,
    publish,
    split_at_random,
    split_by_entity,
    split_by_time,
    training_set,
)
from aligned_dagster.contracts import training_source
from aligned_dagster.contracts.partitioning import beginning, scheme_of
from aligned_dagster.contracts.retrieval import Wanted
from aligned_dagster.errors import (
    AuditError,
    ContractError,
    DuplicateNameError,
    PublishError,
    RequestError,
    UnknownContractError,
    UnsupportedError,
)
from aligned_dagster.orchestration.definitions import build_definitions
from aligned_dagster.request.partition import PartitionSlice
from aligned_dagster.sources.sql.connection import close_idle_connections

UTC = dt.UTC


def day(number: int, hour: int = 0, month: int = 1) -> dt.datetime:
    return dt.datetime(2024, month, number, hour, tzinfo=UTC)


def values(source: pl.DataFrame | dict[str, Any]) -> InMemorySource:
    return InMemorySource(pl.DataFrame(source))


@dataclass
class Views:
    """Flights, the weather where they leave, the towns there, and arrivals, which come to be known later."""

    flights: FeatureView[Any]
    weather: FeatureView[Any]
    towns: FeatureView[Any]
    arrivals: FeatureView[Any]

    @property
    def all(self) -> list[FeatureView[Any]]:
        return [self.flights, self.weather, self.towns, self.arrivals]

    @property
    def features(self) -> list[Any]:
        return [self.weather().wind, self.towns().people]

    def make(self, name: str = "late_flights", facts: Any = None, **options: Any) -> TrainingSet[Any]:
        chosen = {"features": self.features, "target": self.flights().is_late, **options}
        if "features" not in options:
            chosen.setdefault("entity_columns", {"airport": "origin"})
        return training_set(name, self.flights if facts is None else facts, **chosen)


FLIGHTS = {
    "id": [1, 2, 3, 4],
    "leaves": [day(1, 8), day(2, 8), day(20, 8), day(3, 8, month=2)],
    "origin": ["OSL", "BGO", "OSL", "OSL"],
    "delay": [0.0, 20.0, 30.0, 1.0],
}
WEATHER = {
    "airport": ["OSL", "OSL", "OSL", "BGO", "OSL"],
    "at": [day(1, 6), day(1, 9), day(19), day(2, 8), day(20)],
    "seen": [day(1, 6), day(1, 9), day(19, 1), day(2, 8), day(21)],
    "wind": [1.0, 2.0, 3.0, 4.0, 5.0],
}


def views(flights: Any = None, weather: Any = None) -> Views:
    @feature_view(source=values(FLIGHTS if flights is None else flights))
    class Flights:
        id = Int32().as_entity()
        leaves = EventTimestamp()
        origin = String()
        delay = Float()
        is_late = delay > 15

    @feature_view(source=values(WEATHER if weather is None else weather))
    class Weather:
        airport = String().as_entity()
        at = EventTimestamp()
        seen = CreatedTimestamp()
        wind = Float()

    @feature_view(source=values({"airport": ["OSL", "TRD"], "people": [700, 200]}))
    class Towns:
        airport = String().as_entity()
        people = Int32()

    arrived = {"id": [1, 1, 2], "landed": [day(1, 9), day(1, 10), day(2, 9)], "on_time": [False, True, False]}

    @feature_view(source=values(arrived))
    class Arrivals:
        id = Int32().as_entity()
        landed = EventTimestamp()
        on_time = Bool()

    return Views(Flights, Weather, Towns, Arrivals)


def rows(of: TrainingSet[Any], *columns: str) -> list[tuple[Any, ...]]:
    return of.read(columns=columns).sort(columns[0]).collect().rows()


# --- what is in it ----------------------------------------------------------------------------------------


def test_facts_features_target_split_and_whence_they_are() -> None:
    made = views().make(split=split_by_time(dt.date(2024, 1, 15), dt.date(2024, 2, 1)))
    assert made.schema.names == (
        "id",
        "leaves",
        "wind",
        "people",
        "is_late",
        "split",
        "weather__event_timestamp",
        "weather__created_timestamp",
        "towns__found",
    )
    assert (made.target, made.features) == ("is_late", ("wind", "people"))
    found = made.query().all().collect()
    assert_frame_equal(
        found,
        pl.DataFrame(
            {
                "id": [1, 2, 3, 4],
                "leaves": FLIGHTS["leaves"],
                "wind": [1.0, 4.0, 3.0, 5.0],
                "people": [700, None, 700, 700],
                "is_late": [False, True, True, False],
                "split": ["train", "train", "validate", "test"],
                "weather__event_timestamp": [day(1, 6), day(2, 8), day(19), day(20)],
                "weather__created_timestamp": [day(1, 6), day(2, 8), day(19, 1), day(21)],
                "towns__found": [True, False, True, True],
            },
            schema=made.schema.polars,
        ),
    )
    assert made.query().all().audit().passed


def test_checks_are_of_leaks_and_of_matches() -> None:
    made = views().make(min_match_rate={"weather": 0.9, "towns": 0})
    rules = {rule.name: rule for rule in made.schema.rules}
    assert list(rules) == ["leaked_weather", "matched_weather"]
    assert rules["leaked_weather"].on_violation == "block"
    assert rules["matched_weather"].mostly == 0.9
    assert [rule.name for rule in views().make().schema.rules] == [
        "leaked_weather",
        "matched_weather",
        "matched_towns",
    ]


def test_report_is_computed_from_the_stored_times() -> None:
    made = views().make()
    report = made.report()
    assert (report.rows_in, report.leaked) == (4, 0)
    assert report.view("weather").matched == 4
    assert report.view("towns").matched == 3
    assert report.view("towns").leaked is None
    assert dict(report.view("weather").ages)[0.0] == dt.timedelta(0)
    poisoned = made.read().with_columns(
        pl.when(pl.col("id") == 3).then(pl.col("leaves") + pl.duration(microseconds=1)).otherwise("weather__created_timestamp")
        .alias("weather__created_timestamp")
    )  # fmt: skip
    assert made.report(poisoned).view("weather").leaked == 1


def test_only_views_that_are_named_are_read() -> None:
    def never(*_: Any) -> pl.LazyFrame:
        raise AssertionError("read without need")

    known = views()

    @feature_view(source=never)
    class Gates:
        id = Int32().as_entity()
        gate = String()

    made = known.make(features=[known.weather().wind, Gates().gate], entity_columns={"airport": "origin"})
    assert rows(made, "id", "wind")[0] == (1, 1.0)


def test_lineage() -> None:
    known = views()
    made = known.make(split=split_at_random(), target=known.arrivals().on_time)
    assert made.depends_on() == {"flights", "weather", "towns", "arrivals"}
    assert made.built_from() == {view.name: view.version for view in known.all}
    lineage = made.column_lineage()
    assert lineage["id"] == (("flights", "id"),)
    assert lineage["wind"] == (("weather", "wind"),)
    assert lineage["weather__created_timestamp"] == (("weather", "seen"),)
    assert lineage["towns__found"] == (("towns", "airport"),)
    assert lineage["on_time"] == (("arrivals", "on_time"),)
    assert lineage["split"] == (("flights", "id"), ("flights", "leaves"))


# --- the target -------------------------------------------------------------------------------------------


def test_the_target_of_the_facts_view_is_that_of_the_row_itself() -> None:
    twice = {**FLIGHTS, "id": [1, 1, 3, 4]}
    known = views(twice)
    assert rows(known.make(), "leaves", "is_late")[:2] == [(day(1, 8), False), (day(2, 8), True)]
    late = known.flights.filter("windy", known.flights().delay > 10)
    assert rows(known.make(facts=late), "id", "is_late") == [(1, True), (3, True)]
    job = known.flights.query().filter("delay > 10")
    made = known.make(facts=job, entities=["id"], event_timestamp_column="leaves")
    assert rows(made, "id", "is_late") == [(1, True), (3, True)]


def test_the_target_of_another_view_is_the_latest_of_the_entity() -> None:
    known = views()
    made = known.make(target=known.arrivals().on_time)
    assert rows(made, "id", "on_time") == [(1, True), (2, False), (3, None), (4, None)]
    assert made.report().leaked == 0


def test_the_target_of_the_view_below_is_of_the_same_time() -> None:
    known = views({**FLIGHTS, "id": [1, 1, 3, 4]})

    @feature_view(source=known.flights)
    class Departures:
        id = Int32().as_entity()
        leaves = EventTimestamp()
        origin = String()

    made = known.make(facts=Departures)
    assert rows(made, "leaves", "is_late")[:2] == [(day(1, 8), False), (day(2, 8), True)]
    latest = known.make(facts=Departures, target_at="latest")
    assert rows(latest, "leaves", "is_late")[:2] == [(day(1, 8), True), (day(2, 8), True)]


def test_a_target_of_the_same_time_may_be_written_later_and_the_last_writing_counts() -> None:
    known = views()
    truth = {
        "id": [1, 1, 2],
        "leaves": [day(1, 8), day(1, 8), day(2, 9)],
        "told": [day(9), day(5), day(3)],
        "angry": [3, 1, 7],
    }

    @feature_view(source=values(truth))
    class Complaints:
        id = Int32().as_entity()
        leaves = EventTimestamp()
        told = CreatedTimestamp()
        angry = Int32()

    made = known.make(target=Complaints().angry, target_at="fact")
    assert rows(made, "id", "angry") == [(1, 3), (2, None), (3, None), (4, None)]


def test_a_target_among_the_facts() -> None:
    known = views()
    facts = {"id": [1, 2], "leaves": [day(1, 8), day(2, 8)], "origin": ["OSL", "BGO"], "bad": [1, 0]}
    made = known.make(facts=facts, target="bad", event_timestamp_column="leaves", entities=["id"])
    assert rows(made, "id", "wind", "bad") == [(1, 1.0, 1), (2, 4.0, 0)]
    assert made.depends_on() == {"weather", "towns"}


# --- facts and features in every form ---------------------------------------------------------------------


@pytest.mark.parametrize("form", [dict, pl.DataFrame, pl.LazyFrame, lambda v: pl.DataFrame(v).to_pandas()])
def test_facts_in_every_form(form: Callable[[Any], Any]) -> None:
    known = views()
    facts = {"origin": ["OSL", "BGO"], "at": [day(1, 8), day(2, 8)]}
    made = training_set("some", form(facts), features=known.features, entity_columns={"airport": "origin"})
    assert made.schema.key == ("origin", "at")
    assert rows(made, "origin", "wind", "people") == [("BGO", 4.0, None), ("OSL", 1.0, 700)]


def test_above_a_function_that_returns_a_view() -> None:
    known = views()

    @training_set(
        features=known.features, target=known.flights().is_late, entity_columns={"airport": "origin"}
    )
    def late() -> FeatureView[Any]:
        """Flights that should be learnt from."""
        return known.flights

    assert isinstance(late, TrainingSet)
    assert (late.name, late.description) == ("late", "Flights that should be learnt from.")
    assert late.depends_on() == {"flights", "weather", "towns"}


def test_above_a_function_that_is_called_again_whenever_facts_are_read() -> None:
    known = views()
    facts = {"airport": ["OSL"], "at": [day(1, 8)]}

    @training_set(features=known.features)
    def asked() -> Any:
        return facts

    assert rows(asked, "airport", "wind") == [("OSL", 1.0)]
    facts = {"airport": ["BGO"], "at": [day(3)]}
    assert rows(asked, "airport", "wind") == [("BGO", 4.0)]


def test_features_by_name_need_somebody_who_knows_the_view() -> None:
    known = views()
    named = {"breeze": "weather:wind"}
    where = {"airport": "origin"}
    assert known.make(features=named, store=ContractStore(known.all), entity_columns=where).features == (
        "breeze",
    )
    assert known.make(features=["flights:origin"], target=None).features == ("origin",)
    with pytest.raises(UnknownContractError, match="'weather' by its name alone"):
        known.make(features=named)


def test_a_model_brings_features_and_target(tmp_path: Path) -> None:
    known = views()

    @dataclass
    class Model:
        wanted: tuple[Wanted, ...]
        target: tuple[FeatureView[Any], str] | None
        dataset_store: Any = None

    wanted = (Wanted(known.weather, {"breeze": "wind"}, {"airport": "origin"}),)
    model = Model(wanted, (known.flights, "is_late"), FileSource.directory(tmp_path))
    made = training_set("late", known.flights, model=model)
    assert (made.target, made.features) == ("is_late", ("breeze",))
    assert made.materialized_source == FileSource.parquet_at(tmp_path / "late.parquet")
    other = training_set("late", known.flights, model=model, target=known.arrivals().on_time)
    assert other.target == "on_time"
    assert training_set("late", known.flights, model=Model(wanted, None)).target is None
    with pytest.raises(ContractError, match="one of the two"):
        known.make(model=model)


def test_times_of_any_zone_and_form_are_compared() -> None:
    frame = pl.DataFrame(WEATHER).with_columns(pl.col("at", "seen").dt.convert_time_zone("Asia/Tokyo"))

    @feature_view(source=values(frame.rename({"wind": "gust"})))
    class Tokyo:
        airport = String().as_entity()
        at = EventTimestamp(time_zone="Asia/Tokyo")
        seen = CreatedTimestamp(time_zone="Asia/Tokyo")
        gust = Float()

    @feature_view(source=values(frame.select("airport", pl.col("at").dt.replace_time_zone(None), dew="wind")))
    class Naive:
        airport = String().as_entity()
        at = EventTimestamp(time_zone=None)
        dew = Float()

    facts = pl.DataFrame({"airport": ["OSL", "BGO"], "on": [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]})
    made = training_set("days", facts, features=[Tokyo().gust, Naive().dew], event_timestamp_column="on")
    assert rows(made, "airport", "gust", "dew") == [("BGO", 4.0, 4.0), ("OSL", 2.0, 2.0)]
    report = made.query().all().audit()
    assert report.passed
    assert [rule.name for rule in made.schema.rules][:2] == ["leaked_tokyo", "leaked_naive"]
    late = made.read().with_columns(
        pl.lit(dt.datetime(2024, 1, 3, 0, 0, 0, 1)).alias("naive__event_timestamp")
    )
    with pytest.raises(AuditError, match="no row of naive that is used may be later"):
        publish(made, late)


def test_without_times_there_is_nothing_to_leak() -> None:
    known = views()
    made = training_set("now", {"airport": ["OSL", "TRD"]}, features=known.features)
    assert rows(made, "airport", "wind", "people") == [("OSL", 5.0, 700), ("TRD", None, 200)]
    assert [rule.name for rule in made.schema.rules] == ["matched_weather", "matched_towns"]
    assert made.report().view("weather").leaked is None


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"features": None}, ContractError, "one of the two"),
        ({"features": []}, RequestError, "No features are asked for"),
        ({"target": "late"}, RequestError, "no column 'late' to predict"),
        ({"target": Float()}, ContractError, "target is the column of a view"),
        ({"target_at": "now"}, ContractError, "'fact' or 'latest'"),
        ({"min_match_rate": 2}, ContractError, "min_match_rate=2 is no share"),
        ({"min_match_rate": {"wether": 0.5}}, ContractError, "Did you mean 'weather'"),
        ({"entity_columns": {"airport": "orgin"}}, RequestError, "Did you mean 'origin'"),
        ({"event_timestamp_column": "left"}, RequestError, "needs the column 'left'"),
        ({"facts": InMemorySource.empty()}, ContractError, "Make a view of it"),
        ({"facts": 3}, RequestError, "Facts are"),
        ({"every": "monthly"}, ContractError, "materialize_from"),
        ({"split": split_by_entity(entities=["tail"])}, ContractError, "'tail', which is no entity"),
        ({"name": "a-b"}, ContractError, "a-b"),
    ],
)
def test_what_cannot_be_is_told_at_the_definition(change: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        views().make(**change)


def test_a_feature_that_is_also_the_target_needs_another_name() -> None:
    known = views()
    with pytest.raises((DuplicateNameError, RequestError), match="Name the feature otherwise"):
        known.make(features=[known.flights().is_late])
    made = known.make(features={"was_late": known.flights().is_late})
    assert rows(made, "id", "was_late", "is_late")[1] == (2, True, True)


# --- kept, and never changed ------------------------------------------------------------------------------

MONTHS = {"materialize_from": dt.date(2024, 1, 1), "every": "monthly"}
PLACES: dict[str, Callable[[Path], Any]] = {
    "directory": FileSource.directory,
    "file": lambda root: FileSource.parquet_at(root / "late_flights.parquet"),
    "memory": lambda root: InMemorySource.empty(),
}


@pytest.fixture(params=[*PLACES, "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    if request.param in PLACES:
        yield PLACES[request.param](tmp_path)
        return
    monkeypatch.setenv("TRAINING_DATABASE", request.getfixturevalue("postgres_database"))
    yield PostgreSQLConfig("TRAINING_DATABASE").table("late_flights")
    close_idle_connections()


def test_a_partition_is_written_once(place: Any) -> None:
    made = views().make(dataset_store=place, split=split_by_entity(), **MONTHS)
    january, february = made.part("2024-01-01"), made.part("2024-02-01")
    assert publish(made, part=january).rows == 3
    first = made.read(part="2024-01-01").sort("id").collect()
    stored = made.storage.fingerprint()

    again = publish(made, part=january)
    assert (again.rows, again.quarantine) == (3, None)
    assert made.storage.fingerprint() == stored  # nothing was written

    assert publish(made, part=february).rows == 1
    other = views(FLIGHTS | {"delay": [0.0, 20.0, 3.0, 1.0]}).make(
        dataset_store=place, split=split_by_entity(), **MONTHS
    )
    with pytest.raises(
        PublishError, match=r"late_flights .* partition '2024-01-01' there are 3 rows\. Nothing .*name"
    ):
        publish(other, part=january)
    assert publish(other, part=february).rows == 1
    assert_frame_equal(made.read(part="2024-01-01").sort("id").collect(), first)


def test_a_run_over_several_partitions_adds_those_that_are_new(place: Any) -> None:
    made = views().make(dataset_store=place, **MONTHS)
    publish(made, part=made.part("2024-01-01"))
    both = made.part("2024-01-01").windows + made.part("2024-02-01").windows
    publish(made, part=PartitionSlice(both))
    assert made.read(columns=["id"]).collect()["id"].sort().to_list() == [1, 2, 3, 4]
    late = FLIGHTS | {"leaves": [day(1, 8), day(2, 8), day(20, 8), day(21, 8)]}
    moved = views(late).make(dataset_store=place, **MONTHS)
    with pytest.raises(PublishError) as told:
        publish(moved, part=PartitionSlice(both))
    assert "'2024-01-01' there are 3 rows and not 4" in str(told.value)
    assert "'2024-02-01' there are 1 rows and not 0" in str(told.value)


def test_a_set_without_partitions_is_written_once(place: Any) -> None:
    made = views().make(dataset_store=place)
    publish(made)
    stored = made.storage.fingerprint()
    assert publish(made, made.read().reverse()).rows == 4
    assert made.storage.fingerprint() == stored
    with pytest.raises(PublishError, match="there are 4 rows and not 3"):
        publish(made, made.read().head(3))
    for write in (made.query().insert, made.query().upsert, made.query().overwrite):
        with pytest.raises(PublishError, match="do not change"):
            write(made.read().with_columns(id=pl.col("id") + 10))
        assert write(made.read().collect()).rows == 4
    assert made.read().collect().height == 4


def test_what_changed_by_a_hair_is_found(place: Any) -> None:
    made = views().make(dataset_store=place)
    publish(made)
    held = made.read().collect()
    changes = [
        held.with_columns(wind=pl.col("wind") + 1e-9),
        held.with_columns(people=pl.col("people").fill_null(0)),
        held.with_columns(wind=pl.col("wind").reverse()),
        held.with_columns(is_late=~pl.col("is_late")),
    ]
    for changed in changes:
        with pytest.raises(PublishError, match="do not change"):
            publish(made, changed.lazy())
    assert_frame_equal(made.read().collect(), held)


def test_the_files_of_other_partitions_are_not_touched(tmp_path: Path) -> None:
    made = views().make(dataset_store=FileSource.directory(tmp_path), **MONTHS)
    publish(made, part=made.part("2024-01-01"))
    january = {file: file.read_bytes() for file in tmp_path.rglob("*.parquet")}
    assert [file.parent.name for file in january] == ["window=2024-01-01"]
    publish(made, part=made.part("2024-02-01"))
    assert {file: file.read_bytes() for file in january} == january
    assert len(list(tmp_path.rglob("*.parquet"))) == 2


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("every", ["hourly", "daily", "weekly", "monthly"])
def test_windows_of_every_length_and_zone(tmp_path: Path, every: Any, zone: str) -> None:
    made = views().make(
        dataset_store=FileSource.directory(tmp_path),
        every=every,
        materialize_from=dt.date(2024, 1, 1),
        time_zone=zone,
        min_match_rate=0,
    )
    scheme = scheme_of(made)
    assert scheme is not None
    window = scheme.window
    assert window is not None
    assert len(scheme.dimensions) == 1
    for moment in FLIGHTS["leaves"]:
        start = beginning(moment.astimezone(window.start.tzinfo), every)
        publish(made, part=made.part(window.key(start)))
        publish(made, part=made.part(window.key(start)))
    assert_frame_equal(
        made.read().sort("id").collect(),
        made.compute().sort("id").collect(),
    )
    with pytest.raises(
        PublishError, match=window.key(beginning(day(1, 8).astimezone(window.start.tzinfo), every))
    ):
        publish(
            made,
            made.compute().filter(pl.col("id") == 1).with_columns(wind=pl.lit(0.0)),
            part=made.part(window.key(beginning(day(1, 8).astimezone(window.start.tzinfo), every))),
        )


@pytest.mark.parametrize("part", ["2024-01-01", None])
def test_of_two_writers_one_is_told(tmp_path: Path, part: str | None) -> None:
    place, windows = FileSource.directory(tmp_path), MONTHS if part else {}
    made = views().make(dataset_store=place, **windows)
    other = views(FLIGHTS | {"delay": [0.0, 20.0, 3.0, 1.0]}).make(dataset_store=place, **windows)
    told: list[str] = []

    def write() -> None:
        try:
            publish(other, part=None if part is None else other.part(part))
        except PublishError as error:
            told.append(str(error))

    second = threading.Thread(target=write)

    def meanwhile(_: Any) -> None:
        second.start()
        second.join(1)  # it waits for the first one, which has looked and not yet published

    publish(made, part=None if part is None else made.part(part), on_audit=meanwhile)
    second.join()
    assert "do not change" in told[0]
    assert made.read().filter(pl.col("id") == 3).collect()["is_late"].item() is True


def test_sets_by_other_keys(tmp_path: Path) -> None:
    known = views()
    store = FileSource.partitioned_parquet_at(tmp_path / "late", ["split"])
    made = known.make(dataset_store=store, split=split_by_time(dt.date(2024, 1, 15)))
    assert publish(made, part=made.part("train")).rows == 2
    assert publish(made, part=made.part({"split": "test"})).rows == 2
    assert made.read(columns=["id"], part="train").collect()["id"].sort().to_list() == [1, 2]
    with pytest.raises(PublishError, match="partition 'train'"):
        publish(made, made.read(part="train").with_columns(wind=pl.lit(0.0)), part=made.part("train"))
    with pytest.raises(RequestError, match="is told by split"):
        made.part({"month": "train"})
    with pytest.raises(RequestError, match="has no partitions"):
        known.make().part("2024-01-01")


def test_a_later_row_blocks(place: Any) -> None:
    made = views().make(dataset_store=place)
    later = pl.col("leaves") + pl.duration(microseconds=1)
    for column in ("weather__event_timestamp", "weather__created_timestamp"):
        poisoned = made.compute().with_columns(
            pl.when(pl.col("id") == 2).then(later).otherwise(column).alias(column)
        )
        with pytest.raises(AuditError, match="leaked_weather"):
            publish(made, poisoned)
    warns = views().make(dataset_store=place, on_violation="warn")
    with pytest.raises(AuditError) as told:
        publish(warns, poisoned)
    assert [outcome.name for outcome in told.value.report.blocking] == ["rule__leaked_weather"]
    assert publish(made).rows == 4


def test_too_few_matches_block() -> None:
    known = views(weather={name: column[3:4] for name, column in WEATHER.items()})
    with pytest.raises(
        AuditError, match="weather has a row for the fact, in at least 50 % of the rows: 3 of 4"
    ):
        publish(known.make())
    with pytest.raises(AuditError, match="weather has a row"):
        publish(known.make(min_match_rate={"weather": 0.26}))
    assert publish(known.make(min_match_rate={"weather": 0.25})).rows == 4


# --- used -------------------------------------------------------------------------------------------------


def test_parts_to_train_on(place: Any) -> None:
    made = views().make(
        dataset_store=place, split=split_by_time(dt.date(2024, 1, 15), dt.date(2024, 2, 1)), **MONTHS
    )
    for key in ("2024-01-01", "2024-02-01"):
        publish(made, part=made.part(key))
    parts = made.train_test_validate()
    ids = [job.collect()["id"].sort().to_list() for job in (parts.train, parts.validate, parts.test)]
    assert ids == [[1, 2], [3], [4]]
    assert (parts.target, parts.inputs) == ("is_late", ("wind", "people"))
    assert made.split("train", part="2024-02-01").collect().is_empty()
    assert made.split("test").validate().collect().height == 1
    with pytest.raises(RequestError, match="Did you mean 'validate'"):
        made.split("validat")
    with pytest.raises(RequestError, match="has no split"):
        views().make().split("train")


def test_a_set_is_a_source_and_a_store_can_give_it_other_views() -> None:
    known = views()
    made = known.make()

    @feature_view(source=made)
    class Learnt:
        id = Int32().as_entity()
        wind = Float().is_optional()

    store = ContractStore([*known.all, made, Learnt])
    calm = pl.DataFrame(WEATHER).with_columns(wind=pl.lit(0.0))
    other = store.update_source_for("weather", calm)
    assert other.feature_view("learnt").all().collect()["wind"].to_list() == [0.0] * 4
    assert store.feature_view("learnt").all().collect()["wind"].sum() == 13.0
    dummy = store.dummy_store(rows=20).view("late_flights")
    assert isinstance(dummy, TrainingSet)
    assert dummy.read().collect().height == 20


def test_rows_at_hand_take_the_place_of_views() -> None:
    known = views()
    made = known.make(target=known.arrivals().on_time)
    calm = pl.DataFrame(WEATHER).with_columns(wind=pl.lit(0.0), at=pl.col("at"), seen=pl.col("at")).lazy()
    late = pl.LazyFrame(
        {"id": [1], "landed": [day(5)], "on_time": [False]}, schema=known.arrivals.schema.polars
    )
    found = made.read({"weather": calm, "flights": known.flights.read().head(1), "arrivals": late}).collect()
    assert found.select("id", "wind", "on_time").rows() == [(1, 0.0, False)]


def facts_of_a_module() -> dict[str, Any]:
    return {"airport": ["OSL"], "at": [day(1, 8)]}


@training_set(features=[views().weather().wind], split=split_by_entity())
def decorated() -> dict[str, Any]:
    return {"airport": ["OSL"], "at": [day(1, 8)]}


def test_json_round_trip(tmp_path: Path) -> None:
    known = views()
    sets = [
        known.make(
            dataset_store=FileSource.directory(tmp_path), split=split_by_entity(0.5, 0.2, 3), **MONTHS
        ),
        known.make("truth", target=known.arrivals().on_time, max_age=dt.timedelta(hours=3)),
        known.make("held", facts={**facts_of_a_module(), "origin": ["OSL"], "x": [1]}, target="x"),
        training_set("called", facts_of_a_module, features=known.features),
        decorated,
    ]
    store = ContractStore([*known.all, *sets])
    form = json.loads(json.dumps(store.to_json()))
    read = ContractStore.from_json(form)
    assert read.to_json() == store.to_json()
    assert read.digest == store.digest
    for one in sets:
        other = read.view(one.name)
        assert isinstance(other, TrainingSet)
        assert (other.target, other.splits, other.provenance) == (one.target, one.splits, one.provenance)
        assert other.code_version == one.code_version
        assert_frame_equal(other.compute().collect(), one.compute().collect(), check_row_order=False)
    local = training_set("local", lambda: facts_of_a_module(), features=known.features)
    with pytest.raises(UnsupportedError, match="no other process could import"):
        ContractStore([*known.all, local]).to_json()
    assert len(local.code_version) == 32


def test_the_version_tells_another_split_and_another_feature() -> None:
    known = views()
    codes = [
        known.make().code_version,
        known.make(split=split_by_entity()).code_version,
        known.make(split=split_by_entity(seed=1)).code_version,
        known.make(min_match_rate=0.6).code_version,
        known.make(target_at="latest").code_version,
        known.make(max_age=dt.timedelta(1)).code_version,
    ]
    assert len(set(codes)) == len(codes)
    assert (
        known.make().version
        != known.make(features=[known.weather().wind], entity_columns={"airport": "origin"}).version
    )


# --- in Dagster -------------------------------------------------------------------------------------------


def run(
    made: TrainingSet[Any], known: Views, key: str, instance: dg.DagsterInstance
) -> dg.ExecuteInProcessResult:
    defs = build_definitions(ContractStore([*known.all, made]))
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, partition_key=key, asset_selection=[dg.AssetKey(made.name)], raise_on_error=False
    )


def test_it_is_an_asset_with_partitions_whose_checks_pass(tmp_path: Path) -> None:
    store = FileSource.directory(tmp_path)
    known = views()
    made = known.make(dataset_store=store, split=split_by_entity(), **MONTHS)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(made, known, "2024-01-01", instance)
        assert result.success
        checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
        assert set(checks) >= {"rule__leaked_weather", "rule__matched_weather", "rule__matched_towns"}
        assert all(checks.values())
        assert made.read(part="2024-01-01").collect().height == 3

        assert run(made, known, "2024-01-01", instance).success
        worse = views(FLIGHTS | {"delay": [0.0, 20.0, 3.0, 1.0]})
        changed = worse.make(dataset_store=store, split=split_by_entity(), **MONTHS)
        failed = run(changed, worse, "2024-01-01", instance)
        assert not failed.success
        told = [event.step_failure_data.error for event in failed.all_events if event.is_step_failure]
        assert "partition '2024-01-01' there are 3 rows" in str(told)
        assert run(changed, worse, "2024-02-01", instance).success
        assert made.read().collect()["is_late"].sum() == 2


def test_in_dagster_too_a_later_row_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = views()
    made = known.make(dataset_store=FileSource.directory(tmp_path), **MONTHS)
    honest = training_source.with_features

    def leaking(*arguments: Any) -> pl.LazyFrame:
        rows = honest(*arguments)
        return rows.with_columns((pl.col("leaves") + pl.duration(days=1)).alias("weather__event_timestamp"))

    monkeypatch.setattr(training_source, "with_features", leaking)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(made, known, "2024-01-01", instance)
    assert not result.success
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks["rule__leaked_weather"] is False
    assert not list(tmp_path.glob("late_flights/**/*.parquet"))
