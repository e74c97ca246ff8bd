"""Training sets on an engine: facts, features, target and split are those that polars finds."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aligned_dagster import (
    ContractStore,
    CreatedTimestamp,
    CustomMethodDataSource,
    EventTimestamp,
    FeatureView,
    FileSource,
    Float,
    InMemorySource,
    Int16,
    Int32,
    Int64,
    List,
    String,
    Timestamp,
    TrainingSet,
    feature_view,
    publish,
    split_at_random,
    split_by_entity,
    split_by_time,
    training_set,
)
from aligned_dagster.contracts.publish import Publication
from aligned_dagster.contracts.reading_on import Reader
from aligned_dagster.errors import ContractError, PublishError, UnsupportedError
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.sources.engines.session import EngineSession, engine_session
from tests.engines.conftest import SPARK

START = dt.datetime(2024, 10, 26, 23, 30, tzinfo=dt.UTC)
"""Half an hour before the clocks of Oslo are turned back."""
OSLO = "Europe/Oslo"
Frames = Mapping[str, pl.DataFrame]


# --- any facts, any features ------------------------------------------------------------------------------


MOMENTS = [START + dt.timedelta(minutes=10 * n) for n in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15)]
LOCAL = [m.astimezone(ZoneInfo(OSLO)).replace(tzinfo=None) for m in MOMENTS]
IDS = [1, 1, 1, 2, -3, None]
NAMES = ["a", "a", "a", "", "é 'b'", None]
REALS = [1.5, -0.0, 7.25, float("nan"), -3.0, None]
WHOLES = [0, 1, 7, -5, None]
ZONED = pl.Datetime("us", "UTC")
TABLES: dict[str, dict[str, tuple[pl.DataType | type[pl.DataType], Sequence[Any]]]] = {
    "facts": {
        "id": (pl.Int64, [*IDS, 2**40]),
        "name": (pl.String, NAMES),
        "leaves": (ZONED, [*MOMENTS, None]),
        "late": (pl.Boolean, [True, False, None]),
    },
    "weather": {
        "id": (pl.Int32, IDS),
        "name": (pl.String, NAMES),
        "at": (ZONED, [*MOMENTS, None]),
        "seen": (ZONED, [*MOMENTS, None]),
        "wind": (pl.Float64, REALS),
        "gust": (pl.Int16, WHOLES),
        "tags": (pl.List(pl.String), [["x", None], [], None]),
    },
    "local": {"id": (pl.Int64, IDS), "at": (pl.Datetime("us"), LOCAL), "dew": (pl.Float64, REALS)},
    "towns": {"name": (pl.String, NAMES), "people": (pl.Int32, WHOLES)},
    "visits": {
        "name": (pl.String, NAMES),
        "at": (ZONED, [*MOMENTS, None]),
        "seen": (ZONED, [*MOMENTS, None]),
        "amount": (pl.Float64, REALS),
        "kind": (pl.String, ["x", "y", None]),
    },
    "outcomes": {
        "id": (pl.Int64, IDS),
        "leaves": (ZONED, MOMENTS),
        "told": (ZONED, MOMENTS),
        "grade": (pl.Int32, WHOLES),
    },
}
UNIQUE = {
    "weather": ["id", "name", "at", "seen"],
    "local": ["id", "at"],
    "towns": ["name"],
    "visits": ["name", "at"],
    "outcomes": ["id", "leaves", "told"],
}
"""Of rows of one key and the same times an engine may take any."""


def frames_of(rows: Mapping[str, Sequence[Any]]) -> Frames:
    found = {}
    for table, columns in TABLES.items():
        schema = {name: dtype for name, (dtype, _) in columns.items()}
        frame = pl.DataFrame(rows[table], schema=schema, orient="row")
        if table in UNIQUE:
            frame = frame.unique(UNIQUE[table], keep="first", maintain_order=True)
        found[table] = frame
    return found | {"facts": found["facts"].with_row_index("row").cast({"row": pl.Int64})}


def drawn(seed: int, rows: int) -> Frames:
    dice = random.Random(seed)
    return frames_of(
        {
            table: [tuple(dice.choice(values) for _, values in columns.values()) for _ in range(rows)]
            for table, columns in TABLES.items()
        }
    )


some_rows = st.fixed_dictionaries(
    {
        table: st.lists(st.tuples(*(st.sampled_from(v) for _, v in columns.values())), max_size=14)
        for table, columns in TABLES.items()
    }
)


@dataclass
class World:
    """Views of all kinds over some rows."""

    weather: FeatureView[Any]
    local: FeatureView[Any]
    towns: FeatureView[Any]
    visits: FeatureView[Any]
    totals: FeatureView[Any]
    outcomes: FeatureView[Any]


def world(frames: Frames) -> World:
    source = {name: InMemorySource(frame) for name, frame in frames.items()}

    @feature_view(source=source["weather"])
    class Weather:
        id = Int32().as_entity()
        name = String().as_entity()
        at = EventTimestamp()
        seen = CreatedTimestamp().is_optional()
        wind = Float().is_optional().default_value(0.5)
        gust = Int16().is_optional()
        tags = List(String()).is_optional()
        twice = wind * 2

    @feature_view(source=source["local"], time_zone=OSLO)
    class Local:
        id = Int64().as_entity()
        at = EventTimestamp(time_zone=None, ttl=dt.timedelta(minutes=30))
        dew = Float().is_optional()

    @feature_view(source=source["towns"])
    class Towns:
        name = String().as_entity()
        people = Int32().is_optional().default_value(-1)

    @feature_view(source=source["visits"])
    class Visits:
        name = String().as_entity()
        at = EventTimestamp()
        seen = CreatedTimestamp().is_optional()
        amount = Float().is_optional()
        kind = String().is_optional()

        cents = amount * 100
        sum_20m = cents.aggregate().over(minutes=20).sum()
        mean_20m = amount.aggregate().over(minutes=20).mean()
        rows_70m = amount.aggregate().over(minutes=70).len()
        last_70m = kind.aggregate().over(minutes=70).last()
        some_70m = amount.aggregate().over(minutes=70).where(kind == "x").sum()
        share = mean_20m / rows_70m

    @feature_view(source=source["visits"])
    class Totals:
        name = String().as_entity()
        at = EventTimestamp()
        amount = Float().is_optional()
        kind = String().is_optional()

        rows = kind.aggregate().len()
        most = amount.aggregate().max()
        kinds = kind.aggregate().to_list()

    @feature_view(source=source["outcomes"])
    class Outcomes:
        id = Int64().as_entity()
        leaves = EventTimestamp()
        told = CreatedTimestamp()
        grade = Int32().is_optional()

    return World(Weather, Local, Towns, Visits, Totals, Outcomes)


FEATURES: dict[str, Sequence[str]] = {
    "weather": ("wind", "tags", "twice"),
    "local": ("dew",),
    "towns": ("people",),
    "visits": ("sum_20m", "rows_70m", "last_70m", "some_70m", "share"),
    "totals": ("rows", "most", "kinds"),
}


@dataclass(frozen=True)
class Asked:
    """How a training set is asked for.

    Args:
        target: "row" for a column of the facts, else when it is true; None for none.
        split: which.
        naive: whether facts have times without a zone.
        age: of features at most, in steps of ten minutes.
        views: of which features are wanted.
    """

    target: str | None
    split: str | None
    naive: bool = False
    age: int | None = None
    views: Sequence[str] = tuple(FEATURES)

    def of(self, frames: Frames) -> TrainingSet[Any]:
        known, facts = world(frames), frames["facts"]
        if self.naive:
            facts = facts.with_columns(pl.col("leaves").dt.convert_time_zone(OSLO).dt.replace_time_zone(None))
        options: dict[str, Any] = {}
        if self.target == "row":
            options["target"] = "late"
        elif self.target is not None:
            options |= {"target": known.outcomes().grade, "target_at": self.target}
        if self.age is not None:
            options["max_age"] = dict.fromkeys(self.views, dt.timedelta(minutes=10 * self.age))
        features = [getattr(getattr(known, view)(), name) for view in self.views for name in FEATURES[view]]
        return training_set(
            "asked",
            facts,
            features={f"{feature.origin.column} `is` a.b": feature for feature in features},
            event_timestamp_column="leaves",
            entities=["row", "id", "name"],
            split=None if self.split is None else SPLITS[self.split],
            **options,
        )


SPLITS = {
    "by time": split_by_time(START + dt.timedelta(minutes=30), START + dt.timedelta(minutes=60)),
    "by entity": split_by_entity(0.5, 0.2, entities=["id"]),
    "at random": split_at_random(0.5, 0.2, seed=3),
}
asked = st.builds(
    Asked,
    st.sampled_from([None, "row", "fact", "latest"]),
    st.sampled_from([None, *SPLITS]),
    st.booleans(),
    st.none() | st.integers(0, 4),
    st.lists(st.sampled_from(list(FEATURES)), min_size=1, max_size=2, unique=True),
)


def assert_same_rows(session: EngineSession, made: TrainingSet[Any]) -> pl.DataFrame:
    types = {column.name: column.dtype for column in made.schema.columns}
    got = session.collect(Reader(session).read(made), types).sort("row")
    truth = made.read().collect().sort("row")
    assert_frame_equal(got, truth, rel_tol=1e-9, abs_tol=1e-9)
    return truth


@pytest.fixture(params=["duckdb", "spark"])
def session(request: pytest.FixtureRequest) -> EngineSession:
    """Each engine."""
    if request.param == "spark":
        return request.getfixturevalue("spark")  # type: ignore[no-any-return]  # that is what it gives
    return engine_session("duckdb")


@settings(max_examples=20, deadline=None)
@given(rows=some_rows, how=asked)
def test_duckdb_finds_what_polars_finds(rows: Mapping[str, Sequence[Any]], how: Asked) -> None:
    assert_same_rows(engine_session("duckdb"), how.of(frames_of(rows)))


HARD = {
    "naive times, the latest target, at random": Asked("latest", "at random", naive=True),
    "features of an age, the target of the time, by time": Asked("fact", "by time", age=2),
}


WITH_TIMES = ("weather", "local", "visits", "totals")


@pytest.mark.parametrize("how", HARD)
def test_of_many_rows_too(how: str, session: EngineSession) -> None:
    truth = assert_same_rows(session, HARD[how].of(drawn(7, 400)))
    assert truth.height == 400
    assert set(truth["split"]) >= {"train", "test"}
    told = truth.select(pl.col(f"{view}__event_timestamp").is_not_null().sum() for view in WITH_TIMES)
    assert all(20 < found < 380 for found in told.row(0))


# --- published --------------------------------------------------------------------------------------------

DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
DAILY: dict[str, Any] = {"materialize_from": dt.date(2024, 1, 1), "every": "daily", "time_zone": OSLO}


def hours(numbers: Iterable[int]) -> list[dt.datetime]:
    return [DAY + dt.timedelta(hours=number) for number in numbers]


def trips(directory: Path, delays: Sequence[float] = (0, 7, 30, 12), **options: Any) -> TrainingSet[Any]:
    """Trips, by names that no engine would take as they are, with the winds where they start and the latest trips there."""
    number = range(40)
    rows = {
        "trip": number,
        "left.at": hours(2 * n for n in number),
        "due": hours(2 * n + 5 for n in number),
        "from.stop": ["abc"[n % 3] for n in number],
        "delay": [float(delays[n % len(delays)]) for n in number],
    }
    kept = FileSource.partitioned_parquet_at(str(directory / "trips"), ["from.stop"])
    fields: dict[str, Any] = {
        "trip": Int64().as_entity(),
        "left.at": EventTimestamp(),
        "due": Timestamp(),
        "from.stop": String(),
        "delay": Float(),
    }
    fields["is.late"] = fields["delay"] > 10
    made = type("Trips", (), fields)
    view = feature_view(source=InMemorySource.from_values(rows), materialized_source=kept)(made)
    publish(view)

    winds = {
        "from.stop": ["a", "a", "b", "b", "c"],
        "seen.at": hours([0, 40, 1, 30, 200]),
        "wind 1": [1.5, None, 3.0, 4.0, 9.0],
    }
    fields = {"from.stop": String().as_entity(), "seen.at": EventTimestamp()}
    fields["wind 1"] = Float().is_optional().default_value(2.5)
    weather = feature_view(source=InMemorySource.from_values(winds))(type("Weather", (), fields))

    fields = {"from.stop": String().as_entity(), "left.at": EventTimestamp(), "delay": Float()}
    fields["mean.delay"] = fields["delay"].aggregate().over(hours=9).mean()
    fields["trips"] = fields["delay"].aggregate().over(days=1).len()
    lately = feature_view(source=view)(type("Lately", (), fields))

    known = view()
    return training_set(
        "late_trips",
        view.filter("not_c", getattr(known, "from.stop") != "c"),
        features={
            "the.wind": getattr(weather(), "wind 1"),
            "mean.delay": getattr(lately(), "mean.delay"),
            "trips": lately().trips,
        },
        target=getattr(known, "is.late"),
        entities=["trip"],
        **{"split": split_by_time(dt.date(2024, 1, 2)), "min_match_rate": 0.2, **options},
    )


def on(made: TrainingSet[Any], engine: Engine) -> TrainingSet[Any]:
    found = ContractStore([made]).with_engine(engine, spark=SPARK).view(made.name)
    assert isinstance(found, TrainingSet)
    return found


def told(publication: Publication) -> list[tuple[Any, ...]]:
    outcomes = publication.report.outcomes
    return [(one.name, one.status, one.rows, one.broken) for one in outcomes]


def assert_published_alike(
    found: Sequence[Publication], truth: Sequence[Publication], engine: Engine
) -> None:
    assert [(told(one), one.rows) for one in found] == [(told(one), one.rows) for one in truth]
    assert {(one.engine, one.audited_on) for one in found} == {(engine, engine)}


def test_windows_are_published_as_by_polars(session: EngineSession, tmp_path: Path) -> None:
    found = []
    for name in (session.name, "polars"):
        made = on(trips(tmp_path / name, dataset_store=FileSource.directory(tmp_path / name), **DAILY), name)  # type: ignore[arg-type]  # both are engines
        parts = [publish(made, part=made.part(f"2024-01-0{day}")) for day in (1, 2)]
        found.append((made, parts, made.read().sort("trip").collect()))
    (ours, ours_parts, ours_rows), (truth, truth_parts, truth_rows) = found
    assert_published_alike(ours_parts, truth_parts, session.name)
    assert_frame_equal(ours_rows, truth_rows, rel_tol=1e-9, abs_tol=0)
    assert [one.rows for one in truth_parts] == [8, 8]
    assert str(ours.report()) == str(truth.report())
    assert ours.report().leaked == 0
    parts = ours.train_test_validate()
    assert parts.train.collect().height + parts.test.collect().height == 16
    assert truth_rows["the.wind"].n_unique() == 4
    assert truth_rows["mean.delay"].null_count() == 0


def test_a_set_is_written_once_whatever_the_engine(tmp_path: Path) -> None:
    place = FileSource.parquet_at(str(tmp_path / "late_trips.parquet"))
    options: dict[str, Any] = {
        "dataset_store": place,
        "event_timestamp_column": "due",
        "split": split_by_entity(),
    }
    made = trips(tmp_path, **options)
    assert publish(made).rows == 27
    stored = place.fingerprint()
    first = made.read().sort("trip").collect()
    again = on(made, "duckdb")
    assert (publish(again).rows, place.fingerprint()) == (27, stored)
    other = on(trips(tmp_path / "other", delays=[1, 2], **options), "duckdb")
    with pytest.raises(PublishError, match="late_trips"):
        publish(other)
    assert place.fingerprint() == stored
    assert_frame_equal(made.read().sort("trip").collect(), first)


def test_facts_may_ask_at_another_time_than_their_view_has(tmp_path: Path) -> None:
    """A window is of the times that facts ask at, and its rows are spread over others of the view."""
    stored = []
    for engine in ("duckdb", "polars"):
        place = FileSource.directory(tmp_path / engine)
        made = trips(tmp_path / engine, dataset_store=place, event_timestamp_column="due", **DAILY)
        made = on(made, engine)  # type: ignore[arg-type]  # both are engines
        publish(made, part=made.part("2024-01-02"))
        stored.append(made.read().sort("trip").collect())
    assert_frame_equal(*stored, rel_tol=1e-9, abs_tol=0)
    assert stored[0].height == 8
    assert stored[0]["due"].dt.convert_time_zone(OSLO).dt.date().unique().to_list() == [dt.date(2024, 1, 2)]


def test_rows_at_hand_take_the_place_of_views() -> None:
    known = world(drawn(5, 30))
    made = Asked("latest", None, views=["weather", "towns"]).of(drawn(5, 30))
    frames = {
        "weather": known.weather.read().with_columns(wind=pl.lit(4.0)),
        "towns": known.towns.read().head(1),
        "outcomes": known.outcomes.read().with_columns(grade=pl.lit(3, dtype=pl.Int32)),
    }
    session = engine_session("duckdb")
    types = {column.name: column.dtype for column in made.schema.columns}
    got = session.collect(Reader(session, frames).read(made), types).sort("row")
    assert_frame_equal(got, made.read(frames).sort("row").collect())
    assert set(got["grade"]) == {3, None}


# --- where it runs, and what cannot be ------------------------------------------------------------------------


def test_an_engine_may_be_stated_and_is_no_part_of_the_version() -> None:
    frames = drawn(1, 3)
    options: dict[str, Any] = {"features": [world(frames).towns().people]}
    plain = training_set("named", frames["facts"], **options)
    stated = training_set("named", frames["facts"], engine="duckdb", **options)
    assert (stated.version, stated.code_version) == (plain.version, plain.code_version)
    assert "engine" not in plain.to_json()
    read = ContractStore.from_json(ContractStore([stated, world(frames).towns]).to_json()).view("named")
    assert (read.engine, on(stated, "spark").engine, on(plain, "spark").engine) == (
        "duckdb",
        "duckdb",
        "spark",
    )
    with pytest.raises(ContractError, match=r"engine of named is one of .*got 'ray'"):
        training_set("named", frames["facts"], engine="ray", **options)  # type: ignore[misc]  # that is the point


def test_programs_ask_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the engine of the contracts: none is started for what is not published."""

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("an engine was asked for")

    frames = drawn(2, 20)
    known = world(frames)
    made = on(Asked("latest", "by time").of(frames), "duckdb")
    store = ContractStore([known.towns, known.totals, made]).with_engine("duckdb")
    monkeypatch.setattr(Reader, "read", never)
    monkeypatch.setattr(Reader, "compute", never)
    assert made.query().all().collect().height == 20
    facts = {"name": ["a"], "at": [MOMENTS[-1]]}
    found = store.features_for(facts, features=["towns:people", "totals:rows"], event_timestamp_column="at")
    assert found.collect().height == 1
    with pytest.raises(AssertionError, match="an engine was asked for"):
        publish(made)


