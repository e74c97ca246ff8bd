from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from aligned_dagster.errors import CastError
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform
from aligned_dagster.sources.date_formatter import DateFormatter

from .conftest import column

UTC = dt.UTC


def read(
    values: pl.Series, dtype: str, formatter: DateFormatter | None = None, zone: str = "UTC"
) -> list[Any]:
    request = RetrievalRequest("things", Schema((column("x", dtype),)), zone=zone)
    frame = values.alias("x").to_frame().lazy()
    found = conform(
        frame, request, source_label="here", formatter=formatter or DateFormatter.iso_8601()
    ).collect()
    assert dict(found.schema) == request.polars
    return found["x"].to_list()


@pytest.mark.parametrize(
    ("dtype", "texts", "values"),
    [
        ("string", ["007", "", " x "], ["007", "", " x "]),
        ("int32", ["007", "-3", "+4"], [7, -3, 4]),
        ("uint8", ["0", "255"], [0, 255]),
        ("float64", ["1", "1e3", "inf", "-0.5"], [1.0, 1000.0, float("inf"), -0.5]),
        ("decimal(9,2)", ["1", "1.5", "1.500", "-.25"], [Decimal(t) for t in ("1", "1.5", "1.5", "-.25")]),
        ("bool", ["true", "False", "T", "f", "YES", "no", "Y", "n", "1", "0"], [True, False] * 5),
        ("date", ["2013-01-02", "2013-01-02T00:00:00Z"], [dt.date(2013, 1, 2)] * 2),
        (
            "time",
            ["05:06", "05:06:07", "05:06:07.25"],
            [dt.time(5, 6), dt.time(5, 6, 7), dt.time(5, 6, 7, 250_000)],
        ),
        ("duration", ["1500000"], [dt.timedelta(seconds=1.5)]),
        ("binary", ["AP8="], [b"\x00\xff"]),
        ("list(int8)", ["[1,null]", "[]"], [[1, None], []]),
        ("embedding(2,float32)", ["[1,2.5]"], [[1.0, 2.5]]),
        ("struct(a:int8,b:date)", ['{"a":1,"b":"2013-01-01"}'], [{"a": 1, "b": dt.date(2013, 1, 1)}]),
    ],
)
def test_text_is_read(dtype: str, texts: list[str], values: list[Any]) -> None:
    assert read(pl.Series([*texts, None]), dtype) == [*values, None]


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("int32", "3.0"),
        ("int32", " 3"),
        ("int32", ""),
        ("int8", "128"),
        ("uint8", "-1"),
        ("float32", "1e300"),
        ("float64", "1,5"),
        ("decimal(9,2)", "1.555"),
        ("decimal(4,2)", "100"),
        ("bool", "maybe"),
        ("date", "2013-01-02T03:00:00Z"),
        ("date", "2013-02-30"),
        ("timestamp(us,UTC)", "yesterday"),
        ("timestamp(us,Europe/Oslo)", "2013-03-31 02:30:00"),
        ("timestamp(us,Europe/Oslo)", "2013-10-27 02:30:00"),
        ("time", "25:00"),
        ("binary", "?"),
        ("list(int8)", "[1.5]"),
        ("list(int8)", "[300]"),
        ("list(int8)", '["1"]'),
        ("list(int8)", "[1"),
        ("embedding(2,float32)", "[1]"),
        ("struct(a:int8)", "[1]"),
    ],
)
def test_text_that_does_not_fit(dtype: str, text: str) -> None:
    good = {"bool": "true", "binary": "AP8="}.get(dtype)
    with pytest.raises(CastError) as error:
        read(pl.Series([good, None, text, good]), dtype)
    assert repr(text) in str(error.value)
    assert f"column 'x' of 'things' in here is no {dtype}" in str(error.value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-01-01", dt.datetime(2013, 1, 1, tzinfo=UTC)),
        ("2013-01-01 05:00", dt.datetime(2013, 1, 1, 5, tzinfo=UTC)),
        ("2013-01-01T05:00:00.25Z", dt.datetime(2013, 1, 1, 5, 0, 0, 250_000, tzinfo=UTC)),
        ("2013-01-01t05:00:00z", dt.datetime(2013, 1, 1, 5, tzinfo=UTC)),
        ("2013-01-01T05:00:00+02:00", dt.datetime(2013, 1, 1, 3, tzinfo=UTC)),
        ("2013-01-01 05:00:00 -0230", dt.datetime(2013, 1, 1, 7, 30, tzinfo=UTC)),
        ("2013-01-01T05:00-05", dt.datetime(2013, 1, 1, 10, tzinfo=UTC)),
    ],
)
def test_iso_text_alone_and_in_company(text: str, moment: dt.datetime) -> None:
    assert read(pl.Series([text]), "timestamp(us,UTC)") == [moment]
    mixed = read(pl.Series([text, "2012-01-01", None, "2012-01-01T00:00:00+00:00"]), "timestamp(us,UTC)")
    assert mixed == [moment, dt.datetime(2012, 1, 1, tzinfo=UTC), None, dt.datetime(2012, 1, 1, tzinfo=UTC)]


def test_text_without_a_zone_is_read_in_that_of_the_column() -> None:
    oslo = "timestamp(us,Europe/Oslo)"
    alone = read(pl.Series(["2013-01-01 05:00:00"]), oslo)
    mixed = read(pl.Series(["2013-01-01 05:00:00", "2013-01-01T04:00:00Z"]), oslo)
    assert alone == [dt.datetime(2013, 1, 1, 4, tzinfo=UTC)]
    assert mixed == alone * 2


