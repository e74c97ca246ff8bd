"""How many requests are made, and of which kind: a tree is listed once, and files that are not wanted are not opened."""

from __future__ import annotations

import re

import polars as pl

from aligned_dagster.features.schema import Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.object_location import ObjectLocation
from tools.servers.proxy import CountingProxy

from ..behaviours import same
from ..conftest import column
from .conftest import Config

PARTITIONS = 100
WANTED = RetrievalRequest(
    "wide", Schema((column("id", "int64", "entity"), column("day", "int32"), column("value", "float64")))
)
ROWS = pl.DataFrame({"id": range(PARTITIONS)}).with_columns(
    day=pl.col("id").cast(pl.Int32), value=pl.lit(0.5)
)


def listings(proxy: CountingProxy) -> int:
    return sum(bool(re.search(r"list-type=2|comp=list", line)) for line in proxy.seen)


def test_requests(direct: Config, behind: Config, proxy: CountingProxy) -> None:
    direct.partitioned_parquet_at("wide", ["day"]).overwrite(ROWS.lazy(), WANTED)
    source = behind.partitioned_parquet_at("wide", ["day"])
    assert isinstance(source.location, ObjectLocation)

    proxy.reset()
    one = pl.col("day") == 7
    same(source.all_data(WANTED).filter(one), ROWS.filter(one))
    assert listings(proxy) == 1
    data = {
        line.partition("day%3D")[2] or line.partition("day=")[2] for line in proxy.seen if ".parquet" in line
    }
    assert len({line.partition("/")[0] for line in data}) <= 2, "that partition, and one for the columns"
    assert proxy.requests <= 12

    proxy.reset()
    first = source.fingerprint()
    assert listings(proxy) == 1
    assert proxy.requests <= 4, "no file is opened"
    assert first.bytes is not None and first.bytes > PARTITIONS

    proxy.reset()
    source.replace(ROWS.filter(one).with_columns(value=pl.lit(1.0)).lazy(), WANTED, one)
    assert listings(proxy) <= 3, "what is there, the tree, and what killed writers left"
    assert proxy.requests <= 25, proxy.seen
    assert source.fingerprint().data_version != first.data_version
