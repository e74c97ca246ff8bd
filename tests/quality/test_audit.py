from __future__ import annotations

import datetime as dt
import json
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aligned_dagster.errors import SchemaMismatchError, UnknownContractError, UnknownFeatureError
from aligned_dagster.features.constraints import (
    AcceptedValues,
    Constraint,
    LowerBound,
    NotNull,
    OnViolation,
    Reference,
    Regex,
    Rule,
    Unique,
    UpperBound,
)
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Call, ColumnRef
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.quality.audit import audit, split
from aligned_dagster.quality.checks import expected_checks
from aligned_dagster.quality.probes import Around
from aligned_dagster.quality.report import SAMPLE_ROWS, AuditReport, CheckOutcome


def column(name: str, dtype: str, *constraints: Constraint, role: Any = "feature") -> Column:
    return Column(name, DataType.from_text(dtype), role, constraints=constraints)


PERSON = Schema(
    (
        column("id", "int64", role="entity"),
        column("day", "date", role="event_timestamp"),
        column("age", "float64", LowerBound(0), UpperBound(120)),
        column("sex", "string", NotNull(), AcceptedValues(("male", "female"))),
    ),
    (Rule("grown", Call("ge", ColumnRef("age"), ColumnRef("id")), "nobody is younger than their number"),),
)
DAY = pl.date(2024, 1, 1)


def people(**columns: list[Any]) -> pl.LazyFrame:
    rows = max((len(values) for values in columns.values()), default=3)
    filled = {"id": list(range(rows)), "age": [50.0] * rows, "sex": ["male"] * rows} | columns
    frame = pl.LazyFrame(filled, schema={"id": pl.Int64, "age": pl.Float64, "sex": pl.String})
    return frame.select("id", DAY.alias("day"), "age", "sex")


def broken(frame: pl.LazyFrame, schema: Schema = PERSON, **keywords: Any) -> dict[str, int]:
    report = audit(frame, schema, contract="person", **keywords)
    return {outcome.name: outcome.broken for outcome in report.failures}


def test_good_rows_pass_every_check_in_the_declared_order() -> None:
    report = audit(people(), PERSON, contract="person")
    assert report.passed
    assert report.rows == 3
    assert [o.name for o in report.outcomes] == [check.name for check in expected_checks(PERSON)]
    assert all(outcome.rows == 3 for outcome in report.outcomes)


def test_no_rows_break_nothing() -> None:
    report = audit(people().clear(), PERSON, contract="person")
    assert report.passed
    assert report.rows == 0
    assert report.statistics[2].mean is None


def test_nan_breaks_bounds_and_null_does_not() -> None:
    frame = people(age=[float("nan"), None, -1.0, 121.0])
    assert broken(frame) == {"age__lower_bound": 2, "age__upper_bound": 2, "rule__grown": 1}


def test_null_breaks_what_forbids_it_only() -> None:
    assert broken(people(sex=["male", None, "other"])) == {"sex__not_null": 1, "sex__accepted_values": 1}


def test_every_row_of_a_shared_key_is_counted() -> None:
    report = audit(people(id=[1, 1, 1, 2, 3, 3]), PERSON, contract="person")
    outcome = report.outcome("entity_key")
    assert outcome.broken == 5
    assert outcome.sample.get_column("id").to_list() == [1, 1, 1, 3, 3]
    assert outcome.words == "id + day must together be unique and not null"


def test_a_null_in_the_key_is_counted_once() -> None:
    assert broken(people(id=[None, None, 1, 2]))["entity_key"] == 2


def test_equal_entities_at_other_times_are_fine() -> None:
    frame = people(id=[1, 1]).with_columns(day=pl.Series([1, 2], dtype=pl.Int32).cast(pl.Date))
    assert broken(frame) == {}


