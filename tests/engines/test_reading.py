"""Rows of every kind of source come to Spark and DuckDB, and back to polars, as polars reads them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aligned_dagster import (
    AwsS3Config,
    AzureBlobConfig,
    CsvConfig,
    CustomMethodDataSource,
    FileSource,
    InMemorySource,
    PostgreSQLConfig,
)
from aligned_dagster.errors import CastError, ConfigurationError, MissingColumnError, RequestError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.engines.session import EngineSession, engine_session
from aligned_dagster.sources.source import DataSource
from aligned_dagster.sources.sql.connection import close_idle_connections
from tools.servers.azure import AzuriteServer
from tools.servers.s3 import S3Server


def column(name: str, dtype: str, role: Any = "feature", **facts: Any) -> Column:
    return Column(name, DataType.from_text(dtype), role, **facts)


SCHEMA = Schema(
    (
        column("id", "int64", "entity"),
        column("when", "timestamp(us,Europe/Oslo)", "event_timestamp"),
        column("naive", "timestamp(us,)"),
        column("day", "date"),
        column("clock", "time"),
        column("lasts", "duration"),
        column("u8", "uint8"),
        column("u64", "uint64"),
        column("f", "float64"),
        column("f32", "float32"),
        column("s", "string"),
        column("flag", "bool"),
        column("price", "decimal(10,2)"),
        column("raw", "binary"),
        column("many", "list(uint16)"),
        column("pair", "struct(a:int32,B:string)"),
        column("place", "embedding(2,float32)"),
    )
)
REQUEST = RetrievalRequest("everything", SCHEMA)
TEXTS = [
    *("a b", "x/y", "..", "%20", "é", "null", None, "__HIVE_DEFAULT_PARTITION__", "a=b", "+", "'q'\"\n,;"),
    *("long" * 80, "[x]", "{1,2}", "007", " ", "`t`"),
]
KEPT = ("id", "when", "naive", "day", "u8", "u64", "f", "s", "flag", "price", "many", "pair", "place")
"""Columns of types that Parquet has and Spark reads: no time of day and no duration."""


def everything() -> pl.DataFrame:
    """Rows with the values that engines are known to treat each in its own way."""
    count = len(TEXTS) * 2
    numbers = range(count)
    odd = [float("nan"), float("inf"), float("-inf"), -0.0, 0.1 + 0.2, 5e-324, None]
    oslo = [dt.datetime(1500 + 15 * n, 3, 31, 2, 30, 0, n) for n in numbers]
    columns: dict[str, Any] = {
        "id": numbers,
        "when": pl.Series(oslo, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC"),
        "naive": [None if n % 3 == 0 else dt.datetime(2021, 3, 28, 2, 30, 0, n) for n in numbers],
        "day": [dt.date(1, 1, 1) + dt.timedelta(days=20_000 * n) for n in numbers],
        "clock": [None if n % 5 == 0 else dt.time(23, 59, 59, 999_999 - n) for n in numbers],
        "lasts": [dt.timedelta(microseconds=-n) for n in numbers],
        "u8": [255 if n % 2 else None for n in numbers],
        "u64": pl.Series([2**64 - 1 - n for n in numbers], dtype=pl.UInt64),
        "f": [odd[n % len(odd)] for n in numbers],
        "f32": [n / 3 for n in numbers],
        "s": [TEXTS[n % len(TEXTS)] for n in numbers],
        "flag": [None if n % 4 == 0 else n % 2 == 0 for n in numbers],
        "price": [Decimal(n * 7) / 100 for n in numbers],
        "raw": [b"\x00\xff" * n for n in numbers],
        "many": [[1, None, 65_535]] * (count - 2) + [[], None],
        "pair": [{"a": 1, "B": "x"}] * (count - 1) + [None],
        "place": [[1.0, 2.0]] * (count - 1) + [None],
    }
    return pl.DataFrame(columns).select(pl.col(name).cast(t) for name, t in REQUEST.polars.items())


@pytest.fixture(params=["spark", "duckdb"])
def engine(request: pytest.FixtureRequest) -> EngineSession:
    """Each engine."""
    if request.param == "duckdb":
        return engine_session("duckdb")
    found: EngineSession = request.getfixturevalue("spark")
    return found


def types(request: RetrievalRequest) -> dict[str, DataType]:
    return {one.name: one.dtype for one in request.wanted}


def same(
    engine: EngineSession,
    source: DataSource,
    request: RetrievalRequest = REQUEST,
    where: pl.Expr | None = None,
    key: str = "id",
) -> Any:
    """Assert that an engine reads what polars reads, in any order; returns the engine's own frame."""
    whole = source.all_data(request.project(request.schema.names))
    wanted = (whole if where is None else whole.filter(where)).select(request.columns)
    frame = engine.read(source, request, where)
    found = engine.collect(frame, types(request), contract=request.name)
    assert_frame_equal(found.sort(key), wanted.collect().sort(key), check_exact=True)
    return frame.to_native()


