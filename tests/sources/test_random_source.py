"""Random rows: they keep every rule, repeat for a seed, and say clearly what cannot be."""

from __future__ import annotations

import datetime as dt
import os
import pickle
import subprocess
import sys
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aligned_dagster import (
    CreatedTimestamp,
    EventTimestamp,
    Float,
    InMemorySource,
    Int8,
    Int32,
    Int64,
    List,
    RandomDataSource,
    String,
    Timestamp,
    UInt8,
    concat_str,
    feature_view,
    rule,
)
from aligned_dagster.errors import AlignedError, ConfigurationError, UnsupportedError
from aligned_dagster.features import constraints as rules
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Call, ColumnRef
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.quality.audit import audit
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.generation.regex import PatternTexts
from aligned_dagster.sources.source import source_from_json, source_to_json

from .behaviours import Answers, Stored, Travels, same

TYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "string",
    "uuid", "json", "date", "time", "duration", "binary", "decimal(38,2)", "decimal(5,5)", "decimal(3,0)",
    "timestamp(us,UTC)", "timestamp(us,Europe/Oslo)", "timestamp(us,)", "list(int32)", "list(struct(a:string))",
    "embedding(3,float32)", "struct(a:int32,b:uuid)",
]  # fmt: skip
PATTERNS = [
    "^[A-Z0-9]{3}$", r"^\d{4}-\d{2}$", "cat|dog", r"\p{Lu}[[:alpha:]]+", "(?i)^abc$", "^[^a-z]+$", "^.+@.+$",
    r"^(?P<word>\w+)\s(?<other>[xyz]*)\z", r"^(a(?:b|cd?){2,4})?e$", "",
]  # fmt: skip


def column(name: str, dtype: str, role: Any = "feature", *found: Any, **facts: Any) -> Column:
    kind = DataType.from_text(dtype)
    not_null = () if facts.get("optional") else (rules.NotNull(),)
    return Column(name, kind, role, constraints=(*not_null, *found), **facts)


def rows_of(schema: Schema, size: int = 200, seed: int = 0, **fields: Any) -> pl.DataFrame:
    stored = Schema(schema.stored)
    request = RetrievalRequest("made_up", stored, promise=schema)
    return RandomDataSource(default_data_size=size, seed=seed, **fields).all_data(request).collect()


def check(schema: Schema, size: int = 200, seed: int = 0) -> pl.DataFrame:
    from aligned_dagster.features.plan import with_derived

    rows = rows_of(schema, size, seed)
    assert rows.height == size
    whole = with_derived(rows.lazy(), schema.derivations).select(schema.names)
    report = audit(whole, schema, contract="made_up")
    assert report.passed, str(report)
    return rows


# --- every type and rule ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type(dtype: str) -> None:
    schema = Schema(
        (
            column("id", "int64", "entity"),
            column("plain", dtype),
            column("maybe", dtype, optional=True),
            column("other", dtype),
        )
    )
    rows = check(schema, 400)
    assert 10 <= rows["maybe"].null_count() <= 80
    assert rows["plain"].n_unique() >= min(2, rows["plain"].len())
    assert rows["plain"].to_list() != rows["other"].to_list()


bounds: dict[str, st.SearchStrategy[Any]] = {
    "int8": st.integers(-128, 127),
    "uint64": st.integers(0, 2**64 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(-1e300, 1e300),
    "float32": st.floats(-(2.0**100), 2.0**100, width=32),
    "decimal(12,3)": st.decimals(-1000, 1000, places=2),
    "date": st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
    "timestamp(us,UTC)": st.datetimes(
        dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)
    ),
    "timestamp(us,)": st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)),
    "time": st.times(),
    "duration": st.timedeltas(dt.timedelta(days=-900), dt.timedelta(days=900)),
    "string": st.text("abcxyz", max_size=3),
}