@pytest.mark.parametrize(
    ("dtype", "values", "count"),
    [
        ("int32", [1, 1, 2, None, None], 2),
        ("string", ["a", "b", "b", "b", None], 3),
        ("float64", [0.0, -0.0, float("nan"), float("nan"), None], 4),
        ("list(int32)", [[1], [1], [2], None, None], 2),
        ("struct(a:int32)", [{"a": 1}, {"a": 1}, {"a": 2}, None, None], 2),
        ("bool", [True, False, None], 0),
        ("string", [None, None], 0),
    ],
)
def test_unique_values_of_any_type(dtype: str, values: list[Any], count: int) -> None:
    schema = Schema((column("value", dtype, Unique()),))
    frame = pl.LazyFrame({"value": values}, schema=schema.polars)
    report = audit(frame, schema, contract="c")
    assert report.outcome("value__unique").broken == count
    assert report.outcome("value__unique").sample.height == count


def test_many_rows_across_chunks_of_the_stream_are_told_apart() -> None:
    schema = Schema((column("id", "int64", role="entity"), column("key", "string", Unique())))
    numbers = pl.LazyFrame({"id": pl.int_range(300_000, eager=True)})
    frame = numbers.with_columns(key=pl.col("id").cast(pl.String))
    assert broken(frame, schema) == {}
    once_more = pl.concat([frame, frame.filter(pl.col("id") == 7)])
    assert broken(once_more, schema) == {"entity_key": 2, "key__unique": 2}


@pytest.mark.parametrize(
    ("mine", "theirs"), [("int32", pl.Int32), ("int32", pl.UInt64), ("string", pl.Categorical)]
)
def test_references_are_counted_by_row_and_null_refers_to_nothing(mine: str, theirs: Any) -> None:
    schema = Schema((column("plane", mine, Reference("planes", "tail")),))
    frame = pl.LazyFrame({"plane": pl.Series(["1", "2", "2", None, "9"]).cast(schema.polars["plane"])})
    planes = pl.LazyFrame({"tail": pl.Series(["1", "1", "3", None]).cast(theirs)})
    report = audit(frame, schema, contract="flights", references={"planes": planes})
    outcome = report.outcome("plane__reference")
    assert outcome.broken == 3
    assert outcome.sample.cast(pl.String)["plane"].to_list() == ["2", "2", "9"]
    parts = split(frame, schema, contract="flights", on_violation="quarantine", references={"planes": planes})
    assert parts.good.collect().cast(pl.String)["plane"].to_list() == ["1", None]
    assert parts.bad.collect().schema["plane"] == schema.polars["plane"]


def test_a_reference_to_the_contract_itself_needs_no_frame() -> None:
    schema = Schema((column("id", "int64", role="entity"), column("boss", "int64", Reference("staff", "id"))))
    frame = pl.LazyFrame({"id": [1, 2], "boss": [None, 7]}, schema=schema.polars)
    report = audit(frame, schema, contract="staff")
    assert report.outcome("boss__reference").broken == 1


def test_a_reference_that_cannot_be_followed_is_an_error() -> None:
    schema = Schema((column("plane", "int64", Reference("planes", "tail")),))
    frame = pl.LazyFrame({"plane": [1]})
    with pytest.raises(UnknownContractError, match=r"'planes' were not given. Did you mean 'plane'\?"):
        audit(frame, schema, contract="flights", references={"plane": frame})
    with pytest.raises(UnknownFeatureError, match=r"no column 'tail'. Did you mean 'tails'\?"):
        audit(frame, schema, contract="flights", references={"planes": pl.LazyFrame({"tails": [1]})})
    text = pl.LazyFrame({"tail": ["x"]})
    outcome = audit(frame, schema, contract="flights", references={"planes": text}).outcome(
        "plane__reference"
    )
    assert not outcome.passed
    assert outcome.note == "not checked: 'plane' is Int64, and planes.tail is String."


def test_wrong_columns_are_named_and_what_reads_them_is_not_checked() -> None:
    frame = people(sex=["male", None]).rename({"age": "ages"}).with_columns(pl.col("id").cast(pl.Int32))
    report = audit(frame, PERSON, contract="person")
    schema = report.outcome("schema")
    assert schema.broken == 3
    assert "'age' (Float64) is missing. Did you mean 'ages'?" in schema.note
    assert "'id' is Int32 and should be Int64." in schema.note
    assert "'ages' is too many." in schema.note
    unchecked = [outcome.name for outcome in report.outcomes if not outcome.checked]
    assert unchecked == ["entity_key", "age__lower_bound", "age__upper_bound", "rule__grown"]
    assert not any(outcome.passed for outcome in report.outcomes if not outcome.checked)
    assert report.outcome("sex__not_null").broken == 1
    assert report.rows == 2


