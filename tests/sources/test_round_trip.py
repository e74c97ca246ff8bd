"""Whatever a contract can hold is read back equal from every file format."""

from __future__ import annotations

import datetime as dt
import string
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.local import CsvConfig, FileSource

from .conftest import column

MOMENTS = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text("\",;\n\r \t'", max_size=5)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int8": st.integers(-128, 127),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "decimal(38,2)": st.decimals(-(10**30), 10**30, places=2),
    "string": TEXT,
    "json": st.just('{"a": [1]}'),
    "date": st.dates(),
    "time": st.times(),
    "duration": st.timedeltas(min_value=dt.timedelta(days=-(10**5)), max_value=dt.timedelta(days=10**5)),
    "binary": st.binary(max_size=5),
    "timestamp(us,)": MOMENTS,
    "timestamp(us,UTC)": MOMENTS.map(lambda moment: moment.replace(tzinfo=dt.UTC)),
    "timestamp(us,Europe/Oslo)": st.datetimes(dt.datetime(1980, 1, 1), dt.datetime(2037, 1, 1)).map(
        lambda moment: moment.replace(tzinfo=dt.UTC)
    ),
    "list(float64)": st.lists(st.none() | st.floats(), max_size=3),
    "list(string)": st.lists(st.none() | TEXT, max_size=3),
    "list(decimal(9,2))": st.lists(st.decimals(-99, 99, places=2), max_size=2),
    "embedding(2,float32)": st.lists(st.floats(width=32), min_size=2, max_size=2),
    "struct(a:int8,b:list(timestamp(us,UTC)))": st.fixed_dictionaries(
        {
            "a": st.none() | st.integers(-128, 127),
            "b": st.lists(MOMENTS.map(lambda moment: moment.replace(tzinfo=dt.UTC)), max_size=2),
        }
    ),
}
ROWS = st.lists(
    st.fixed_dictionaries({kind: st.none() | values for kind, values in VALUES.items()}), max_size=4
)
SCHEMA = Schema(tuple(column(kind, kind, optional=True) for kind in VALUES))
REQUEST = RetrievalRequest("everything", SCHEMA)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_every_dtype(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    columns = {
        name: pl.Series(name, [row[name] for row in rows], dtype=dtype)
        for name, dtype in REQUEST.polars.items()
    }
    frame = pl.DataFrame(list(columns.values()))
    base = tmp_path_factory.mktemp("rows")
    for source in (
        FileSource.csv_at(base / "rows.csv"),
        FileSource.csv_at(base / "rows.tsv.gz", csv_config=CsvConfig(separator="\t")),
        FileSource.parquet_at(base / "rows.parquet"),
    ):
        source.overwrite(frame.lazy(), REQUEST)
        assert_frame_equal(source.all_data(REQUEST).collect(), frame)


@settings(deadline=None)
@given(rows=st.lists(st.none() | TEXT | st.text(string.punctuation, max_size=4), min_size=1, max_size=5))
def test_one_column_of_text(tmp_path_factory: pytest.TempPathFactory, rows: list[str | None]) -> None:
    request = RetrievalRequest("texts", Schema((column("t", "string", optional=True),)))
    frame = pl.DataFrame({"t": rows}, schema={"t": pl.String})
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    for config in (CsvConfig(), CsvConfig(header=False, separator=";"), CsvConfig(encoding="utf-16")):
        source = FileSource.csv_at(path, csv_config=config)
        source.overwrite(frame.lazy(), request)
        assert_frame_equal(source.all_data(request).collect(), frame)
