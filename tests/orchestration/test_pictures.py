from __future__ import annotations

import datetime as dt
from urllib.parse import unquote
from xml.etree import ElementTree

import dagster as dg
import polars as pl
import pytest

from aligned_dagster import ContractStore, EventTimestamp, FileSource, Float, Int32, String, feature_view
from aligned_dagster.orchestration import ContractTranslator, TranslatorSettings, build_definitions
from aligned_dagster.orchestration.age_pictures import ages_picture
from aligned_dagster.orchestration.coverage import Coverage
from aligned_dagster.orchestration.coverage_pictures import coverage_picture
from aligned_dagster.orchestration.profile_pictures import profile_picture, profile_table
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.sampling import profile_of
from aligned_dagster.orchestration.svg import IN_PLACE
from aligned_dagster.quality.profile import ColumnProfile, Profile
from aligned_dagster.request.features_report import AGES, FeaturesReport, ViewFound

HOSTILE = "<script>alert(1)</script>](x) \"'&|\\`\x00\ud800 😀"


def drawn(value):
    """The SVG of a picture, parsed."""
    words, _, address = value.value.partition("](data:image/svg+xml,")
    assert words.startswith("![")
    assert not set("[]()<>\\`\n") & set(words.removeprefix("!["))
    assert address.endswith(")") and not set(" ()<>\\&\"'`") & set(address[:-1]) - {"'"}
    return ElementTree.fromstring(unquote(address[:-1]))


def texts(value):
    return [element.text for element in drawn(value).iter() if element.tag.endswith("text")]


def records(value):
    return [record.data for record in value.records]


def test_what_is_drawn_is_well_formed_whatever_columns_and_values_are_called():
    hostile = ColumnProfile(HOSTILE, 0.5, HOSTILE, HOSTILE, (0.5, 0.5), (), 2)
    named = ColumnProfile("b", 0.0, common=((HOSTILE, 0.7), ("b", 0.3)), distinct=2)
    root = drawn(profile_picture(Profile(9, 9, False, (hostile, named))))

    assert {element.tag.split("}")[1] for element in root.iter()} == {"svg", "style", "rect", "path", "text"}
    assert any("<script>" in (element.text or "") for element in root.iter())


def test_the_picture_of_many_columns_is_small():
    bins, common = tuple(0.01 * n for n in range(20)), tuple((f"value {n}", 0.2) for n in range(5))
    numbers = [ColumnProfile(f"n{n}", 0.1, "0", "123,456", bins, (), 9) for n in range(30)]
    words = [ColumnProfile(f"w{n}", 0.0, common=common, distinct=5) for n in range(30)]
    found = Profile(1_000_000, 50_000, False, (*numbers, *words), left_out=3)

    assert len(profile_picture(found).value) < 50_000
    table = records(profile_table(found))
    assert table[-1]["column"] == "and 3 more columns" and len(table) == 61
    assert table[0] | {"distribution": ""} == {
        "column": "n0",
        "nulls": "10%",
        "distribution": "",
        "values": "0 to 123,456",
    }


def test_a_column_of_which_nothing_can_be_drawn_says_why():
    columns = (
        ColumnProfile("gone", 1.0, distinct=0),
        ColumnProfile("list", 0.5),
        ColumnProfile("id", 0.0, distinct=50_000),
        ColumnProfile("none", 0.0, distinct=0),
    )
    found = texts(profile_picture(Profile(0, 0, False, columns)))
    for words in (
        "only nulls",
        "values of this type are not compared",
        "50,000 different values",
        "no values",
    ):
        assert words in found