def found_by_a_function(facts: pl.LazyFrame) -> pl.LazyFrame:
    return facts.with_columns(score=1.0)


def test_what_an_engine_cannot_find_is_told_when_it_is_loaded() -> None:
    frames = drawn(3, 5)

    @feature_view(source=CustomMethodDataSource.from_methods(features_for=found_by_a_function))
    class Scores:
        name = String().as_entity()
        score = Float()

    @feature_view(source=InMemorySource(frames["visits"]), engine="polars")
    class Visits:
        name = String().as_entity()
        at = EventTimestamp()
        kind = String().is_optional()
        last = kind.aggregate().over(days=1).last()

    @feature_view(source=InMemorySource(frames["towns"]))
    class Towns:
        name = String().as_entity()
        people = Int32().is_optional()
        token = people.hash_value()

    def made(**options: Any) -> TrainingSet[Any]:
        features = [Scores().score, Visits().last, Towns().token]
        return training_set(
            "many", frames["facts"], features=features, event_timestamp_column="leaves", **options
        )

    with pytest.raises(UnsupportedError) as caught:
        on(made(), "spark")
    lines = str(caught.value).splitlines()
    assert lines[0] == "This cannot be computed on Spark:"
    assert lines[1].startswith("  many, scores.score: ") and "test_training_sets.py" in lines[1]
    assert lines[2].startswith("  many, visits.last: visits is computed on polars, ")
    assert lines[3].startswith("  towns.token: hash")
    assert 'training_set(..., engine="polars")' in lines[4] and len(lines) == 5
    with pytest.raises(UnsupportedError, match=r"many, scores\.score"):
        made(engine="duckdb")
    assert on(made(engine="polars"), "spark").engine == "polars"