def test_zoned_moments_in_a_column_without_a_zone_are_those_of_the_contract() -> None:
    zoned = pl.Series([dt.datetime(2013, 1, 1, 4, tzinfo=UTC)])
    assert read(zoned, "timestamp(us,)", zone="Europe/Oslo") == [dt.datetime(2013, 1, 1, 5)]
    assert read(pl.Series(["2013-01-01T04:00:00Z"]), "timestamp(us,)", zone="Europe/Oslo") == [
        dt.datetime(2013, 1, 1, 5)
    ]


@pytest.mark.parametrize(
    ("formatter", "stored"),
    [
        (DateFormatter.unix_timestamp(), [1357016400]),
        (DateFormatter.unix_timestamp("ms"), [1357016400000]),
        (DateFormatter.unix_timestamp("us"), [1357016400000000]),
        (DateFormatter.unix_timestamp("s"), ["1357016400"]),
        (DateFormatter.unix_timestamp("s"), [1357016400.0]),
        (DateFormatter.unix_timestamp("s", "Europe/Oslo"), [1357016400 + 3600]),
        (DateFormatter.string_format("%d.%m.%Y %H:%M"), ["01.01.2013 05:00"]),
        (DateFormatter.string_format("%d.%m.%Y %H:%M", "Europe/Oslo"), ["01.01.2013 06:00"]),
        (DateFormatter.string_format("%d/%m/%y %H:%M %z"), ["01/01/13 07:00 +0200"]),
        (DateFormatter.noop(), ["2013-01-01T05:00:00Z"]),
    ],
)
def test_date_formatters(formatter: DateFormatter, stored: list[Any]) -> None:
    assert read(pl.Series(stored), "timestamp(us,UTC)", formatter) == [dt.datetime(2013, 1, 1, 5, tzinfo=UTC)]


def test_date_formatter_of_dates() -> None:
    formatter = DateFormatter.string_format("%d.%m.%Y")
    assert read(pl.Series(["02.01.2013"]), "date", formatter) == [dt.date(2013, 1, 2)]
    with pytest.raises(CastError, match=r"'2013-01-02'.*pattern '%d.%m.%Y'"):
        read(pl.Series(["2013-01-02"]), "date", formatter)
    with pytest.raises(ValueError, match="no strftime pattern"):
        DateFormatter.string_format("dd.mm.yyyy")


@pytest.mark.parametrize(
    ("stored", "dtype", "values"),
    [
        (pl.Series([1, 2], dtype=pl.Int64), "int8", [1, 2]),
        (pl.Series([1.0, -2.0]), "int32", [1, -2]),
        (pl.Series([1, 0]), "bool", [True, False]),
        (pl.Series([True]), "int8", [1]),
        (pl.Series([1, 2]), "string", ["1", "2"]),
        (pl.Series(["1"], dtype=pl.Categorical), "int8", [1]),
        (pl.Series([Decimal("1.50")]), "decimal(9,1)", [Decimal("1.5")]),
        (pl.Series([dt.datetime(2013, 1, 1)], dtype=pl.Datetime("ns")), "date", [dt.date(2013, 1, 1)]),
        (pl.Series([dt.date(2013, 1, 1)]), "timestamp(us,UTC)", [dt.datetime(2013, 1, 1, tzinfo=UTC)]),
        (pl.Series([None], dtype=pl.Null), "list(int8)", [None]),
        (pl.Series([[1, 2]]), "embedding(2,float32)", [[1.0, 2.0]]),
        (pl.Series([{"a": 1, "z": 2}]), "struct(a:int8)", [{"a": 1}]),
        (pl.Series([b"x"]), "string", ["x"]),
    ],
)
def test_stored_type_is_cast(stored: pl.Series, dtype: str, values: list[Any]) -> None:
    assert read(stored, dtype) == values


@pytest.mark.parametrize(
    ("stored", "dtype", "sample"),
    [
        (pl.Series([1, 300]), "int8", "300"),
        (pl.Series([1.0, 1.5]), "int32", "1.5"),
        (pl.Series([1.0, float("nan")]), "int32", "nan"),
        (pl.Series([0, 2]), "bool", "2"),
        (pl.Series([1e300]), "float32", "1e+300"),
        (pl.Series([Decimal("1.55")]), "decimal(9,1)", "1.55"),
        (pl.Series([dt.datetime(2013, 1, 1, 5)]), "date", "2013, 1, 1, 5"),
        (pl.Series([[1, 2], [3]]), "embedding(2,float32)", "3"),
        (pl.Series([[1, 300]]), "list(int8)", "300"),
        (pl.Series([b"\xff"]), "string", "xff"),
    ],
)
def test_stored_value_that_does_not_fit(stored: pl.Series, dtype: str, sample: str) -> None:
    with pytest.raises(CastError) as error:
        read(stored, dtype)
    assert sample in str(error.value)


@pytest.mark.parametrize(
    ("stored", "dtype"),
    [
        (pl.Series([1]), "date"),
        (pl.Series([1]), "timestamp(us,UTC)"),
        (pl.Series([1]), "list(int8)"),
        (pl.Series([dt.date(2013, 1, 1)]), "int32"),
        (pl.Series([{"a": 1}]), "struct(a:int8,b:int8)"),
        (pl.Series([[1]]), "int8"),
    ],
)
def test_type_that_never_fits_is_told_before_any_row_is_read(stored: pl.Series, dtype: str) -> None:
    request = RetrievalRequest("things", Schema((column("x", dtype),)))
    with pytest.raises(CastError, match="is stored as"):
        conform(stored.alias("x").to_frame().lazy(), request, source_label="here")