def test_a_run_has_a_profile_of_what_it_published(airline, run):
    ran = run(build_definitions(airline.store()))
    found = ran.result.asset_materializations_for_node("flight")[-1].metadata

    table = {row["column"]: row for row in records(found["profile"])}
    assert list(table) == ["id", "departed", "origin", "delay_minutes", "distance", "is_late"]
    assert (table["delay_minutes"]["nulls"], table["delay_minutes"]["values"]) == (
        "33.3%",
        "-2 to 5.5, most often -2 (50%)",
    )
    assert table["origin"]["values"] == "OSL (66.7%), BGO (33.3%)"
    assert table["departed"]["values"].startswith(
        "2024-01-01 08:00 to 2024-01-02 08:00, most often 2024-01-01 08:00"
    )
    assert "Of all 3 rows." in texts(found["profile_plots"])
    virtual = ran.result.asset_materializations_for_node("delay")[-1].metadata
    assert [row["column"] for row in records(virtual["profile"])] == [
        "id",
        "departed",
        "delay_minutes",
        "hours",
    ]


def test_a_profile_is_of_the_rows_that_were_not_kept_aside(airline, run):
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,-7")
    metadata = run(build_definitions(airline.store(on_violation="quarantine"))).result
    found = metadata.asset_materializations_for_node("flight")[-1].metadata

    table = {row["column"]: row for row in records(found["profile"])}
    assert table["distance"]["values"] == "280 to 320, most often 280 (33.3%)"
    [broken] = records(found["broken_rules"])
    assert broken == {
        "rule": "distance must be at least 1",
        "effect": "quarantined",
        "broken rows": "1 (25%)",
        "such as": "id 4, departed 2024-01-03 08:00, distance -7",
    }


def test_a_profile_can_be_left_out(airline, run):
    translator = ContractTranslator(TranslatorSettings(profile_rows=0))
    metadata = run(build_definitions(airline.store(), translator)).metadata("flight")
    assert not {"profile", "profile_plots"} & metadata.keys()


def test_a_run_that_is_blocked_tells_the_broken_rules_with_a_row(airline, run):
    airline.add_flight("4,OSL,2024-01-03T08:00:00Z,1,-7")
    failed = run(build_definitions(airline.store())).failure("flight").user_failure_data
    [broken] = records(failed.metadata["broken_rules"])
    assert (broken["effect"], broken["such as"]) == (
        "blocked",
        "id 4, departed 2024-01-03 08:00, distance -7",
    )


@pytest.mark.parametrize(
    ("format", "whole", "words"),
    [
        ("parquet", 1_000_000, "of 100 from everywhere."),
        ("parquet", 9_999, "of 100 from everywhere."),
        ("csv", 1_000_000, "of the first 100."),
    ],
)
def test_of_many_rows_a_sample_is_taken(tmp_path, monkeypatch, format, whole, words):
    monkeypatch.setattr("aligned_dagster.orchestration.sampling.READ_WHOLE", whole)
    file = getattr(FileSource, f"{format}_at")(str(tmp_path / f"numbers.{format}"))

    @feature_view(source=file)
    class Numbers:
        number = Int32().as_entity()
        at = EventTimestamp()

    first = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    times = [first + dt.timedelta(hours=(7 * hour) % 10_000) for hour in range(10_000)]
    rows = pl.DataFrame({"number": range(10_000), "at": times}, schema_overrides={"number": pl.Int32})
    getattr(rows, f"write_{format}")(tmp_path / f"numbers.{format}")

    @feature_view(source=Numbers, materialized_source=file)
    class Stored:
        number = Int32().as_entity()
        at = EventTimestamp()

    from aligned_dagster.quality.report import ColumnStatistics

    figures = [ColumnStatistics("number", 0, min=0, max=9_999), ColumnStatistics("at", 0)]
    found = profile_of(Stored, Stored.read(), figures, 10_000, most=100, whole=True)
    assert found.words().endswith(words)
    number, at = found.columns
    assert (found.sampled, number.high) == (100, "9999")
    assert len([share for share in number.bins if share]) == (20 if format == "parquet" else 1)
    assert all(at.bins)