def plan(frame: Any) -> str:
    """How Spark gets at the rows of a frame."""
    return str(frame._jdf.queryExecution().toString())


def test_every_type_comes_back(engine: EngineSession, tmp_path: Path) -> None:
    rows = everything()
    frame = engine.from_polars(rows.lazy(), types(REQUEST))
    assert_frame_equal(engine.collect(frame, types(REQUEST)), rows, check_exact=True)
    staged = engine.stage(frame, types(REQUEST), tmp_path / "staged [1] {a}", contract="everything")
    assert_frame_equal(staged.scan().collect().sort("id"), rows, check_exact=True)
    again = engine.collect(staged.read(), types(REQUEST))
    assert_frame_equal(again.sort("id"), rows, check_exact=True)
    assert staged.rows == rows.height


def test_no_rows(engine: EngineSession, tmp_path: Path) -> None:
    frame = engine.from_polars(everything().clear().lazy(), types(REQUEST))
    staged = engine.stage(frame, types(REQUEST), tmp_path / "staged")
    assert_frame_equal(staged.scan().collect(), everything().clear())


def test_parquet_is_read_by_the_engine(engine: EngineSession, tmp_path: Path) -> None:
    source = FileSource.parquet_at(tmp_path / "rows.parquet")
    source.overwrite(everything().lazy(), REQUEST)
    found = same(engine, source, REQUEST.project(KEPT))
    if engine.name == "spark":
        assert "FileScan parquet" in plan(found) and "MapInArrow" not in plan(found)
        few = plan(same(engine, source, REQUEST.project(["id", "s"])))
        assert "ReadSchema: struct<id:bigint,s:string>" in few
    same(engine, source)  # with times and durations, which Spark has no Parquet for


@pytest.mark.parametrize(
    "where",
    [
        (pl.col("f") > 0.1) & (pl.col("u64") < 2**64 - 3),
        (pl.col("when") >= pl.lit(dt.datetime(1700, 3, 31, tzinfo=ZoneInfo("Europe/Oslo"))))
        & (pl.col("day").is_between(dt.date(500, 1, 1), dt.date(1200, 1, 1)))
        & (pl.col("naive") != dt.datetime(2021, 3, 28, 2, 30, 0, 7)),
        (pl.col("s") > "a") & (pl.col("price") <= Decimal("1.75")) & (pl.col("flag") == False),  # noqa: E712  # an expression
    ],
)
def test_conditions_that_spark_applies(spark: EngineSession, tmp_path: Path, where: pl.Expr) -> None:
    source = FileSource.parquet_at(tmp_path / "rows.parquet")
    source.overwrite(everything().lazy(), REQUEST)
    assert "MapInArrow" not in plan(same(spark, source, REQUEST.project(["id", "s"]), where))


def test_a_condition_that_only_polars_can_apply(engine: EngineSession, tmp_path: Path) -> None:
    source = FileSource.parquet_at(tmp_path / "rows.parquet")
    source.overwrite(everything().lazy(), REQUEST)
    where = pl.col("s").str.contains("^[a-x]") & (pl.col("id") > 1)
    same(engine, source, REQUEST.project(["id"]), where)


