"""Many rows go by UNLOAD and COPY, few over the connection; nothing stays in the bucket, and no secret gets out."""

from __future__ import annotations

import json
import logging
import os
import pickle
import traceback
from collections.abc import Callable

import polars as pl
import pytest

from aligned_dagster import AwsS3Config, FileSource, RedshiftSQLConfig
from aligned_dagster.errors import AlignedError, ConfigurationError, PublishError, SourceError
from aligned_dagster.sources import publishing
from aligned_dagster.sources.source import source_from_json, source_to_json
from tools.servers.redshift import RedshiftServer
from tools.servers.s3 import S3Server

from ..sql.conftest import request
from .conftest import Run

ROWS = pl.DataFrame({"id": range(5), "name": ["a", "", None, "o'hara", "back\\slash"]})
WANTED = request(id="entity int64", name="string")

Objects = Callable[[], list[str]]


def test_many_rows_go_by_way_of_the_bucket(
    staging: RedshiftSQLConfig, redshift: RedshiftServer, objects: Objects
) -> None:
    since = len(redshift.statements)
    table = staging.table("many")
    table.overwrite(ROWS.lazy(), WANTED)
    assert table.all_data(WANTED).collect().sort("id").equals(ROWS)
    found = [statement.split()[0] for statement in redshift.statements[since:]]
    assert found.count("COPY") == found.count("UNLOAD") == 1
    assert objects() == []


def test_few_rows_and_what_is_no_constant_go_over_the_connection(
    staging: RedshiftSQLConfig, redshift: RedshiftServer
) -> None:
    table = staging.table("few")
    table.overwrite(ROWS.lazy(), WANTED)
    since = len(redshift.statements)
    table.insert(ROWS.head(2).lazy(), WANTED)
    rows = table.all_data(WANTED)
    assert rows.filter(pl.col("id") == 3).collect()["name"].to_list() == ["o'hara"]
    assert rows.filter(pl.col("name") == "back\\slash").collect()["id"].to_list() == [4]
    assert not [s for s in redshift.statements[since:] if s.startswith(("COPY", "UNLOAD"))]