def coverage_of_keys(here, **options):
    """What is there of a contract with such partitions: a function from the keys to those, with their rows."""
    keys, values = options.pop("keys", ()), options.pop("values", 3)

    @feature_view(
        source=FileSource.csv_at("flights.csv"),
        materialized_source=FileSource.partitioned_parquet_at("stored", partition_keys=list(keys))
        if keys
        else FileSource.parquet_at("stored.parquet"),
        **options,
    )
    class Flight:
        id = Int32().as_entity()
        departed = EventTimestamp()
        origin = String().accepted_values([f"A{n:02}" for n in range(values)])

    partitions = ContractRegistry.of([Flight], ContractTranslator()).partitions["flight"]
    with dg.DagsterInstance.ephemeral() as instance:
        names = tuple(partitions.keys(instance))
    rows = {key: found for number, key in enumerate(names) if (found := here(number)) is not None}
    return Coverage(partitions, names, frozenset(rows), rows)


MONTHS = {"materialize_from": dt.date(2024, 1, 1), "materialize_until": dt.date(2025, 1, 1)}


def test_a_few_partitions_are_drawn_in_place():
    found = coverage_of_keys(lambda n: None if n == 4 else 100 * n, every="monthly", **MONTHS)

    assert found.words() == "11 of 12, 0 to 1,100 rows each; missing: 2024-05-01"
    picture = coverage_picture(found)
    assert len(picture.value) < IN_PLACE
    here, gone = (element.get("d") for element in drawn(picture))
    assert here.count("M") == 10  # the empty January has no bar either, and is not missing
    assert gone.count("M") == 1


def test_days_are_a_calendar():
    found = coverage_of_keys(lambda n: None if n % 50 == 0 else n, every="daily", **MONTHS)

    root = drawn(coverage_picture(found))
    cells = {
        (element.get("class"), element.get("opacity")): element.get("d").count("M")
        for element in root.iter()
        if element.tag.endswith("path")
    }
    assert cells["w", None] == 8
    assert sum(cells.values()) == 366
    assert len(cells) == 5
    assert "2024" in texts(coverage_picture(found))


def test_hours_are_bars_of_several_hours():
    span = {"materialize_from": dt.date(2024, 1, 1), "materialize_until": dt.date(2024, 3, 1)}
    found = coverage_of_keys(lambda n: 5, every="hourly", **span)
    told = texts(coverage_picture(found))
    assert len(found.keys) == 60 * 24
    assert {"2024-01-01-00:00", "2024-02-29-23:00", "6 partitions, as high as it has rows"} <= set(told)


def test_keys_have_a_bar_with_a_name_and_windows_of_keys_a_grid():
    found = coverage_of_keys(lambda n: None if n == 7 else n, keys=["origin"], values=80)
    told = texts(coverage_picture(found))
    assert {"A00", "A39", "39", "missing", "and 40 more"} <= set(told) and "A40" not in told

    grid = coverage_of_keys(lambda n: n, keys=["origin"], every="monthly", **MONTHS)
    told = texts(coverage_picture(grid))
    assert {"A00", "A01", "A02", "2024-01-01", "2024-12-01"} <= set(told)
    assert len(grid.keys) == 36


def test_where_rows_are_not_counted_all_that_are_there_are_alike():
    found = coverage_of_keys(lambda n: n, every="monthly", **MONTHS)
    some = Coverage(found.partitions, found.keys, frozenset(found.keys[:6]), {found.keys[0]: 9})

    assert some.words() == "6 of 12; missing: 2024-07-01, 2024-08-01, 2024-09-01 and 3 more"
    here = drawn(coverage_picture(some))[0].get("d")
    assert len({bar.partition("v")[2] for bar in here.split("M")[1:]}) == 1
    grid = coverage_of_keys(lambda n: n, keys=["origin"], every="monthly", **MONTHS)
    unknown = Coverage(grid.partitions, grid.keys, frozenset(grid.keys))
    assert "a partition; rows are not counted" in texts(coverage_picture(unknown))


