from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from adbc_driver_manager import Error, OperationalError
from adbc_driver_postgresql import dbapi
from polars.testing import assert_frame_equal

from tools.servers.redshift import RedshiftServer
from tools.servers.s3 import S3Server

NOON = datetime(2024, 2, 29, 12, 30, 15, 123456)
ROWS = pl.DataFrame(
    {
        "id": [1, 2, None],
        "text": ["007", "", None],
        "odd": ["\\N", 'a\tb\n"c"\\n', "NULL"],
        "amount": [Decimal("1.50"), Decimal("-99999999.99"), None],
        "day": [NOON.date(), None, NOON.date()],
        "at": [NOON.replace(tzinfo=UTC), None, NOON.replace(tzinfo=UTC)],
        "local": [NOON, None, NOON],
        "flag": [True, False, None],
        "ratio": [1.5, float("nan"), float("-inf")],
        "raw": [b"\x00\\1", b"", None],
    },
    schema_overrides={"amount": pl.Decimal(10, 2)},
)
CREATE = """
CREATE TABLE everything (
    id bigint ENCODE az64 DISTKEY, "text" varchar(max), odd varchar(20), amount numeric(10, 2), day date,
    at timestamptz, local timestamp, flag boolean, ratio double precision, raw varbyte(10)
) DISTSTYLE KEY COMPOUND SORTKEY (id, at)
"""


class Client:
    """A connection of the driver that the sources use, reading without COPY."""

    def __init__(self, uri: str) -> None:
        self.connection = dbapi.connect(uri)
        self.cursor = self.connection.cursor()
        self.cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})

    def run(self, sql: str, parameters: tuple[object, ...] | None = None) -> list[tuple[Any, ...]]:
        self.cursor.execute(sql, parameters)
        return self.cursor.fetchall() if self.cursor.description else []

    def refusal(self, sql: str) -> Error:
        with pytest.raises(Error) as refused:
            self.cursor.execute(sql)
        self.connection.rollback()
        return refused.value

    def close(self) -> None:
        self.cursor.close()
        self.connection.close()


@pytest.fixture
def database(redshift: RedshiftServer) -> Iterator[str]:
    uri = redshift.new_database()
    yield uri
    redshift.postgres.drop_database(uri.rpartition("/")[2])


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    with closing(Client(database)) as client:
        yield client


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.new_bucket()


@pytest.fixture
def keys(s3: S3Server) -> str:
    return f"ACCESS_KEY_ID '{s3.access_key}' SECRET_ACCESS_KEY '{s3.secret_key}'"


def test_says_that_it_is_redshift(client: Client) -> None:
    [(version,)] = client.run("SELECT version()")
    assert "PostgreSQL 8.0.2" in version and "Redshift 1.0.77467" in version


def test_wrong_passwords_are_refused(redshift: RedshiftServer) -> None:
    with pytest.raises(OperationalError, match="password authentication failed"):
        dbapi.connect(redshift.uri(password="wrong"))


def test_values_are_bound_and_texts_are_no_statements(client: Client) -> None:
    assert client.run("SELECT $1 || ' ON CONFLICT', '-- unnest(' AS \"returning\"", ("é'",)) == [
        ("é' ON CONFLICT", "-- unnest(")
    ]


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "ON CONFLICT"),
        ("SELECT DISTINCT ON (a) a FROM t", "DISTINCT ON"),
        ("SELECT * FROM t, LATERAL (SELECT 1) l", "LATERAL"),
        ("SELECT '{}'::jsonb", "jsonb"),
        ("SELECT ARRAY[1]", "arrays"),
        ("SELECT 1::int[]", "arrays"),
        ("CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX"),
        ("COPY t FROM STDIN", "COPY FROM STDIN"),
        ("COPY (SELECT 1) TO STDOUT (FORMAT binary)", "COPY FROM STDIN"),
        ("CREATE TABLE s (id serial)", "serial"),
        ("CREATE TEMP TABLE s (id int) ON COMMIT DROP", "ON COMMIT"),
        ("SELECT unnest(a) FROM t", "unnest"),
        ("DELETE FROM t RETURNING a", "RETURNING"),
        ("LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE", "LOCK IN"),
        ("/* why */ TRUNCATE t", "TRUNCATE"),
    ],
)
def test_refuses_what_redshift_has_not(client: Client, sql: str, named: str) -> None:
    client.run("CREATE TABLE t (a int)")
    client.connection.commit()
    refusal = client.refusal(sql)
    assert refusal.sqlstate == "0A000"
    assert named in str(refusal)
    assert client.run("SELECT count(*) FROM t") == [(0,)]