def test_a_period(engine: EngineSession, tmp_path: Path) -> None:
    source = FileSource.parquet_at(tmp_path / "rows.parquet")
    source.overwrite(everything().lazy(), REQUEST)
    request = REQUEST.project(["id", "f32"])
    period = dt.date(1600, 1, 1), dt.date(1660, 12, 31)
    found = engine.collect(engine.read(source, request, between=period), types(request))
    assert_frame_equal(found.sort("id"), source.all_between_dates(request, *period).collect())
    assert 0 < found.height < everything().height


@pytest.mark.parametrize("key", ["s", "when", "f"])
def test_partitions_with_hostile_keys(engine: EngineSession, tmp_path: Path, key: str) -> None:
    source = FileSource.partitioned_parquet_at(tmp_path / "by", partition_keys=[key])
    request = REQUEST.project(KEPT)
    source.overwrite(everything().lazy(), REQUEST)
    found = same(engine, source, request)
    if engine.name == "spark":
        assert "FileScan parquet" in plan(found)


def test_only_the_wanted_partitions_are_opened(engine: EngineSession, tmp_path: Path) -> None:
    source = FileSource.partitioned_parquet_at(tmp_path / "by", partition_keys=["s", "flag"])
    source.overwrite(everything().lazy(), REQUEST)
    request = REQUEST.project(["id", "f32", "s"])
    where = (pl.col("s") == "x/y") & (pl.col("id") >= 0)
    wanted = source.all_data(request).filter(where).collect().sort("id")
    for file in (tmp_path / "by").rglob("*.parquet"):
        if "s=x%2Fy" not in str(file):
            file.write_bytes(b"damaged")
    found = engine.collect(engine.read(source, request, where), types(request))
    assert_frame_equal(found.sort("id"), wanted)
    assert wanted.height == 2
    nothing = engine.read(source, request, pl.col("s") == "of no partition")
    assert engine.collect(nothing, types(request)).is_empty()


def test_partitions_that_others_wrote(engine: EngineSession, tmp_path: Path) -> None:
    schema = Schema(
        (
            column("id", "int64", "entity"),
            column("key", "string", has_default=True, default="none"),
            column("n", "int32"),
        )
    )
    request = RetrievalRequest("others", schema)
    for number, key in enumerate(("a", "__HIVE_DEFAULT_PARTITION__")):
        (tmp_path / f"key={key}").mkdir()
        pl.DataFrame({"id": [number], "n": [number]}, schema_overrides={"n": pl.Int32}).write_parquet(
            tmp_path / f"key={key}" / "0.parquet"
        )
    source = FileSource.partitioned_parquet_at(tmp_path, partition_keys=["key"])
    same(engine, source, request)
    same(engine, source, request, pl.col("key") == "none")
    found = same(engine, source, request.project(["id", "n"]))
    if engine.name == "spark":
        assert "FileScan parquet" in plan(found)
    pl.DataFrame({"id": [7]}).write_parquet(tmp_path / "key=a" / "1.parquet")
    with pytest.raises(MissingColumnError):
        engine.collect(engine.read(source, request.project(["id", "n"])), types(request.project(["id", "n"])))


def test_a_condition_on_more_than_a_row(engine: EngineSession) -> None:
    with pytest.raises(RequestError, match="it is no condition on each row by itself"):
        engine.read(InMemorySource.empty(), REQUEST, pl.col("id") > pl.col("id").mean())


@pytest.mark.parametrize(
    "config",
    [
        CsvConfig(),
        CsvConfig(separator=";", null_values=("NA", "-"), decimal=",", encoding="utf-16"),
    ],
)
def test_csv(engine: EngineSession, tmp_path: Path, config: CsvConfig) -> None:
    source = FileSource.csv_at(tmp_path / "rows [1].csv.gz", csv_config=config)
    source.overwrite(everything().lazy(), REQUEST)
    same(engine, source)
    same(engine, source, REQUEST.project(["id", "f32"]), pl.col("s") == "a b")


