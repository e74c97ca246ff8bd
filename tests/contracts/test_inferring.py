from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from aligned_dagster import Float, Int64, feature_view
from aligned_dagster.contracts.discovery import views_in
from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.contracts.guessing import guess
from aligned_dagster.contracts.inferable import infer, objects_at
from aligned_dagster.errors import (
    ConfigurationError,
    ContractError,
    SourceNotFoundError,
    UnreadableSourceError,
    UnsupportedError,
)
from aligned_dagster.quality.audit import audit
from aligned_dagster.quality.report import AuditReport
from aligned_dagster.sources.sql.connection import close_idle_connections

NUMBER = itertools.count()
NAMES = st.one_of(
    st.sampled_from(
        ["id", "Order", "order_id", "at", "Bought at", "class", "String", "1st", "ære", "_x", "*"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5),
)
CELLS = st.one_of(
    st.none(),
    st.integers(-(10**20), 10**20).map(str),
    st.integers(0, 3).map(str),
    st.floats().map(str),
    st.booleans().map(str),
    st.dates().map(str),
    st.datetimes().map(lambda at: at.isoformat()),
    st.datetimes().map(lambda at: f"{at.isoformat(sep=' ')}Z"),
    st.times().map(str),
    st.sampled_from(["", "007", "NaN", "inf", "1e999", "yes", "no", "N", '"', "a,b", "\n", "2024-02-30"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
)
KINDS = [
    pl.Boolean, pl.Int8, pl.Int64, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64, pl.String, pl.Date, pl.Time, pl.Binary,
    pl.Datetime("ms"), pl.Datetime("us", "Europe/Oslo"), pl.Duration("us"), pl.Categorical, pl.Decimal(12, 3),
    pl.List(pl.Int32), pl.Struct({"a": pl.String, "b c": pl.List(pl.Float64)}), pl.Array(pl.Float32, 2), pl.Null,
    pl.Datetime("ns"), pl.Duration("ms"), pl.Enum(["a", "b"]), pl.Int128, pl.List(pl.Datetime("ms")),
]  # fmt: skip
LEFT_OUT = [pl.Binary(), pl.Int128(), pl.List(pl.Datetime("ms"))]
MANY_TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE "Many Types" ("The Id" uuid DEFAULT gen_random_uuid(), a smallint, b numeric(9,2), c jsonb, d date,
  e time, f interval, g int[], h bytea, i mood, j timestamp, k real, l boolean, m varchar(9));
INSERT INTO "Many Types" (a, b, c, d, e, f, g, h, i, j, k, l, m) VALUES
  (1, 1.50, '{"a": 1}', '2024-01-01', '05:00', '2 hours', '{1,2}', 'x', 'ok', '2024-01-01 05:00', 1.5, true, 'm'),
  (2, 0, '[]', '2024-01-02', '06:00', '1 day', '{}', 'y', 'sad', '2024-01-01 06:00', 2, NULL, NULL)
"""
ENOUGH = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def contract(text: str, folder: Path) -> FeatureView[Any]:
    file = folder / f"inferred_{next(NUMBER)}.py"
    file.write_text(text, encoding="utf-8")
    [view] = views_in(file)
    return view


def audited(view: FeatureView[Any]) -> AuditReport:
    return audit(view.read(), view.schema, contract=view.name, on_violation=view.on_violation)


def code_lines(text: str) -> list[str]:
    return [line.strip() for line in text.partition("class ")[2].splitlines()[3:] if line.strip()]


@st.composite
def typed_frames(draw: st.DrawFn) -> pl.DataFrame:
    frame = draw(dataframes(min_cols=1, max_cols=5, max_size=8, allowed_dtypes=KINDS, allow_null=True))
    names = draw(st.lists(NAMES, min_size=frame.width, max_size=frame.width, unique=True))
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


@st.composite
def text_frames(draw: st.DrawFn) -> pl.DataFrame:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    height = draw(st.integers(0, 8))
    cells = st.one_of(CELLS, st.sampled_from(CELLS.element_strategies[1:-1]).flatmap(lambda kind: kind))
    columns = {}
    for name in names:
        kind = draw(st.sampled_from([cells, *CELLS.element_strategies[1:]]))
        columns[name] = draw(st.lists(st.one_of(st.none(), kind, kind), min_size=height, max_size=height))
    return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))


@ENOUGH
@given(frame=typed_frames())
def test_a_contract_inferred_from_parquet_passes_its_own_audit(frame: pl.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        frame.write_parquet(file)
        kept = [name for name, dtype in frame.schema.items() if dtype not in LEFT_OUT]
        if not kept:
            with pytest.raises(ContractError, match="no column"):
                infer(str(file))
            return
        view = contract(infer(str(file)), Path(folder))
        report = audited(view)

        assert report.passed, str(report)
        assert report.rows == frame.height
        assert len(view.schema.columns) == len(kept)


@ENOUGH
@given(frame=text_frames())
def test_a_contract_inferred_from_csv_passes_its_own_audit_and_keeps_every_cell(frame: pl.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        frame.write_csv(file, quote_style="non_numeric")
        text = infer(str(file))
        view = contract(text, Path(folder))
        report = audited(view)
        stored = pl.read_csv(file, infer_schema=False)

        assert report.passed, f"{report}\n{text}"
        assert report.rows == stored.height
        read = view.read().collect()
        assert [column.null_count() for column in read] == [column.null_count() for column in stored]


def test_what_a_csv_holds_becomes_types_roles_bounds_and_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shops = ["oslo", "rome"] * 6
    rows = {
        "Order": [str(1000 + number) for number in range(12)],
        "Shop": shops,
        "Bought at": [f"2024-05-01T09:{number:02}:00Z" for number in range(12)],
        "amount": ["12.5", "0.25"] * 6,
        "change": ["-1", "3"] * 6,
        "day": ["2024-05-01"] * 12,
        "zip": ["0150", "9999"] * 6,
        "member": ["true", "False"] * 6,
        "coupon": ["SPRING!", None] * 6,
    }
    pl.DataFrame(rows).write_csv("daily-sales.csv")
    text = infer("daily-sales.csv")

    assert "class DailySales:" in text
    assert '"Bought at": "bought_at",' in text
    assert code_lines(text) == [
        "Order = Int64().as_entity()",
        'Shop = String().accepted_values(["oslo", "rome"], on_violation="warn")',
        "bought_at = EventTimestamp()",
        'amount = Float().lower_bound(0, on_violation="warn")  # 0.25 to 12.5',
        "change = Int64()  # -1 to 3",
        "day = Date()",
        'zip = String().accepted_values(["0150", "9999"], on_violation="warn")',
        "member = Bool()",
        "coupon = String().is_optional()",
    ]
    assert audited(contract(text, tmp_path)).passed


def test_the_entity_may_be_known_only_together_with_the_time_or_with_another_column(tmp_path):
    hours = pl.Series(["2024-01-01T00:00", "2024-01-01T01:00"]).str.to_datetime(time_zone="UTC")
    weather = pl.DataFrame({"origin": ["EWR", "EWR", "JFK", "JFK"], "time_hour": pl.concat([hours, hours])})
    weather.with_columns(temp=pl.Series([1, 1, 1, 1])).write_parquet(tmp_path / "weather.parquet")
    seats = pl.DataFrame({"row": [1, 1, 2, 2], "seat": ["a", "b", "a", "b"], "price": [9.5, 9.5, 7.0, 7.0]})
    seats.write_parquet(tmp_path / "seats.parquet")

    by_time = code_lines(infer(str(tmp_path / "weather.parquet")))
    by_pair = code_lines(infer(str(tmp_path / "seats.parquet")))
    assert by_time[:2] == ["origin = String().as_entity()", "time_hour = EventTimestamp()"]
    assert by_pair[:2] == ["row = Int64().as_entity()", "seat = String().as_entity()"]


def test_another_separator_is_found(tmp_path):
    (tmp_path / "prices.csv").write_text("id;price\n1;2.5\n2;3\n")
    text = infer(str(tmp_path / "prices.csv"))

    assert 'csv_config=CsvConfig(separator=";")' in text
    assert contract(text, tmp_path).read().collect()["price"].to_list() == [2.5, 3.0]


def test_a_hive_directory_gives_its_keys_their_types(tmp_path):
    rows = pl.DataFrame({"id": [1, 2, 3], "Year of": [2023, 2024, 2024], "country": ["no", "no", None]})
    rows.write_parquet(pl.PartitionBy(tmp_path / "credits", key=["Year of", "country"], include_key=False))
    text = infer(str(tmp_path / "credits"))

    assert 'partition_keys=["year_of", "country"]' in text
    assert "year_of = Int64()" in text
    assert "country = String().is_optional()" in text
    view = contract(text, tmp_path)
    assert audited(view).passed
    assert view.read().collect().sort("id")["year_of"].to_list() == [2023, 2024, 2024]


def test_a_table_of_postgres_is_named_by_its_environment_variable(
    postgres, postgres_database, monkeypatch, tmp_path
):
    name = postgres_database.rpartition("/")[2]
    monkeypatch.setenv("SHOP_URL", postgres_database)
    rows = pl.DataFrame(
        {"id": [1, 2], "Full name": ["a", None], "paid_at": ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]}
    ).with_columns(pl.col("paid_at").str.to_datetime("%+", time_unit="us", time_zone="UTC"))
    rows.write_database("orders", postgres_database, engine="adbc")
    text = infer("postgresql:SHOP_URL:public.orders")
    view = contract(text, tmp_path)

    assert 'PostgreSQLConfig(env_var="SHOP_URL").table(' in text
    assert 'mapping_values={\n            "Full name": "full_name",' in text
    assert name not in text
    assert code_lines(text)[0] == "id = Int64().as_entity()"
    assert "paid_at = EventTimestamp()" in text
    assert audited(view).passed
    with pytest.raises(SourceNotFoundError, match=r"Did you mean '(public\.)?orders'"):
        infer("postgresql:SHOP_URL:public.order")
    close_idle_connections()


def test_a_table_of_many_types_is_inferred_by_its_catalog(postgres, postgres_database, monkeypatch, tmp_path):
    monkeypatch.setenv("SHOP_URL", postgres_database)
    name = postgres_database.rpartition("/")[2]
    for statement in MANY_TYPES.split(";\n"):
        postgres.execute(statement, name)
    text = infer("postgresql:SHOP_URL:Many Types")
    view = contract(text, tmp_path)

    assert "class ManyTypes:" in text
    assert {column.name: column.dtype.text for column in view.schema.columns} == {
        "the_id": "uuid", "a": "int16", "b": "decimal(9,2)", "c": "json", "d": "date", "e": "time", "f": "duration",
        "g": "list(int32)", "i": "string", "j": "timestamp(us,)", "k": "float32", "l": "bool", "m": "string",
    }  # fmt: skip
    assert '# left out: "h"' in text
    assert view.schema.entities == ("the_id",)
    assert [column.name for column in view.schema.columns if column.optional] == ["l", "m"]
    assert audited(view).passed
    close_idle_connections()


@pytest.mark.parametrize("store", ["s3", "azure"])
def test_an_object_is_named_by_a_url_and_its_keys_by_environment_variables(
    store, request, monkeypatch, tmp_path
):
    if store == "s3":
        server = request.getfixturevalue("s3_conditional")
        bucket = server.new_bucket()
        given = {
            "access_token": server.access_key,
            "secret_token": server.secret_key,
            "region": server.region,
        }
    else:
        server = request.getfixturevalue("azurite")
        bucket = server.new_container()
        given = {"account_name": server.account, "account_key": server.key}
    for name, value in (given | {"endpoint": server.endpoint}).items():
        monkeypatch.setenv(f"MY_{name.upper()}", value)
    query = "&".join(f"{name}_env=MY_{name.upper()}" for name in [*given, "endpoint"])
    target = f"{store}://{bucket}/raw/rows.csv?{query}"
    source = objects_at(target)[0].csv_at("raw/rows.csv")

    @feature_view(name="rows", source=source)
    class Rows:
        id = Int64().as_entity()
        share = Float()

    Rows.query().overwrite({"id": [1, 2], "share": [0.5, 0.0]})
    text = infer(target)

    assert not any(
        value in text for name, value in given.items() if "account_name" not in name and name != "region"
    )
    assert code_lines(text)[0] == "id = Int64().as_entity()"
    assert audited(contract(text, tmp_path)).passed


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("absent.csv", SourceNotFoundError, "absent.csv"),
        ("absent.parquet", SourceNotFoundError, "absent.parquet"),
        ("absent", SourceNotFoundError, "absent"),
        ("notes.txt", UnsupportedError, "neither a CSV file"),
        ("gs://bucket/x.csv", UnsupportedError, "Nothing is known of gs://"),
        ("s3://bucket/x.csv?regio_env=A", ConfigurationError, "Did you mean 'region_env'"),
        ("postgresql:orders", UnsupportedError, "postgresql:ENV_VAR:schema.table"),
        ("postgresql://me:hunter2@host/shop", UnsupportedError, "^(?!.*hunter2).*never given itself"),
        ("postgresql:NO_SUCH_VARIABLE_:orders", ConfigurationError, "NO_SUCH_VARIABLE_"),
        ("twice.csv", UnreadableSourceError, "'a' twice"),
    ],
)
def test_what_cannot_be_inferred_is_told(target, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    with pytest.raises(error, match=message):
        infer(target)


@pytest.mark.parametrize(
    ("texts", "dtype"),
    [
        (["18446744073709551615", "0"], "uint64"),
        (["123456789012345678901"], "string"),
        (["0.1234567890123456789"], "string"),
        (["1e999"], "string"),
        (["nan"], "string"),
        (["NaN", "1.0"], "float64"),
        (["NO", "SE"], "string"),
        (["no"], "string"),
        (["no", "Yes"], "bool"),
        (["2024-02-30"], "string"),
        (["2024-05-01", "2024-05-01T00:00"], "string"),
        (["2024-05-01 00:00"], "timestamp(us,)"),
        (["2024-05-01 00:00:00", "2024-05-01T00:00:00+02:00"], "timestamp(us,UTC)"),
        (["2024-05-01 00:00:00.123456789"], "string"),
        (["23:59", "05:00:00.25"], "time"),
        (["25:00"], "string"),
        ([""], "string"),
        ([None], "string"),
    ],
)
def test_texts_are_guessed_only_where_nothing_is_lost(texts, dtype):
    assert guess(pl.Series(texts, dtype=pl.String)).text == dtype


def test_a_name_that_cannot_be_a_class_is_refused():
    with pytest.raises(ContractError, match="'MySales' can"):
        infer("sales.csv", "My Sales")