def test_a_refusal_fails_the_transaction(client: Client) -> None:
    client.run("CREATE TABLE t (a int)")
    with pytest.raises(Error):
        client.run("DELETE FROM t RETURNING a")
    with pytest.raises(Error):
        client.run("SELECT 1")
    client.connection.rollback()
    assert "does not exist" in str(client.refusal("SELECT * FROM t"))


def test_columns_without_a_size_have_redshifts(client: Client) -> None:
    client.run("CREATE TABLE t (a text, b varchar, c numeric, d bigint IDENTITY(1, 1))")
    types = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0"
    assert client.run(f"{types} ORDER BY attnum") == [
        ("character varying(256)",),
        ("character varying(256)",),
        ("numeric(18,0)",),
        ("bigint",),
    ]


def test_locks_a_table(client: Client, database: str) -> None:
    client.run("CREATE TABLE t (a int)")
    client.connection.commit()
    client.run("LOCK t")
    client.run("LOCK TABLE t")


@pytest.mark.parametrize("login", ["keys", "role"])
def test_copy_loads_in_the_clients_transaction(
    client: Client, s3: S3Server, bucket: str, keys: str, login: str
) -> None:
    ROWS.write_parquet(f"s3://{bucket}/in/1.parquet", storage_options=s3.storage_options)
    ROWS.write_parquet(f"s3://{bucket}/in/2.parquet", storage_options=s3.storage_options)
    client.run(CREATE)
    client.connection.commit()
    how = keys if login == "keys" else "IAM_ROLE 'arn:aws:iam::123456789012:role/any'"
    client.run(f"COPY everything FROM 's3://{bucket}/in/' {how} FORMAT AS PARQUET")
    assert client.run("SELECT count(*) FROM everything") == [(6,)]
    client.connection.rollback()
    assert client.run("SELECT count(*) FROM everything") == [(0,)]


def test_unload_gives_back_what_copy_has_loaded(client: Client, s3: S3Server, bucket: str, keys: str) -> None:
    ROWS.write_parquet(f"s3://{bucket}/in.parquet", storage_options=s3.storage_options)
    client.run(CREATE)
    client.run(f"COPY everything FROM 's3://{bucket}/in.parquet' {keys} FORMAT PARQUET")
    client.run(
        f"UNLOAD ('SELECT * FROM everything WHERE odd <> ''nothing''') TO 's3://{bucket}/out/' {keys} FORMAT PARQUET"
    )
    read = pl.read_parquet(f"s3://{bucket}/out/*.parquet", storage_options=s3.storage_options)
    assert_frame_equal(read, ROWS, check_row_order=False)


def test_a_manifest_lists_what_is_to_be_loaded(client: Client, s3: S3Server, bucket: str) -> None:
    client.run("CREATE TABLE t (a bigint)")
    client.run("INSERT INTO t VALUES (1), (2), (3)")
    client.run(
        f"UNLOAD ($$SELECT * FROM t$$) TO 's3://{bucket}/o/' IAM_ROLE default FORMAT AS PARQUET MANIFEST"
    )
    with closing(s3.client()) as store:
        manifest = json.loads(store.get_object(Bucket=bucket, Key="o/manifest")["Body"].read())
        manifest["entries"] = manifest["entries"][:1]
        store.put_object(Bucket=bucket, Key="some", Body=json.dumps(manifest).encode())
    client.run(f"COPY t FROM 's3://{bucket}/some' IAM_ROLE default FORMAT AS PARQUET MANIFEST")
    assert client.run("SELECT count(*) FROM t") == [(5,)]