def test_the_schema_blocks_whatever_the_contract_says() -> None:
    assert audit(pl.LazyFrame({"x": [1]}), PERSON, contract="p", on_violation="warn").blocking


def test_samples_are_small_and_start_with_the_key() -> None:
    report = audit(people(age=[-float(i + 1) for i in range(500)]), PERSON, contract="person")
    outcome = report.outcome("age__lower_bound")
    assert outcome.broken == 500
    assert outcome.sample.columns == ["id", "day", "age"]
    assert outcome.sample["id"].to_list() == list(range(SAMPLE_ROWS))
    assert report.outcome("rule__grown").sample.columns == ["id", "day", "age"]


def test_figures_leave_out_nan_and_null() -> None:
    report = audit(people(age=[1.0, 3.0, None, float("nan")]), PERSON, contract="person")
    figures = {column.name: column for column in report.statistics}
    age = figures["age"]
    assert (age.nulls, age.min, age.max, age.mean) == (1, 1.0, 3.0, 2.0)
    assert age.std == pytest.approx(2**0.5)
    assert figures["sex"].nulls == 0
    assert figures["sex"].min is None
    assert figures["day"].mean is None


def test_figures_of_decimals_are_numbers() -> None:
    schema = Schema((column("price", "decimal(10,2)"),))
    frame = pl.LazyFrame({"price": ["1.50", "2.50"]}).cast(pl.Decimal(10, 2))
    (price,) = audit(frame, schema, contract="c").statistics
    assert (price.min, price.max, price.mean) == (1.5, 2.5, 2.0)


def test_a_constraint_decides_for_itself_what_a_broken_row_does() -> None:
    def bound(effect: OnViolation | None) -> LowerBound:
        return LowerBound(0, on_violation=effect)

    schema = Schema(
        (
            column("a", "int64", bound("block")),
            column("b", "int64", bound("warn")),
            column("c", "int64", bound(None)),
        )
    )
    frame = pl.LazyFrame({"a": [-1], "b": [-1], "c": [-1]})
    report = audit(frame, schema, contract="x", on_violation="quarantine")
    assert [o.name for o in report.blocking] == ["a__lower_bound"]
    assert [o.name for o in report.warnings] == ["b__lower_bound"]
    assert [o.name for o in report.quarantined] == ["c__lower_bound"]


def test_the_same_rule_twice_on_one_column_is_two_checks() -> None:
    schema = Schema((column("code", "string", Regex("^a"), Regex("z$")),))
    assert broken(pl.LazyFrame({"code": ["az", "a", "b"]}), schema) == {"code__regex": 1, "code__regex_2": 2}


def test_columns_of_any_name_can_be_audited() -> None:
    hostile = ["rows", "count schema", "nulls rows", "größe °", "a__b", "rule__x", "__broken 0", "len"]
    schema = Schema(tuple(column(name, "int64", LowerBound(0), Unique()) for name in hostile))
    frame = pl.LazyFrame({name: [-1, 1, 1] for name in hostile})
    report = audit(frame, schema, contract="c")
    names = [outcome.name for outcome in report.outcomes]
    assert len(set(names)) == len(names)
    assert [o.broken for o in report.outcomes] == [0, *[1, 2] * len(hostile)]
    assert split(frame, schema, on_violation="quarantine").bad.collect().height == 3


def test_the_report_reads_well_and_survives_json() -> None:
    frame = people(age=[float("inf"), -1.0, 5.0])
    report = audit(frame, PERSON, contract="person", on_violation="warn")
    text = str(report)
    assert text.splitlines()[0] == "person: 3 rows, 3 of 7 checks failed"
    assert "warned  age__lower_bound" in text
    form = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert form["outcomes"][2]["sample"] == [{"id": 1, "day": "2024-01-01", "age": -1.0}]
    assert form["statistics"][2]["max"] == "inf"
    assert report.to_frame().filter(status="warned")["broken"].to_list() == [1, 1, 1]
    assert "age__lower_bound (warn): age must be at least 0: 1 of 3 rows break it, such as {'id': 1" in (
        report.explain()
    )
    with pytest.raises(KeyError, match="no check 'nope'"):
        report.outcome("nope")


