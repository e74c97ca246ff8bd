"""The audit, the split, the point-in-time join and the computing of views on Spark: one batch each, equal to polars."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aligned_dagster.contracts.computing import computed
from aligned_dagster.contracts.computing_on import computed_on
from aligned_dagster.features.compiling import Compiled
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.quality.audit import audit, split
from aligned_dagster.quality.audit_on import audit_on, split_on
from aligned_dagster.request.point_in_time import Lookup, point_in_time_joins
from aligned_dagster.request.point_in_time_on import LookupOn, point_in_time_joins_on
from aligned_dagster.sources.engines.session import EngineSession
from tests.engines import test_audit as audits
from tests.engines import test_computing as computing
from tests.engines import test_point_in_time as joins


def on_spark(spark: EngineSession, frame: pl.DataFrame) -> Any:
    types = {name: DataType.from_polars(dtype) for name, dtype in frame.schema.items()}
    return spark.from_polars(frame.lazy(), types)


def test_an_audit_and_a_split_are_those_of_polars(spark: EngineSession) -> None:
    # One column of each kind: Spark plans every check that needs other rows anew.
    schema = audits.PERSON.select(
        [
            "id",
            "day",
            "byte",
            "huge",
            "half",
            "real",
            "tiny",
            "money",
            "text",
            "at",
            "clock",
            "span",
            "flag",
            "items",
            "other",
        ]
    )
    frame = audits.frame_of(audits.some(audits.VALUES, 40)).select(schema.names)
    others = audits.OTHERS.collect()
    known, rows = {"others": on_spark(spark, others)}, on_spark(spark, frame)
    how: dict[str, Any] = {"contract": "person"}
    expected = audit(frame.lazy(), schema, references={"others": others.lazy()}, **how)
    got = audit_on(rows, schema, engine="spark", references=known, **how)
    audits.assert_reports_equal(got, expected, frame)
    how["checks"] = {outcome.name for outcome in expected.quarantined if outcome.checked}
    parts = split(frame.lazy(), schema, references={"others": others.lazy()}, **how)
    audits.assert_split_equal(split_on(rows, schema, engine="spark", references=known, **how), parts)


def test_names_that_spark_reads_otherwise_are_names(spark: EngineSession) -> None:
    frame = audits.frame_of(audits.some(audits.HOSTILE_VALUES, 60), audits.HOSTILE)
    held, others = on_spark(spark, frame), on_spark(spark, audits.HOSTILE_OTHERS.collect())
    audits.assert_audit_and_split_equal(held, others, frame, "spark")


@pytest.mark.parametrize("which", [computing.DERIVED, computing.TOGETHER, computing.LATELY])
def test_views_are_computed_as_by_polars(spark: EngineSession, which: Compiled) -> None:
    source = computing.source_of(audits.some(computing.VALUES, 200), which, ties=False)
    wanted = which.schema.names
    got = computed_on(on_spark(spark, source), which, wanted, "spark").collect("polars").to_native()
    computing.assert_rows_equal(got, computed(source.lazy(), which, wanted).collect(), which)


@pytest.mark.parametrize(
    "how",
    [
        {"event": True, "created": True, "timed": True, "age": 3},
        {"event": False, "created": True, "timed": False, "age": None},
    ],
)
def test_facts_find_what_they_find_in_polars(spark: EngineSession, how: dict[str, Any]) -> None:
    who: dict[str, Any] = {"id": [1, 1, -2, None], "name": ["a", "a", "b", None]}
    minutes = [None, *range(9)]
    asked = joins.facts_frame(audits.some({**who, "at": minutes}, 40))
    known = joins.features_frame(audits.some({**who, "ts": minutes, "created": minutes}, 120))
    at = "at" if how["timed"] else None
    expected = point_in_time_joins(
        asked.lazy(), joins.lookups(known.lazy(), Lookup, **how), fact_timestamp=at
    ).collect()
    got = point_in_time_joins_on(
        on_spark(spark, asked),
        joins.lookups(on_spark(spark, known), LookupOn, **how),
        engine="spark",
        fact_timestamp=at,
    )
    answer = got.sort("row").collect("polars").to_native()
    assert_frame_equal(answer.cast(dict(expected.schema)), expected)