@pytest.fixture
def monthly(monthly_of):
    return build_definitions(ContractStore([monthly_of]))


@pytest.fixture
def monthly_of(tmp_path):
    """A contract with a partition for each of three months."""
    (tmp_path / "in.csv").write_text(
        "id,at,value\n1,2024-01-05T00:00:00Z,1\n2,2024-02-05T00:00:00Z,2\n3,2024-02-06T00:00:00Z,3\n", "utf-8"
    )

    @feature_view(
        source=FileSource.csv_at(str(tmp_path / "in.csv")),
        materialized_source=FileSource.parquet_at(str(tmp_path / "out.parquet")),
        materialize_from=dt.date(2024, 1, 1),
        materialize_until=dt.date(2024, 4, 1),
        every="monthly",
    )
    class Reading:
        id = Int32().as_entity()
        at = EventTimestamp()
        value = Float()

    return Reading


def test_a_run_of_a_partition_tells_which_there_are(monthly, run):
    run(monthly, "reading", partition="2024-01-01")
    found = run(monthly, "reading", partition="2024-02-01").partitions("reading")["2024-02-01"]

    assert found["partitions_there"] == "2 of 3, 1 to 2 rows each; missing: 2024-03-01"
    assert found["coverage"].startswith("![Partitions: 2 of 3")
    assert "profile" in found and "run_profile" not in found


def test_rows_of_too_many_are_not_counted(monthly_of, run):
    defs = build_definitions(
        ContractStore([monthly_of]), ContractTranslator(TranslatorSettings(coverage_rows=1))
    )
    run(defs, "reading", partition="2024-01-01")
    found = run(defs, "reading", partition="2024-02-01").partitions("reading")["2024-02-01"]
    assert found["partitions_there"] == "2 of 3; missing: 2024-03-01"


def test_a_run_of_several_partitions_is_pictured_as_a_whole(monthly, run):
    found = run(monthly, "reading", span=("2024-01-01", "2024-03-01")).partitions("reading")

    for told in found.values():
        assert {"coverage", "run_profile", "run_profile_plots"} <= told.keys()
        assert "profile" not in told
        assert told["partitions_there"] == "3 of 3, 0 to 2 rows each"


def test_a_run_of_many_partitions_has_its_pictures_in_the_last_one(monthly, run, monkeypatch):
    for module in ("metadata", "publishing"):
        monkeypatch.setattr(f"aligned_dagster.orchestration.{module}.MANY", 2)
    found = run(monthly, "reading", span=("2024-01-01", "2024-03-01")).partitions("reading")

    told = {"partitions_there", "coverage", "run_profile", "run_profile_plots"}
    assert told <= found["2024-03-01"].keys()
    assert not any(told & found[key].keys() for key in ("2024-01-01", "2024-02-01"))


def ages(*seconds):
    return tuple((at, dt.timedelta(seconds=one)) for at, one in zip(AGES, seconds, strict=True))


def test_ages_of_features_are_drawn_a_line_a_view():
    report = FeaturesReport(
        100,
        100,
        (
            ViewFound("weather", 100, 97, 0, ages(0, 60, 1_800, 3_600, 7_000, 86_400)),
            ViewFound("planes", 100, 80, None),
            ViewFound(HOSTILE, 100, 100, 3, ages(-50, 0, 0, 10, 20, 40_000_000)),
        ),
    )
    told = texts(ages_picture(report))

    assert {"weather", "97% found", "30 min", "1 h", "1 y"} <= set(told)
    assert "planes" not in told
    edges = [float(element.get("x")) for element in drawn(ages_picture(report)).iter() if element.get("x")]
    assert min(edges) >= 0 and max(edges) <= 720


def test_views_without_times_have_no_ages():
    assert ages_picture(FeaturesReport(1, 1, (ViewFound("planes", 1, 1, None),))) is None