@st.composite
def bounded(draw: Any, name: str) -> Column:
    dtype = draw(st.sampled_from(sorted(bounds)))
    low, high = sorted([draw(bounds[dtype]), draw(bounds[dtype])])
    assume(low < high)
    kinds = [rules.LowerBound(low, draw(st.booleans())), rules.UpperBound(high, draw(st.booleans()))]
    if dtype in {"int8", "uint64", "int64"} or dtype == "date":
        kinds = [type(kind)(kind.value) for kind in kinds]
    found = draw(st.sampled_from([kinds, kinds[:1], kinds[1:]]))
    if dtype == "string":
        found = kinds[:1]
    elif dtype == "time" and len(found) == 1:
        found = [type(found[0])(found[0].value)]
    return column(name, dtype, "feature", *found, optional=draw(st.booleans()))


@st.composite
def texts(draw: Any, name: str) -> Column:
    least = draw(st.integers(0, 8))
    found: list[Any] = [rules.MinLength(least)] if draw(st.booleans()) else []
    if draw(st.booleans()):
        found.append(rules.MaxLength(least + draw(st.integers(12, 40))))
    if draw(st.booleans()):
        found.append(rules.StartsWith(draw(st.sampled_from(["a", "ab", "Q-", "æ"]))))
    if draw(st.booleans()):
        found.append(rules.EndsWith(draw(st.sampled_from(["z", "yz", "-1", "ø"]))))
    if not found and draw(st.booleans()):
        found.append(rules.Regex(draw(st.sampled_from(PATTERNS))))
    return column(name, "string", "feature", *found, optional=draw(st.booleans()))


@st.composite
def chosen(draw: Any, name: str) -> Column:
    dtype, values = draw(
        st.sampled_from(
            [
                ("string", ("a", "b", "c")),
                ("int16", (1, 2, 3, 500)),
                ("float64", (0.5, -1.5)),
                ("date", (dt.date(2020, 1, 1), dt.date(2021, 5, 5))),
            ]
        )
    )
    return column(name, dtype, "feature", rules.AcceptedValues(values), optional=draw(st.booleans()))


@st.composite
def schemas(draw: Any) -> Schema:
    keys = draw(
        st.sampled_from(
            [
                (column("id", "int32", "entity"),),
                (column("id", "string", "entity", rules.Regex("^[A-Z]{3}[0-9]$")),),
                (column("id", "uuid", "entity"), column("at", "timestamp(us,UTC)", "event_timestamp")),
                (
                    column("id", "string", "entity", rules.AcceptedValues(("x", "y"))),
                    column("number", "int16", "entity"),
                    column("at", "timestamp(us,Europe/Oslo)", "event_timestamp"),
                    column("made", "timestamp(us,UTC)", "created_timestamp"),
                ),
                (column("code", "string", "feature", rules.Unique()),),
            ]
        )
    )
    kinds = st.sampled_from([bounded, texts, chosen])
    features = [draw(draw(kinds)(f"f{number}")) for number in range(draw(st.integers(0, 4)))]
    more: list[Column] = []
    predicates: list[rules.Rule] = []
    if draw(st.booleans()):
        more += [column("a", "int32"), column("b", "int32", "feature", rules.Unique())]
        sum_of = Call("add", ColumnRef("a"), ColumnRef("b"))
        more.append(column("total", "int32", "feature", rules.LowerBound(300), derivation=sum_of))
        predicates.append(rules.Rule("smaller", Call("lt", ColumnRef("a"), ColumnRef("b"))))
    return Schema((*keys, *features, *more), tuple(predicates))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema=schemas(), seed=st.integers(0, 2**32), size=st.sampled_from([0, 1, 7, 150]))
def test_random_contracts_pass_their_audit(schema: Schema, seed: int, size: int) -> None:
    rows = check(schema, size, seed)
    assert_frame_equal(rows, rows_of(schema, size, seed))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(pattern: str) -> None:
    maker = PatternTexts(pattern, seed=3)
    texts = pl.Series([maker.next() for _ in range(200)])
    assert texts.str.contains(pattern).mean() > 0.9
    check(Schema((column("id", "int32", "entity"), column("x", "string", "feature", rules.Regex(pattern)))))


def test_rules_together_on_one_text() -> None:
    found = [
        rules.Regex("^N[0-9]{1,5}[A-Z]{0,2}$"), rules.StartsWith("N1"), rules.EndsWith("A"), rules.MinLength(6),
        rules.MaxLength(7), rules.Unique(),
    ]  # fmt: skip
    rows = check(Schema((column("x", "string", "feature", *found),)))
    assert rows["x"].str.contains("^N1[0-9]*[A-Z]*A$").all()


