"""Rows are streamed in batches, in order; what a model answers is held to what was asked."""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.io.plugins import register_io_source

from aligned_dagster.errors import (
    CastError,
    MissingColumnError,
    RequestError,
    SourceError,
    UnavailableSourceError,
    UnreadableSourceError,
)
from aligned_dagster.sources.exposed import ExposedModel, Outputs
from aligned_dagster.sources.exposed.batches import in_batches, predicted

from .predicting import answers, doubled, numbered

MORSEL = 5_000
MORSELS = 600
TOTAL = MORSEL * MORSELS


def counted(produced: list[int]) -> pl.LazyFrame:
    """Three million rows that are made as they are asked for."""

    def make(columns: Any, predicate: Any, n_rows: Any, batch_size: Any) -> Iterator[pl.DataFrame]:
        for number in range(MORSELS):
            produced.append(number)
            frame = pl.select(x=pl.int_range(number * MORSEL, (number + 1) * MORSEL))
            frame = frame if predicate is None else frame.filter(predicate)
            yield frame if columns is None else frame.select(columns)

    return register_io_source(make, schema={"x": pl.Int64})


def test_millions_of_rows_are_never_in_memory_at_once() -> None:
    produced: list[int] = []
    given_to_model: list[int] = []

    def model(features: pl.DataFrame) -> pl.Series:
        given_to_model.append(features.height)
        return features["x"] * 2

    rows = counted(produced).filter(pl.col("x") % 3 != 0).with_columns(y=pl.col("x") + 1)
    done, ahead = 0, 0
    outputs = Outputs(label="twice", dtype=pl.Int64())
    for batch in predicted(ExposedModel.python(model), rows, ["x"], ["y"], outputs, contract="delays"):
        assert batch["y"][0] == [1, 2][done % 2] + done // 2 * 3 + 1
        assert (batch["twice"] == (batch["y"] - 1) * 2).all()
        done += batch.height
        ahead = max(ahead, len(produced) * MORSEL - done * 3 // 2)
    assert done == TOTAL * 2 // 3
    assert set(given_to_model[:-1]) == {50_000}
    assert ahead <= TOTAL // 10, f"{ahead:,} rows were read ahead of the model"


def test_whoever_stops_early_does_not_read_the_rest() -> None:
    produced: list[int] = []
    outputs = Outputs(label="twice")
    stream = predicted(
        ExposedModel.python(doubled), counted(produced), ["x"], ["x"], outputs, contract="delays"
    )
    assert next(stream).height == 50_000
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    before = -1
    while before != len(produced):
        before = len(produced)
        time.sleep(0.3)
    assert len(produced) < MORSELS // 2


@given(heights=st.lists(st.integers(0, 7), max_size=6), size=st.integers(1, 9))
def test_batches_have_their_size_and_keep_the_order(heights: list[int], size: int) -> None:
    parts = [
        pl.LazyFrame({"x": [random.random() for _ in range(height)]}, {"x": pl.Float64}) for height in heights
    ]
    rows = pl.concat(parts) if parts else pl.LazyFrame(schema={"x": pl.Float64})
    expected = rows.collect()
    batches = list(in_batches(rows, size, "delays"))
    assert [batch.height for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert all(batch.height for batch in batches)
    assert pl.concat([expected.clear(), *batches]).equals(expected)


def test_the_model_gets_the_features_and_nothing_else() -> None:
    seen: list[list[str]] = []

    def model(features: pl.DataFrame) -> list[int]:
        seen.append(features.columns)
        return [0] * features.height

    rows = pl.LazyFrame({"id": [1], "b": [2], "a": [3], "secret": [4]})
    outputs = Outputs(label="label", version="model", others={})
    (batch,) = predicted(
        ExposedModel.python(model, version="v7"), rows, ["a", "b"], ["id", "a"], outputs, contract="delays"
    )
    assert seen == [["a", "b"]]
    assert batch.to_dicts() == [{"id": 1, "a": 3, "label": 0, "model": "v7"}]


def test_no_rows_are_no_batches() -> None:
    rows = pl.LazyFrame(schema={"x": pl.Int64})
    assert not list(
        predicted(ExposedModel.python(doubled), rows, ["x"], [], Outputs(label="y"), contract="delays")
    )


def test_progress_is_told() -> None:
    told: list[str] = []
    answers(
        ExposedModel.python(doubled), numbered(x=range(5)), Outputs(label="y"), batch_rows=2, log=told.append
    )
    assert told == [f"delays: {n} rows predicted so far by doubled" for n in (2, 4, 5)]


@pytest.mark.parametrize(
    ("features", "keep", "error", "words"),
    [
        (["xx"], [], MissingColumnError, "'delays' predicts from the column 'xx', .* They have: x1, row"),
        (["x"], [], MissingColumnError, r"Did you mean 'x1'\?"),
        (["x1"], ["rov"], MissingColumnError, r"Did you mean 'row'\?"),
        ([], ["row"], RequestError, "at least one feature"),
        (["x1"], ["y"], RequestError, "'y' of the rows has the name of an output"),
    ],
)
def test_what_the_rows_lack_is_told_before_a_row_is_read(
    features: list[str], keep: list[str], error: type[Exception], words: str
) -> None:
    rows = pl.LazyFrame({"x1": [1], "row": [1]})
    with pytest.raises(error, match=words):
        predicted(ExposedModel.python(doubled), rows, features, keep, Outputs(label="y"), contract="delays")


def test_a_failing_model_is_named_with_its_batch() -> None:
    calls: list[int] = []

    def model(features: pl.DataFrame) -> list[float]:
        calls.append(features.height)
        return [1 / x for x in features["x"]]

    with pytest.raises(SourceError) as found:
        answers(ExposedModel.python(model), numbered(x=[1, 2, 3, 0, 4]), Outputs(label="y"), batch_rows=2)
    assert "the model of 'delays', asked for rows 2 to 3, failed: ZeroDivisionError" in str(found.value)
    assert calls == [2, 2], "an error of the model is not tried again"


def test_a_function_that_loses_its_connection_is_asked_again(pauses: list[float]) -> None:
    failures = [ConnectionResetError("reset"), TimeoutError("slow")]
    told: list[str] = []

    def model(features: pl.DataFrame) -> pl.Series:
        if features["x"][0] == 50_000 and failures:
            raise failures.pop(0)
        return features["x"] * 2

    found = answers(
        ExposedModel.python(model, version="1"),
        numbered(x=range(120_000)),
        Outputs(label="y"),
        log=told.append,
    )
    assert found["y"].to_list() == list(range(0, 240_000, 2))
    assert [line for line in told if "Trying" in line] == [
        f"rows 50,000 to 99,999: reset Trying again in {pauses[0]:.1f} s (1 of 3).",
        f"rows 50,000 to 99,999: slow Trying again in {pauses[1]:.1f} s (2 of 3).",
    ]
    assert 0.3 < pauses[0] < 0.7 < pauses[1] < 1.3


def test_in_the_end_the_failed_batch_is_named(pauses: list[float]) -> None:
    def model(features: pl.DataFrame) -> pl.Series:
        if features["x"][0] == 50_000:
            raise ConnectionRefusedError("refused")
        return features["x"]

    outputs = Outputs(label="y")
    batches = predicted(
        ExposedModel.python(model),
        pl.LazyFrame({"x": range(120_000)}),
        ["x"],
        [],
        outputs,
        contract="delays",
        retries=2,
    )
    assert next(batches).height == 50_000
    with pytest.raises(
        UnavailableSourceError, match="'delays', asked for rows 50,000 to 99,999, gave no answer in 3"
    ):
        next(batches)
    assert len(pauses) == 2


@pytest.mark.parametrize("given", [[1, 2], [1, 2, 3, 4]])
def test_another_number_of_rows_is_refused(given: list[int]) -> None:
    model = ExposedModel.python(lambda _: given)
    with pytest.raises(
        UnreadableSourceError, match=f"asked for rows 0 to 2, answered with {len(given)} rows for 3"
    ):
        answers(model, numbered(x=[1, 2, 3]), Outputs(label="y"))


MOMENT = dt.datetime(2013, 1, 2, 3, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [
        ([1.0, 0.0], pl.Int8(), [1, 0]),
        ([1, 0], pl.Float32(), [1.0, 0.0]),
        ([1, 0], pl.Boolean(), [True, False]),
        ([1.0, None], pl.Boolean(), [True, None]),
        ([True, False], pl.Int64(), [1, 0]),
        ([None, None], pl.String(), [None, None]),
        (["a", "b"], pl.Categorical(), ["a", "b"]),
        (["2013-01-02", None], pl.Date(), [dt.date(2013, 1, 2), None]),
        (["2013-01-02T03:00:00Z", None], pl.Datetime("us", "UTC"), [MOMENT, None]),
        ([[1, 2], [3, 4]], pl.List(pl.Float64()), [[1.0, 2.0], [3.0, 4.0]]),
    ],
)
def test_what_loses_nothing_is_converted(given: list[Any], dtype: pl.DataType, expected: list[Any]) -> None:
    found = answers(ExposedModel.python(lambda _: given), numbered(x=[1, 2]), Outputs(label="y", dtype=dtype))
    assert found["y"].to_list() == expected and found["y"].dtype == dtype


@pytest.mark.parametrize(
    ("given", "dtype", "sample"),
    [
        ([1.0, 1.5], pl.Int64(), "1.5"),
        ([1.0, float("nan")], pl.Int64(), "nan"),
        ([1, 300], pl.Int8(), "300"),
        ([1, 2], pl.Boolean(), "2"),
        (["1", "2"], pl.Int64(), "'1'"),
        ([1, 2], pl.String(), "1"),
        (["2013-01-02", "soon"], pl.Date(), "'soon'"),
        ([1, 2], pl.Date(), "1"),
        ([[1], [2]], pl.Float64(), r"\[1\]|shape"),
    ],
)
def test_a_wrong_value_is_named(given: list[Any], dtype: pl.DataType, sample: str) -> None:
    with pytest.raises(CastError, match=r"(?s)model of 'delays', asked for rows 0 to 1, gave") as found:
        answers(ExposedModel.python(lambda _: given), numbered(x=[1, 2]), Outputs(label="y", dtype=dtype))
    found.match(rf"(?s)gave .*({sample}).* in column 'y', which is no")


def test_a_missing_output_is_named() -> None:
    model = ExposedModel.python(lambda features: {"labl": features["x"]})
    with pytest.raises(MissingColumnError, match=r"gave no column 'label'. Did you mean 'labl'\?"):
        answers(model, numbered(x=[1]), Outputs(label="label"))


def test_a_query_that_fails_is_told_in_words() -> None:
    rows = pl.LazyFrame({"x": ["1", "b"]}).with_columns(pl.col("x").cast(pl.Int64))
    with pytest.raises(CastError, match="'delays': the value \"b\" in column 'x'"):
        list(predicted(ExposedModel.python(doubled), rows, ["x"], [], Outputs(label="y"), contract="delays"))