def test_split_keeps_every_row_once_and_in_order() -> None:
    frame = people(
        id=[5, 5, 1, None, 2, 3], age=[1.0, 2.0, -1.0, 50.0, 50.0, 200.0], sex=[None, *["male"] * 5]
    )
    whole = frame.collect()
    parts = split(frame, PERSON, contract="person", on_violation="quarantine")
    good, bad = pl.collect_all([parts.good, parts.bad])
    assert good["id"].to_list() == [2]
    assert bad["id"].to_list() == [5, 5, 1, None, 3]
    assert bad["broken_rules"].to_list() == [
        ["entity_key", "sex__not_null", "rule__grown"],
        ["entity_key", "rule__grown"],
        ["age__lower_bound", "rule__grown"],
        ["entity_key"],
        ["age__upper_bound"],
    ]
    together = pl.concat([good, bad.drop("broken_rules")])
    assert_frame_equal(together.sort("age", "id"), whole.sort("age", "id"))
    assert_frame_equal(good, whole.filter(pl.col("id") == 2))


def test_split_keeps_aside_only_what_it_is_asked_to() -> None:
    frame = people(id=[100, 101], age=[-1.0, 7.0], sex=["male", "other"])
    assert split(frame, PERSON).bad.collect().is_empty()
    assert split(frame, PERSON).bad.collect_schema()["broken_rules"] == pl.List(pl.String)
    assert split(frame, PERSON).good.collect().height == 2
    assert split(frame, PERSON, on_violation="warn", include_blocking=True).good.collect().height == 2
    bad = split(frame, PERSON, include_blocking=True, checks={"sex__accepted_values"}).bad.collect()
    assert bad["broken_rules"].to_list() == [["sex__accepted_values"]]


def test_split_leaves_a_column_of_its_own_name_alone() -> None:
    schema = Schema((column("broken_rules", "int64", LowerBound(0)),))
    bad = split(pl.LazyFrame({"broken_rules": [-1]}), schema, on_violation="quarantine").bad.collect()
    assert bad.rows() == [(-1, ["broken_rules__lower_bound"])]
    assert bad.columns == ["broken_rules", "broken_rules_"]


def test_split_needs_the_columns() -> None:
    with pytest.raises(SchemaMismatchError, match="'age' \\(Float64\\) is missing"):
        split(people().drop("age"), PERSON, contract="person", on_violation="quarantine")


def test_samples_and_splits_of_parquet_read_the_same_rows(tmp_path: Any) -> None:
    file = tmp_path / "people.parquet"
    people(age=[1.0, -1.0, 2.0]).collect().write_parquet(file)
    report = audit(pl.scan_parquet(file), PERSON, contract="person")
    assert report.outcome("age__lower_bound").sample["id"].to_list() == [1]


def test_a_sample_tells_times_in_iso_form() -> None:
    at = dt.datetime(2026, 11, 23, 16, tzinfo=ZoneInfo("UTC"))
    sample = pl.DataFrame({"id": [1], "at": [at]})
    outcome = CheckOutcome("at__upper_bound", "at is in the past", "at", "block", 1, 1, sample)
    told = AuditReport("visit", 1, (outcome,), ()).explain()
    assert told.endswith("such as {'id': 1, 'at': '2026-11-23T16:00:00+00:00'}")


def test_a_reference_to_the_contract_itself_finds_rows_that_did_not_change() -> None:
    schema = Schema(
        (
            Column("id", DataType("int64"), "entity"),
            Column("above", DataType("int64"), constraints=(Reference("tree", "id"),)),
        )
    )
    changed = pl.LazyFrame({"id": [3, 4], "above": [1, 9]})
    everything = pl.concat([pl.LazyFrame({"id": [1, 2], "above": [None, 8]}), changed])
    report = audit(changed, schema, contract="tree", around=Around(lambda: everything, ("id",)))
    assert report.beyond == ("above__reference",) and report.rows == 2
    outcome = report.outcome("above__reference")
    assert (outcome.rows, outcome.broken) == (4, 2)
    assert outcome.sample.rows() == [(2, 8), (4, 9)]