# --- rules between columns ------------------------------------------------------------------------------------


def test_rules_between_columns_and_on_derived_ones() -> None:
    @feature_view(source=RandomDataSource(default_data_size=500))
    class Order:
        order_id = Int64().as_entity()
        at = EventTimestamp()
        written = CreatedTimestamp()
        starts = Timestamp()
        ends = Timestamp()
        price = Int64()
        count = Int64().is_optional()
        total = Int64()
        status = String()
        reason = String().is_optional()
        name = String()
        share = (price / 100).bounded_between(0.5, 7.5)
        code = concat_str(status, name).is_unique()

        later = rule(ends > starts)
        after_the_order = rule(starts >= at)
        adds_up = rule(total == price + 10)
        said_why = rule((status != "cancelled") | reason.is_not_null())
        few = rule((status == "cancelled") | (price < 500))

    job = Order.query().all()
    report = job.audit()
    assert report.passed, str(report)
    rows = job.collect()
    assert rows.height == 500
    assert (rows["written"] >= rows["at"]).all()
    assert 0 < rows["count"].null_count() < 150
    assert rows["order_id"].n_unique() < 500


def test_an_impossible_rule_is_named() -> None:
    @feature_view(source=RandomDataSource(default_data_size=50))
    class Impossible:
        id = Int32().as_entity()
        small = Int32().upper_bound(10)
        large = Int32().lower_bound(20)
        upside_down = rule(small > large, "small is more than large")

    with pytest.raises(
        UnsupportedError, match=r"impossible.*rule upside_down \(small is more than large\).*Tried last: "
    ):
        Impossible.query().all().collect()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            (column("x", "int8", "feature", rules.LowerBound(5), rules.UpperBound(4)),),
            "no value lies between its bounds",
        ),
        ((column("x", "int8", "feature", rules.LowerBound(500)),), "no value lies between its bounds"),
        (
            (column("x", "int8", "entity", rules.UpperBound(10), rules.LowerBound(1)),),
            "200 rows that differ in x: 10 were found",
        ),
        (
            (
                column("x", "bool", "entity"),
                column("y", "string", "entity", rules.AcceptedValues(("a", "b"))),
            ),
            r"differ in x \+ y: 4 were found.*y must be one of 'a', 'b'.*default_data_size=4",
        ),
        (
            (column("x", "string", "feature", rules.AcceptedValues(("a",)), rules.Unique()),),
            "200 different values are needed, and there are 1",
        ),
        (
            (column("x", "string", "feature", rules.AcceptedValues(("a",)), rules.MinLength(2)),),
            "no accepted value that keeps its other rules",
        ),
        (
            (column("x", "string", "feature", rules.StartsWith("abc"), rules.MaxLength(2)),),
            "no text was found that keeps them all",
        ),
        ((column("x", "string", "feature", rules.Regex("^a$"), rules.Unique()),), "200 different values"),
        (
            (column("x", "string", "feature", rules.Regex("[a-z&&[^aeiou]]")),),
            "only Rust's regex crate knows",
        ),
    ],
)
def test_impossible_columns_are_named(columns: tuple[Column, ...], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        rows_of(Schema(columns))


def test_fewer_rows_where_that_is_allowed() -> None:
    schema = Schema(
        (column("x", "string", "entity", rules.AcceptedValues(("a", "b", "c"))), column("y", "int8"))
    )
    rows = rows_of(schema, 1_000, exact_size=False)
    assert sorted(rows["x"]) == ["a", "b", "c"]


def test_a_derivation_that_fails_says_so() -> None:
    @feature_view(source=RandomDataSource(default_data_size=5))
    class Texts:
        id = Int32().as_entity()
        text = String()
        number = text.as_int().lower_bound(3)

    with pytest.raises(UnsupportedError, match=r"cannot be derived from.*columns text .*pattern"):
        Texts.query().all().collect()


def test_all_values_of_a_small_key() -> None:
    schema = Schema(
        (column("x", "uint8", "entity", rules.UpperBound(9)), column("y", "bool", "entity"), column("z", "int8", optional=True))
    )  # fmt: skip
    check(schema, 20)
    check(Schema((column("x", "uint8", "feature", rules.Unique()),)), 256)


# --- the same again ---------------------------------------------------------------------------------------


@feature_view(source=RandomDataSource(default_data_size=100, seed=5))
class Reading:
    station = String().as_entity()
    time = EventTimestamp()
    level = Float().is_optional().bounded_between(-5, 5)
    code = String().validate_regex("^[^x]{3,}[0-9]$")
    count = UInt8()
    kinds = List(Int8())
    high = level > 2
    sane = rule((count > 3) | (level < 0))


def test_the_same_rows_in_every_process() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.sources.test_random_source import Reading\n"
        "sys.stdout.write(Reading.query().all().collect().write_json())\n"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    texts = {
        subprocess.run(
            [sys.executable, "-c", script, root],
            env={**os.environ, "PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert texts == {Reading.query().all().collect().write_json()}


def test_known_values_stay() -> None:
    """What a seed gives is part of the contract with tests that build on it."""
    schema = Schema(
        (column("id", "int32", "entity"), column("x", "int32"), column("y", "string"), column("z", "float64"))
    )
    assert rows_of(schema, 3, seed=1).rows() == [
        (1, 913, "kagqzpaagb", 369.384),
        (2, 995, "mowswmbsvk", 650.2),
        (3, 689, "jvnfziyk", 883.426),
    ]
    assert rows_of(schema, 3, seed=1)["x"].to_list() != rows_of(schema, 3, seed=2)["x"].to_list()
    assert rows_of(schema, 30, seed=1).head(3).rows() == rows_of(schema, 3, seed=1).rows()


def test_a_projection_changes_nothing() -> None:
    whole = Reading.query().all().collect()
    for name in ("count", "code", "station", "high"):
        part = Reading.query().select(name).all().collect()
        assert part[name].to_list() == whole[name].to_list()


def test_an_entity_keeps_its_values() -> None:
    @feature_view(source=RandomDataSource(default_data_size=50))
    class Person:
        id = Int32().as_entity()
        name = String()
        age = Int32().bounded_between(0, 120)
        weight = Int32().bounded_between(0, 120)
        less = rule(weight < age)

    everybody = Person.query().all().collect()
    asked = Person.query().features_for({"id": [7, 1_000, 3, 7, None, 2_000]}).collect()
    for place, person in enumerate([7, None, 3, 7]):
        if person is not None:
            assert asked.row(place) == everybody.filter(id=person).row(0)
    assert asked.row(4) == (None, None, None, None)
    alone = Person.query().features_for({"id": [2_000]}).collect()
    assert alone.row(0) == asked.row(5)
    assert asked["weight"][5] < asked["age"][5]


# --- given values ---------------------------------------------------------------------------------------------


class TestWithValues(Answers, Travels):
    """A random source that was given all values is a source like any other."""

    @pytest.fixture
    def stored(self) -> Stored:
        return lambda rows: RandomDataSource(partial_data=InMemorySource(rows), seed=3)

    def test_reads(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        source = stored(rows)
        same(source.all_data(request_for), rows)
        same(source.all_data(request_for.project(["count"])), rows.select("count"))
        day = dt.date(2013, 1, 1)
        same(source.all_between_dates(request_for, day, day), rows.filter(pl.col("day") == day))

    def test_point_in_time(self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest) -> None:
        at = [dt.datetime(2013, 1, day, 5, tzinfo=dt.UTC) for day in (2, 2, 3, 3)]
        before = dt.datetime(2012, 1, 1, tzinfo=dt.UTC)
        facts = pl.LazyFrame({"station": ["8", "007", "8", "unknown", "8"], "at": [*at, before]})
        found = (
            stored(rows)
            .features_for(facts, request_for.project(["count", "time"]), fact_timestamp="at")
            .collect()
        )
        assert found["count"].to_list()[:3] == [3, 2, 4]
        assert found["count"][3] is not None
        assert found["time"][3] <= at[3]
        assert found["count"][4] is None

    def test_json_pickle_and_fingerprint(
        self, stored: Stored, rows: pl.DataFrame, request_for: RetrievalRequest
    ) -> None:
        source = stored(rows.select("station"))
        for again in (source_from_json(source_to_json(source)), pickle.loads(pickle.dumps(source))):
            assert again == source
            assert hash(again) == hash(source)
            assert again.fingerprint() == source.fingerprint()
            assert_frame_equal(again.all_data(request_for).collect(), source.all_data(request_for).collect())
        assert source.fingerprint() != RandomDataSource().fingerprint()
        assert source.uri != RandomDataSource().uri

    def test_open_columns_and_nulls_are_filled(self, request_for: RetrievalRequest) -> None:
        source = RandomDataSource.with_values({"count": [1, None, 3], "level": [0.5, None, None]})
        found = source.all_data(request_for).collect()
        assert dict(found.schema) == request_for.polars
        assert found["count"][0] == 1
        assert found["count"].null_count() == 0 or found["count"].to_list() == [1, None, 3]
        assert found["level"].to_list() == [0.5, None, None]

    def test_unknown_columns(self) -> None:
        @feature_view(source=RandomDataSource.with_values({"aeg": [1]}))
        class One:
            age = Int32()

        @feature_view(source=RandomDataSource.with_values({"old": [True]}))
        class Two:
            age = Int32()
            old = age > 70

        with pytest.raises(ConfigurationError, match=r"'aeg'.*Did you mean 'age'\?"):
            One.query().all().collect()
        with pytest.raises(ConfigurationError, match="Give the columns that it is derived from"):
            Two.query().all().collect()

    def test_given_values_may_break_rules(self) -> None:
        @feature_view(source=RandomDataSource.with_values({"age": [-5, 3]}))
        class Person:
            age = Int32().lower_bound(0)
            name = String()

        assert Person.query().all().collect()["age"].to_list() == [-5, 3]
        assert not Person.query().all().audit().passed

    def test_given_entities_get_times_of_their_own(self) -> None:
        @feature_view(source=RandomDataSource.with_values({"id": [1] * 30}))
        class Seen:
            id = Int32().as_entity()
            at = EventTimestamp()

        assert Seen.query().all().audit().passed


# --- time and references ------------------------------------------------------------------------------------


def test_a_period_has_rows_of_its_own() -> None:
    first, last = dt.datetime(2030, 1, 1, 6, tzinfo=dt.UTC), dt.datetime(2030, 1, 1, 7, tzinfo=dt.UTC)
    found = Reading.query().between_dates(first, last).collect()
    assert found.height == 100
    assert found["time"].is_between(first, last).all()
    assert Reading.query().between_dates(dt.date(2030, 1, 1), dt.date(2030, 1, 1)).audit().passed

    @feature_view(source=RandomDataSource(default_data_size=10))
    class Old:
        id = Int32().as_entity()
        at = EventTimestamp(time_zone=None).upper_bound(dt.datetime(2020, 1, 1))

    assert Old.query().between_dates(first, last).collect().height == 0
    assert Old.query().all().collect()["at"].max() <= dt.datetime(2020, 1, 1)


def test_references_draw_from_the_rows_of_the_other_view() -> None:
    @feature_view(source=InMemorySource.from_values({"code": ["a", "b"]}))
    class Country:
        code = String().as_entity()

    @feature_view(source=RandomDataSource(default_data_size=40))
    class City:
        id = Int32().as_entity()
        country = String().reference_to(Country().code)
        twin = Int32().is_optional()

    report = City.query().all().audit()
    assert report.passed, str(report)
    assert set(City.query().all().collect()["country"]) == {"a", "b"}


def test_a_reference_to_nothing_known() -> None:
    schema = Schema((column("x", "string", "feature", rules.Reference("nowhere", "id")),))
    with pytest.raises(AlignedError, match=r"nowhere\.id, and that contract is not at hand"):
        rows_of(schema)


# --- what every source does -----------------------------------------------------------------------------------


class TestRandom(Answers, Travels):
    @pytest.fixture
    def stored(self) -> Stored:
        return lambda rows: RandomDataSource(default_data_size=rows.height, seed=7)


class TestRandomBesideGivenKeys(Answers, Travels):
    """Given stations and times; what stands beside them is made up."""

    @pytest.fixture
    def stored(self) -> Stored:
        return lambda rows: RandomDataSource(partial_data=InMemorySource(rows.select("station", "time")))