def test_a_value_that_does_not_fit(engine: EngineSession, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("id,day\n1,2020-01-01\n2,2020-02-30\n")
    request = RetrievalRequest("days", Schema((column("id", "int8", "entity"), column("day", "date"))))

    def staged() -> None:
        frame = engine.read(FileSource.csv_at(file), request)
        engine.stage(frame, types(request), tmp_path / "staged", contract="days")

    with pytest.raises(CastError) as told:
        staged()
    words = str(told.value)
    assert words == (
        f"The value '2020-02-30' in column 'day' of 'days' in {file} is no date. It should be an ISO 8601 text. "
        "Of another form, say which: date_formatter=DateFormatter.string_format('%d.%m.%Y %H:%M')."
    )
    file.write_text("id\n1\n")
    with pytest.raises(MissingColumnError, match="has no column 'day', which 'days' needs"):
        engine.read(FileSource.csv_at(file), request)


def test_parquet_that_must_be_cast(engine: EngineSession, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    stored = pl.DataFrame(
        {"key.`1`": [1, 2], "n": [1, 300], "wide": [1, 2]}, schema_overrides={"wide": pl.Int8}
    )
    stored.write_parquet(file)
    source = FileSource.parquet_at(file, mapping_keys={"key.`1`": "id"})
    schema = Schema(
        (
            column("id", "int64", "entity"),
            column("wide", "int64"),
            column("more", "string", has_default=True, default="é"),
            column("less", "float64", optional=True),
            column("n", "uint8"),
        )
    )
    request = RetrievalRequest("casts", schema)
    found = same(engine, source, request.project(["id", "wide", "more", "less"]))
    if engine.name == "spark":
        assert "FileScan parquet" in plan(found)
    with pytest.raises(CastError, match="The value 300 in column 'n' of 'casts'"):
        engine.collect(engine.read(source, request), types(request))
    stored.drop("n").write_parquet(file)
    with pytest.raises(MissingColumnError, match="no column 'n'"):
        engine.read(source, request)


def test_schema_versions(engine: EngineSession, tmp_path: Path) -> None:
    source = FileSource.directory(tmp_path).with_schema_version("rows").parquet_at("rows.parquet")
    source.overwrite(everything().lazy(), REQUEST)
    same(engine, source, REQUEST.project(KEPT))


def test_sources_that_only_this_process_knows(engine: EngineSession) -> None:
    rows = everything()
    memory = InMemorySource.empty()
    memory.overwrite(rows.lazy(), REQUEST)
    same(engine, memory, REQUEST.project(["id", "s"]), pl.col("u8") == 255)
    asked: list[Any] = []

    def between(request: RetrievalRequest, start: dt.date, end: dt.date) -> pl.LazyFrame:
        asked.append((start, end))
        return rows.lazy().head(3)

    custom = CustomMethodDataSource.from_methods(all_data=lambda: rows, all_between_dates=between)
    same(engine, custom)
    days = dt.date(2020, 1, 1), dt.date(2020, 1, 2)
    found = engine.collect(engine.read(custom, REQUEST, between=days), types(REQUEST))
    assert found.height == 3 and asked == [days]


Variables = Callable[[str, str], None]


@pytest.fixture
def variables(spark: EngineSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[Variables]:
    """Sets environment variables here and for the workers, which otherwise have those of Spark's start."""
    environment = spark.spark.sparkContext.environment  # type: ignore[attr-defined]  # of the session of Spark
    before = dict(environment)

    def put(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        environment[name] = value

    yield put
    environment.clear()
    environment.update(before)


def reads_in_workers(spark: EngineSession, source: DataSource, secrets: list[str]) -> None:
    """Assert that the workers of Spark read a source, and that nothing tells its secrets."""
    request = REQUEST.project(["id", "when", "f", "s", "many"])
    where = (pl.col("id") > 2) & (pl.col("s") != "..")
    told = plan(same(spark, source, request, where))
    assert "MapInArrow" in told
    settings = str(spark.spark.sparkContext.getConf().getAll())  # type: ignore[attr-defined]  # as above
    assert not [secret for secret in secrets if secret in told + settings]


def test_s3(spark: EngineSession, s3: S3Server, variables: Variables) -> None:
    bucket = s3.new_bucket()
    variables("ENGINES_KEY", s3.access_key)
    variables("ENGINES_SECRET", s3.secret_key)
    config = AwsS3Config(
        bucket=bucket,
        access_token_env="ENGINES_KEY",
        secret_token_env="ENGINES_SECRET",
        region=s3.region,
        endpoint_url=s3.endpoint,
    )
    single = config.parquet_at("rows.parquet")
    single.overwrite(everything().lazy(), REQUEST)
    reads_in_workers(spark, single, [s3.secret_key])
    parts = config.partitioned_parquet_at("by", partition_keys=["flag"])
    parts.overwrite(everything().lazy(), REQUEST)
    reads_in_workers(spark, parts, [s3.secret_key])


def test_azure(spark: EngineSession, azurite: AzuriteServer, variables: Variables) -> None:
    container = azurite.new_container()
    variables("ENGINES_ACCOUNT", azurite.account)
    variables("ENGINES_ACCOUNT_KEY", azurite.key)
    config = AzureBlobConfig(
        account_name_env="ENGINES_ACCOUNT",
        account_key_env="ENGINES_ACCOUNT_KEY",
        container=container,
        endpoint_url=azurite.endpoint,
    )
    source = config.csv_at("rows.csv")
    source.overwrite(everything().lazy(), REQUEST)
    reads_in_workers(spark, source, [azurite.key])


def test_postgres(spark: EngineSession, postgres_database: str, variables: Variables) -> None:
    variables("ENGINES_DATABASE", postgres_database)
    database = PostgreSQLConfig(env_var="ENGINES_DATABASE")
    secret = postgres_database.partition("://")[2].partition("@")[0].partition(":")[2]
    rows = everything().filter(
        pl.col("when") >= pl.lit(dt.datetime(1501, 1, 1, tzinfo=ZoneInfo("Europe/Oslo")))
    )
    names = ("id", "when", "naive", "day", "f", "f32", "s", "flag", "price", "raw", "many")
    request = RetrievalRequest("few", Schema(tuple(SCHEMA.column(name) for name in names)))
    table = database.table("Rows")
    table.overwrite(rows.lazy().select(names), request)
    where = (pl.col("id") > 3) & (pl.col("s") > "Z") & (pl.col("day") != dt.date(500, 1, 1))
    for source in (table, database.fetch('SELECT * FROM "Rows";')):
        without_lists = plan(same(spark, source, request.project(names[:-1]), where))
        assert "JDBC" in without_lists and "MapInArrow" not in without_lists
        told = plan(same(spark, source, request, where))
        assert "MapInArrow" in told
        assert secret not in without_lists + told
    endless = database.fetch("SELECT 1::bigint AS id, 'infinity'::date AS day")
    days = RetrievalRequest("days", Schema((column("id", "int64", "entity"), column("day", "date"))))
    with pytest.raises(CastError, match="the column 'day' holds infinity"):
        spark.collect(spark.read(endless, days), types(days), contract="days")
    close_idle_connections()


def test_one_spark_for_a_process(spark: EngineSession) -> None:
    from tests.engines.conftest import SPARK

    assert engine_session("spark", SPARK) is spark
    with pytest.raises(
        ConfigurationError, match=r"A process has one Spark: give all views the same settings"
    ):
        engine_session("spark", SPARK.model_copy(update={"master": "local[7]"}))


def test_engines_without_a_session() -> None:
    with pytest.raises(RequestError, match=r"'Spark' is no engine with a session. Did you mean 'spark'\?"):
        engine_session("Spark")