def test_a_role_is_used_where_one_is_named(
    staging: RedshiftSQLConfig,
    redshift: RedshiftServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALIGNED_TEST_ROLE", "arn:aws:iam::1:role/r")
    since = len(redshift.statements)
    table = staging.model_copy(update={"iam_role_env": "ALIGNED_TEST_ROLE"}).table("by_role")
    table.overwrite(ROWS.lazy(), WANTED)
    assert table.all_data(WANTED).collect().height == 5
    told = [s for s in redshift.statements[since:] if s.startswith(("COPY", "UNLOAD"))]
    assert len(told) == 2 and all("IAM_ROLE" in s and "ACCESS_KEY" not in s for s in told)


def test_failing_copy_leaves_the_old_rows_and_nothing_in_the_bucket(
    staging: RedshiftSQLConfig, objects: Objects, run: Run
) -> None:
    table = staging.table("kept")
    table.overwrite(ROWS.lazy(), WANTED)
    run("ALTER TABLE kept ADD CONSTRAINT small CHECK (id < 100)")
    with pytest.raises(PublishError, match="still there"):
        table.overwrite(ROWS.lazy().with_columns(pl.col("id") + 98), WANTED)
    assert table.all_data(WANTED).collect().sort("id").equals(ROWS)
    assert objects() == []


CANARY = "canary/Secret+Key=1234"


@pytest.mark.parametrize("variable", ["SECRET", "BUCKET", "ENDPOINT"])
def test_secrets_stay_out_of_everything(
    staging: RedshiftSQLConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
) -> None:
    table = staging.table("closed")
    table.overwrite(ROWS.lazy(), WANTED)
    wrong = {"SECRET": CANARY, "BUCKET": "no-such-bucket", "ENDPOINT": "http://127.0.0.1:9"}[variable]
    monkeypatch.setenv(f"ALIGNED_TEST_S3_{variable}", wrong)
    secrets = [CANARY] if variable == "SECRET" else [os.environ["ALIGNED_TEST_S3_SECRET"]]
    secrets.append(staging.uri().split("@")[0].rpartition(":")[2])
    told: list[str] = []
    with caplog.at_level(logging.INFO):
        for use in (
            lambda: table.overwrite(ROWS.lazy(), WANTED),
            lambda: table.all_data(WANTED).collect(),
        ):
            with pytest.raises(AlignedError) as failed:
                use()
            told += ["".join(traceback.format_exception(failed.value)), repr(failed.value)]
            assert failed.value.__cause__ is None
    told += [repr(table), str(staging), json.dumps(source_to_json(table)), caplog.text]
    told.append(pickle.dumps(table).decode("latin-1"))
    assert not [text for text in told for secret in secrets if secret in text]
    assert source_from_json(source_to_json(table)) == pickle.loads(pickle.dumps(table)) == table


def test_error_of_a_statement_has_no_keys(
    staging: RedshiftSQLConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = staging.table("closed")
    table.overwrite(ROWS.lazy(), WANTED)
    monkeypatch.setenv("ALIGNED_TEST_S3_SECRET", CANARY)
    with pytest.raises(SourceError) as failed:
        table.all_data(WANTED).collect()
    assert CANARY not in "".join(traceback.format_exception(failed.value))


def test_buckets_that_cannot_be(
    staging: RedshiftSQLConfig, bucket: AwsS3Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"s3=AwsS3Config\(...\).directory"):
        RedshiftSQLConfig("A", s3=FileSource.directory("staging"))
    with pytest.raises(
        ConfigurationError, match="iam_role_env of RedshiftSQLConfig must be the name"
    ) as refused:
        RedshiftSQLConfig("A", s3=bucket, iam_role_env="arn:aws:iam::1:role/r")
    assert "arn" not in str(refused.value)
    nameless = RedshiftSQLConfig("A", s3=AwsS3Config(bucket="b")).staging
    assert nameless is not None
    with pytest.raises(ConfigurationError, match="role or keys of its own to reach s3://b"):
        nameless.credentials_sql()
    odd = staging.model_copy(update={"s3": bucket.directory("it's").location})
    with pytest.raises(ConfigurationError, match="no other signs than letters"):
        odd.table("t").overwrite(ROWS.lazy(), WANTED)
    monkeypatch.delenv("ALIGNED_TEST_S3_BUCKET")
    with pytest.raises(ConfigurationError, match="ALIGNED_TEST_S3_BUCKET, the bucket of AwsS3Config"):
        staging.table("t").overwrite(ROWS.lazy(), WANTED)


def test_a_bucket_itself_will_do(
    staging: RedshiftSQLConfig, bucket: AwsS3Config, redshift: RedshiftServer
) -> None:
    since = len(redshift.statements)
    config = RedshiftSQLConfig(staging.env_var, s3=bucket, large_rows=3)
    table = config.table("plain")
    table.overwrite(ROWS.lazy(), WANTED)
    assert table.all_data(WANTED).collect().sort("id").equals(ROWS)
    places = [word for s in redshift.statements[since:] for word in s.split() if word.startswith("'s3://")]
    assert len(places) == 2
    assert all(place.startswith(f"'s3://{bucket.shown_bucket}/aligned_staging/") for place in places)


def test_what_killed_writers_left_is_removed_after_a_day(
    staging: RedshiftSQLConfig,
    bucket: AwsS3Config,
    s3: S3Server,
    objects: Objects,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = "staging/aligned_staging/0123456789abcdef0123456789abcdef/000000.parquet"
    kept = ["staging/of_somebody_else.parquet", "aligned_staging/of_somebody_else.parquet"]
    for key in (left, *kept):
        s3.client().put_object(Bucket=bucket.shown_bucket, Key=key, Body=b"rows")
    table = staging.table("cleaning")
    table.overwrite(ROWS.lazy(), WANTED)
    assert left in objects(), "it is not a day old: its writer may be at it"
    monkeypatch.setattr(publishing, "STALE_AFTER", -1.0)
    table.overwrite(ROWS.lazy(), WANTED)
    assert sorted(objects()) == sorted(kept)
    assert table.all_data(WANTED).collect().sort("id").equals(ROWS)
