"""Stores that are busy, that fail and whose connections are cut: tried again, and given up with the cause."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import polars as pl
import pytest

from aligned_dagster.errors import (
    AccessDeniedError,
    SourceError,
    SourceNotFoundError,
    UnavailableSourceError,
    UnreadableSourceError,
)
from aligned_dagster.request.explain import explained
from aligned_dagster.sources import publishing
from aligned_dagster.sources.object_journal import ObjectJournal
from aligned_dagster.sources.source import WritableSource
from tools.servers.azure import AzuriteServer
from tools.servers.proxy import CountingProxy
from tools.servers.s3 import S3Server

from ..behaviours import same
from ..crashing import READINGS, REQUEST
from .conftest import Config, azure_config, s3_config

pytestmark = [
    pytest.mark.usefixtures("pauses"),
    pytest.mark.filterwarnings(
        # Azure's client leaves connections that broke, or whose answers it did not read, to be collected.
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]

LAYOUTS = pytest.mark.parametrize("layout", ["file", "tree"])
CHANGED = READINGS.with_columns(count=pl.lit(1, pl.Int32))


def source_in(config: Config, layout: str, name: str = "rows") -> WritableSource:
    below = config.directory("data")
    if layout == "file":
        return below.parquet_at(f"{name}.parquet")
    return below.partitioned_parquet_at(name, ["region"])


@contextmanager
def given_up(source: WritableSource, kind: type[SourceError], *, why: str) -> Iterator[None]:
    """Within the block an error of ours is raised, soon, that names the source and says why."""
    began = time.monotonic()
    with pytest.raises(kind, match=why) as found, explained("readings", source.uri):
        yield
    assert time.monotonic() - began < 30
    directory, _, name = source.uri.rpartition("/")
    assert directory in str(found.value)
    assert name in str(found.value)


@pytest.mark.parametrize("status", [500, 503])
@LAYOUTS
def test_a_few_failures_are_survived(
    behind: Config, direct: Config, proxy: CountingProxy, layout: str, status: int
) -> None:
    source = source_in(behind, layout)
    proxy.fail_next(2, status)
    source.overwrite(READINGS.lazy(), REQUEST)
    assert proxy.requests > 2
    same(source_in(direct, layout).all_data(REQUEST), READINGS)
    proxy.fail_next(2, status)
    plan = source.all_data(REQUEST)
    proxy.fail_next(2, status)
    same(plan, READINGS)


@LAYOUTS
def test_failures_that_last_are_given_up_with_their_cause(
    behind: Config, direct: Config, proxy: CountingProxy, layout: str, pauses: list[float]
) -> None:
    source = source_in(behind, layout, "lasting")
    source.overwrite(READINGS.lazy(), REQUEST)
    plan = source.all_data(REQUEST)
    with source.stage(CHANGED.lazy(), REQUEST, "overwrite") as staged:
        attempts: list[Callable[[], object]] = [
            plan.collect,
            lambda: source.all_data(REQUEST),
            staged.publish,
        ]
        for attempt in attempts:
            proxy.reset()
            proxy.fail_next(10_000)
            pauses.clear()
            with given_up(source, UnavailableSourceError, why="503|SlowDown"):
                attempt()
            assert proxy.requests >= 5
            assert sum(pauses) < 25
            assert attempt is attempts[0] or len(pauses) >= 4, "it was not tried again, with pauses"
        proxy.reset()
    readable = source_in(direct, layout, "lasting")
    same(readable.all_data(REQUEST), READINGS)
    source.overwrite(CHANGED.lazy(), REQUEST)
    same(readable.all_data(REQUEST), CHANGED)


@LAYOUTS
def test_connections_that_are_cut_again_and_again(
    behind: Config, direct: Config, proxy: CountingProxy, layout: str
) -> None:
    source = source_in(behind, layout, "cut")
    source.overwrite(READINGS.lazy(), REQUEST)
    plan = source.all_data(REQUEST)
    proxy.cut_after(200, times=10_000)
    with given_up(source, UnavailableSourceError, why="the store did not answer"):
        plan.collect()
    proxy.reset()
    proxy.cut_after(1_000, of="requests", times=10_000)
    with given_up(source, UnavailableSourceError, why="cannot be reached"):
        source.overwrite(CHANGED.lazy(), REQUEST)
    proxy.reset()
    same(source_in(direct, layout, "cut").all_data(REQUEST), READINGS)


def test_an_answer_that_is_lost_is_no_conflict(behind: Config, direct: Config, proxy: CountingProxy) -> None:
    """The put came through, is sent again, and meets its own object."""
    for layout in ("file", "tree"):
        source = source_in(behind, layout, "lost")
        source.overwrite(READINGS.head(1).lazy(), REQUEST)
        with source.stage(READINGS.lazy(), REQUEST, "upsert") as staged:
            lose_the_answer_to_a_put(proxy, journal=layout == "tree")
            staged.publish()
        same(source_in(direct, layout, "lost").all_data(REQUEST), READINGS)


def lose_the_answer_to_a_put(proxy: CountingProxy, *, journal: bool) -> None:
    """Cut the connection at the first answer to a put of the object, or of the journal, that decides on a publish."""
    count = proxy._count

    def counted(size: int, of: str) -> tuple[int, bool]:
        with proxy._lock:
            last = proxy.seen[-1] if proxy.seen else ""
        if (
            of == "answers"
            and last.startswith("PUT")
            and journal == last.partition("?")[0].endswith("journal")
        ):
            del proxy.__dict__["_count"]
            return 0, True
        return count(size, of)  # type: ignore[arg-type]  # one of two literals

    proxy.reset()
    proxy.__dict__["_count"] = counted


@LAYOUTS
def test_a_truncated_object_is_named(direct: Config, layout: str) -> None:
    source = source_in(direct, layout, "truncated")
    source.overwrite(READINGS.lazy(), REQUEST)
    store = source.location.store()
    key = next(one.key for one in store.list("data/truncated" + (".parquet" if layout == "file" else "/")))
    content = store.get(key)[0]
    for left in (content[:-20], content[: len(content) // 2], b""):
        store.put(key, left)
        with given_up(source, UnreadableSourceError, why=key.rpartition("/")[2]):
            source.all_data(REQUEST).collect()
        with given_up(source, UnreadableSourceError, why=key.rpartition("/")[2]):
            source.upsert(READINGS.lazy(), REQUEST)
        assert store.get(key)[0] == left, "it is left as it is"


@LAYOUTS
def test_what_is_missing_is_named(direct: Config, layout: str) -> None:
    source_in(direct, layout, "present").overwrite(READINGS.lazy(), REQUEST)
    source = source_in(direct, layout, "presemt")
    with given_up(source, SourceNotFoundError, why=r"Did you mean 'present"):
        source.all_data(REQUEST)
    with given_up(source, SourceNotFoundError, why="does not exist"):
        source.fingerprint()


@pytest.mark.parametrize("server", ["s3", "azurite"])
@LAYOUTS
def test_a_missing_bucket_and_denied_access(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, server: str, layout: str
) -> None:
    found: S3Server | AzuriteServer = request.getfixturevalue(server)

    def config(bucket: str) -> Config:
        if isinstance(found, S3Server):
            return s3_config(found, bucket, monkeypatch)
        return azure_config(found, bucket, monkeypatch)

    bucket = found.new_bucket() if isinstance(found, S3Server) else found.new_container()
    source = source_in(config("nowhere"), layout)
    attempts: list[Callable[[WritableSource], object]] = [
        lambda source: source.all_data(REQUEST),
        lambda source: source.overwrite(READINGS.lazy(), REQUEST),
        lambda source: source.upsert(READINGS.lazy(), REQUEST),
        lambda source: source.fingerprint(),
    ]
    for attempt in attempts:
        with pytest.raises(SourceNotFoundError, match=r"There is no (bucket|container) 'nowhere'.*[Cc]heck"):
            attempt(source)
    source = source_in(config(bucket), layout)
    secret = "TEST_S3_SECRET" if server == "s3" else "TEST_AZURE_KEY"
    monkeypatch.setenv(secret, "d3Jvbmcgc2VjcmV0")
    assert os.environ[secret]
    for attempt in attempts:
        with given_up(source, AccessDeniedError, why=secret):
            attempt(source)


def test_a_store_that_goes_away_after_the_publish(direct: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are published when the journal is; the next writer puts the objects to their places."""
    source = source_in(direct, "tree", "late")
    source.overwrite(READINGS.lazy(), REQUEST)

    def gone(*_: object) -> None:
        raise UnavailableSourceError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(ObjectJournal, "carry_out", gone)
        source.overwrite(CHANGED.lazy(), REQUEST)
    same(source.all_data(REQUEST), CHANGED)
    source.upsert(READINGS.lazy(), REQUEST)
    same(source.all_data(REQUEST), READINGS)
    assert not list(source.location.store().list("data/.late.staging"))


def test_what_a_killed_writer_left_goes_after_a_day(direct: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_in(direct, "tree", "left")
    store = source.location.store()
    store.put("data/.left.staging-0123/region=0/part.parquet", b"half")
    source.overwrite(READINGS.lazy(), REQUEST)
    assert list(store.list("data/.left.staging"))
    monkeypatch.setattr(publishing, "STALE_AFTER", -60.0)
    source.overwrite(READINGS.lazy(), REQUEST)
    assert not list(store.list("data/.left.staging"))
    same(source.all_data(REQUEST), READINGS)
