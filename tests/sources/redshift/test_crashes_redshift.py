"""A writer to Redshift that is killed or cut off at any moment leaves all old or all new rows, and litter for a day."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aligned_dagster import RedshiftSQLConfig
from aligned_dagster.sources import publishing
from aligned_dagster.sources.redshift import RedshiftTable
from tools.servers.redshift import RedshiftServer
from tools.servers.s3 import S3Server

from ..crashing import READINGS, REQUEST
from ..sql.stopping import Blow, Database, WritersToServer, stop_at_random_moments, writers_to_server
from .conftest import new_bucket

BLOWS = 6
"""For each of two roads to the table, three ways to write and two ways to stop it: 36 kills and 36 cuts."""

VARIABLE = "CRASH_REDSHIFT_URL"


@pytest.fixture(scope="module")
def database(redshift: RedshiftServer) -> Iterator[Database]:
    name = redshift.new_database().rpartition("/")[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, redshift.uri(name))
        database = Database(redshift.postgres, name)
        yield database
        database.drop()


@pytest.fixture(scope="module")
def sources(database: Database, s3: S3Server) -> Iterator[dict[str, RedshiftTable]]:
    with pytest.MonkeyPatch.context() as patch:
        bucket = new_bucket(s3, patch)
        yield {
            "wire": RedshiftSQLConfig(VARIABLE).table("by_wire", sort_keys=["station"]),
            "bucket": RedshiftSQLConfig(VARIABLE, s3=bucket.directory("crashes"), large_rows=100).table(
                "staged"
            ),
        }


@pytest.fixture(scope="module")
def writers(
    sources: dict[str, RedshiftTable], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WritersToServer]:
    with writers_to_server(sources, tmp_path_factory.mktemp("plan")) as writers:
        yield writers


@pytest.mark.parametrize("blow", ["kill", "cut"])
@pytest.mark.parametrize("way", ["overwrite", "upsert", "window"])
@pytest.mark.parametrize("road", ["wire", "bucket"])
def test_stopped_at_random_moments(
    writers: WritersToServer,
    database: Database,
    sources: dict[str, RedshiftTable],
    road: str,
    way: str,
    blow: Blow,
) -> None:
    stop_at_random_moments(writers, database, sources[road], road, way, blow, blows=BLOWS)


def test_what_the_dead_left_in_the_bucket_is_removed(
    sources: dict[str, RedshiftTable], s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = sources["bucket"].config.s3
    assert place is not None
    bucket = place.config.shown_bucket

    def left() -> int:
        return len(s3.client().list_objects_v2(Bucket=bucket).get("Contents", []))

    s3.client().put_object(
        Bucket=bucket, Key="crashes/aligned_staging/of_the_dead/000000.parquet", Body=b"rows"
    )
    assert left() > 0
    monkeypatch.setattr(publishing, "STALE_AFTER", 0.0)
    sources["bucket"].overwrite(READINGS.lazy(), REQUEST)
    assert left() == 0