def test_unload_writes_partitions_and_overwrites_only_when_told(
    client: Client, s3: S3Server, bucket: str
) -> None:
    client.run("CREATE TABLE t (a bigint, b varchar(10))")
    client.run("INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'y')")
    unload = f"UNLOAD ('SELECT * FROM t') TO 's3://{bucket}/o/' IAM_ROLE default FORMAT AS PARQUET PARTITION BY (b)"
    client.run(unload)
    read = pl.scan_parquet(f"s3://{bucket}/o/", storage_options=s3.storage_options, hive_partitioning=True)
    assert sorted(read.collect().select("a", "b").rows()) == [(1, "x"), (2, "y"), (3, "y")]
    client.connection.commit()
    assert "is not empty" in str(client.refusal(unload))
    client.run(f"{unload} ALLOWOVERWRITE")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("COPY t FROM 's3://BUCKET/none/' KEYS FORMAT PARQUET", "prefix 's3://BUCKET/none/' does not exist"),
        ("COPY t FROM 's3://BUCKET/in' FORMAT PARQUET", "CREDENTIALS argument is required"),
        (
            "COPY t FROM 's3://BUCKET/in' ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY 'canary' FORMAT PARQUET",
            "S3ServiceException",
        ),
        ("COPY nothing FROM 's3://BUCKET/in' KEYS FORMAT PARQUET", 'relation "nothing" does not exist'),
        ("COPY u FROM 's3://BUCKET/in' KEYS FORMAT PARQUET", "incompatible Parquet schema"),
        ("COPY w FROM 's3://BUCKET/in' KEYS FORMAT PARQUET", "Unmatched number of columns"),
        ("COPY t FROM 's3://BUCKET/in' KEYS FORMAT AS CSV", "PARQUET only"),
        ("UNLOAD ('SELECT * FROM nothing') TO 's3://BUCKET/o' KEYS FORMAT PARQUET", "does not exist"),
        ("UNLOAD ('SELECT unnest(a)') TO 's3://BUCKET/o' KEYS FORMAT PARQUET", "unnest"),
    ],
)
def test_what_fails_says_why_and_fails_the_transaction(
    redshift: RedshiftServer, client: Client, s3: S3Server, bucket: str, keys: str, sql: str, said: str
) -> None:
    pl.DataFrame({"a": ["7"]}).write_parquet(f"s3://{bucket}/in", storage_options=s3.storage_options)
    for table in ("t (a varchar(10))", "u (a bigint)", "w (a varchar(10), b int)"):
        client.run(f"CREATE TABLE {table}")
    client.connection.commit()
    with pytest.raises(Error, match=said.replace("BUCKET", bucket)):
        client.run(sql.replace("BUCKET", bucket).replace("KEYS", keys))
    with pytest.raises(Error):
        client.run("SELECT 1")
    client.connection.rollback()
    assert client.run("SELECT count(*) FROM t") == [(0,)]
    for written in (redshift.postgres.log.read_text("utf-8"), str(redshift.statements), repr(s3)):
        assert s3.secret_key not in written and "canary" not in written


def test_both_protocols_are_understood(database: str, s3: S3Server, bucket: str, keys: str) -> None:
    import psycopg2  # speaks the simple one, as Amazon's driver does

    ROWS.write_parquet(f"s3://{bucket}/in.parquet", storage_options=s3.storage_options)
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(CREATE)
        connection.commit()
        cursor.execute(f"COPY everything FROM 's3://{bucket}/in.parquet' {keys} FORMAT PARQUET")
        cursor.execute(f"UNLOAD ('SELECT * FROM everything') TO 's3://{bucket}/o/' {keys} FORMAT PARQUET")
        cursor.execute("SELECT count(*) FROM everything")
        assert cursor.fetchall() == [(3,)]
        with pytest.raises(psycopg2.errors.FeatureNotSupported, match="ON CONFLICT"):
            cursor.execute("INSERT INTO everything (id) VALUES (1) ON CONFLICT DO NOTHING")
        connection.rollback()
        with pytest.raises(psycopg2.errors.InternalError_, match="does not exist"):
            cursor.execute(f"COPY everything FROM 's3://{bucket}/none' {keys} FORMAT PARQUET")
        connection.rollback()
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
    assert pl.read_parquet(f"s3://{bucket}/o/*", storage_options=s3.storage_options).height == 3
