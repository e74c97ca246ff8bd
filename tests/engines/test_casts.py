"""A cast on an engine keeps what polars keeps, to the same value, and refuses what polars refuses, in words of ours."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aligned_dagster.errors import CastError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.replay import with_derived_on
from aligned_dagster.features.expression import Call, ColumnRef, replay
from aligned_dagster.sources.engines.session import EngineSession, engine_session

GREAT = 2.0**64 - 2048
"""The greatest number of 64 floating bits that 64 whole ones hold."""
KEPT: list[tuple[str, str, list[Any]]] = [
    ("int64", "uint8", [0, 255, None]),
    ("int64", "uint16", [0, 65_535, None]),
    ("int64", "uint32", [0, 2**32 - 1]),
    ("int64", "uint64", [0, 2**63 - 1, None]),
    ("uint64", "uint8", [0, 255]),
    ("uint16", "uint64", [0, 65_535, None]),
    ("float64", "uint8", [-0.9, 0.5, 255.9, -0.0, None]),
    ("float64", "uint64", [-0.9, 1.9, 2.0**53 + 2, 2.0**63, GREAT]),
    ("float32", "uint32", [-0.9, 1.5, 4_294_967_040.0]),
    ("decimal(10,2)", "uint16", [Decimal("-0.99"), Decimal("1.99"), Decimal("65535.99"), None]),
    ("decimal(20,1)", "uint64", [Decimal("-0.9"), Decimal("1.9"), Decimal("9223372036854775808.9")]),
    ("bool", "uint8", [True, False, None]),
    ("string", "uint8", ["0", "255", "+7", "007", None]),
    ("string", "uint64", ["0", "18446744073709551615", "+7"]),
    ("string", "int32", ["-2147483648", "+5", "-0"]),
    ("string", "float64", ["1", ".5", "5.", "+1e3", "1E-3", "-inf", "Infinity", "nan", "NaN", "1e400", None]),
    ("list(int64)", "list(uint8)", [[0, 255, None], [], None]),
]  # fmt: skip
REFUSED: list[tuple[str, str, Any]] = [
    ("int64", "uint8", 256),
    ("int64", "uint8", -1),
    ("int64", "uint16", 65_536),
    ("int64", "uint32", 2**32),
    ("int64", "uint64", -1),
    ("uint64", "uint32", 2**32),
    ("float64", "uint8", -1.0),
    ("float64", "uint8", float("nan")),
    ("float64", "uint64", 2.0**64),
    ("float64", "uint64", float("inf")),
    ("decimal(10,2)", "uint8", Decimal("256")),
    ("decimal(10,2)", "uint64", Decimal("-1")),
    ("string", "uint8", "256"),
    ("string", "uint8", "-1"),
    ("string", "uint64", "18446744073709551616"),
    ("string", "uint64", "1.5"),
    *(("string", "int64", text) for text in ("1.5", " 5", "5 ", "1e3", "0x1F", "1_000", "", "5\n")),
    *(("string", "float64", text) for text in (" 1", "1_0", "1d", "1f", "", "1e", "abc")),
    ("list(int64)", "list(uint8)", [1, 300]),
]  # fmt: skip


@pytest.fixture(params=["spark", "duckdb"])
def session(request: pytest.FixtureRequest) -> EngineSession:
    """Each engine."""
    found: EngineSession = (
        engine_session("duckdb") if request.param == "duckdb" else request.getfixturevalue("spark")
    )
    return found


def cast(
    session: EngineSession, cases: list[tuple[str, str, list[Any]]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What an engine and what polars makes of values."""
    rows = max(len(values) for *_, values in cases)
    types, columns, trees = {"row": DataType("int64")}, [pl.Series("row", range(rows))], {}
    for number, (have, wanted, values) in enumerate(cases):
        name = f"from {number}"
        types |= {name: DataType.from_text(have), f"to {number}": DataType.from_text(wanted)}
        padded = [*values, *[None] * (rows - len(values))]
        columns.append(pl.Series(name, padded, dtype=types[name].polars))
        trees[f"to {number}"] = Call("cast", ColumnRef(name), wanted)
    frame, made = pl.DataFrame(columns), {name: types[name] for name in ("row", *trees)}
    held = session.from_polars(frame.lazy(), {name: types[name] for name in frame.columns})
    found = session.collect(with_derived_on(held, trees, session.name, types), made, contract="casts")
    truth = frame.select("row", **{name: replay(tree) for name, tree in trees.items()})
    return found.sort("row"), truth


def test_what_fits_is_kept(session: EngineSession) -> None:
    found, truth = cast(session, KEPT)
    assert_frame_equal(found, truth, check_exact=True)


@pytest.mark.parametrize(("have", "wanted", "value"), REFUSED)
def test_what_does_not_fit_is_refused(session: EngineSession, have: str, wanted: str, value: Any) -> None:
    frame = pl.DataFrame({"x": pl.Series([value], dtype=DataType.from_text(have).polars)})
    with pytest.raises(pl.exceptions.PolarsError):
        frame.select(replay(Call("cast", ColumnRef("x"), wanted)))
    with pytest.raises(CastError, match="'casts'"):
        cast(session, [(have, wanted, [value])])


def test_a_derivation_of_another_type_than_the_column_is_checked_too(session: EngineSession) -> None:
    types = {"n": DataType("int64"), "next": DataType("uint8")}
    tree = Call("add", ColumnRef("n"), 1)
    for value, fits in ((254, True), (255, False)):
        held = session.from_polars(pl.LazyFrame({"n": [value]}), {"n": types["n"]})
        derived = with_derived_on(held, {"next": tree}, session.name, types)
        if fits:
            assert session.collect(derived, {"next": types["next"]}).rows() == [(255,)]
        else:
            with pytest.raises(CastError):
                session.collect(derived, {"next": types["next"]})


def test_an_error_tells_contract_column_value_and_what_to_do(session: EngineSession) -> None:
    with pytest.raises(CastError) as told:
        cast(session, [("string", "uint8", ["300"])])
    words = str(told.value)
    assert words.startswith("'casts': ") and "300" in words and "from 0" in words
    with pytest.raises(CastError) as told:
        cast(session, [("int64", "int8", [300])])
    words = str(told.value)
    assert words.startswith("'casts': ") and "300" in words and "wider type" in words
    assert "ansi" not in words and "try_cast" not in words and "SQLSTATE" not in words


def test_a_whole_number_beyond_64_bits_is_an_error_and_no_other_number(session: EngineSession) -> None:
    types = {"n": DataType("int64"), "more": DataType("int64")}
    held = session.from_polars(pl.LazyFrame({"n": [2**63 - 1]}), {"n": types["n"]})
    more = with_derived_on(held, {"more": Call("add", ColumnRef("n"), 1)}, session.name, types)
    with pytest.raises(CastError, match=r"'sums': .*wider type"):
        session.collect(more, {"more": types["more"]}, contract="sums")
