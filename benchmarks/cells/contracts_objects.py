"""S3 read by contracts, through a proxy that counts what the server sends."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

import polars as pl

from aligned_dagster import AwsS3Config, FeatureView, Float, Int64, String, feature_view
from benchmarks.cell import Task
from tools.servers.proxy import CountingProxy

COLUMNS, ASKED = 50, ("c07", "c31")
BUCKET = AwsS3Config(
    access_token_env="BENCHMARK_S3_KEY",
    secret_token_env="BENCHMARK_S3_SECRET",
    bucket="benchmark",
    region="us-east-1",
    endpoint_env="BENCHMARK_S3_ENDPOINT",
)


def wide(name: str, source: Any) -> FeatureView[Any]:
    """A contract of 50 stored columns, most of them numbers, and the key that the partitions are named by.

    Args:
        name: of the contract.
        source: of its rows.
    """
    types = (Float, Float, Float, Int64, String)
    columns = {f"c{n:02}": types[n % 5]() for n in range(1, COLUMNS)}
    contract = type(name, (), {"part": Int64(), "c00": Int64().as_entity(), **columns})
    made: Any = feature_view(name=name, source=source)(contract)
    assert isinstance(made, FeatureView)  # mypy does not see what a class decorator returns
    return made


def rows(number: int, part: int) -> pl.DataFrame:
    """Rows of one partition, of values that compress little, as measurements do."""
    n = pl.int_range(number, dtype=pl.UInt64)
    columns = {"c00": n.cast(pl.Int64) + part * 10_000_000}
    for column in range(1, COLUMNS):
        noise = n.hash(part * COLUMNS + column)
        kind = column % 5
        numbers = (noise % 2**53).cast(pl.Float64) / 2**53 if kind < 3 else (noise % 10**9).cast(pl.Int64)
        columns[f"c{column:02}"] = pl.format("id-{}", numbers) if kind == 4 else numbers
    columns["part"] = pl.repeat(part, number, dtype=pl.Int64)
    return pl.select([values.alias(name) for name, values in columns.items()])


def stored(task: Task) -> Callable[[], Any]:
    """The rows that the others are to find, made anew."""
    return lambda: rows(task.args["rows"], task.args["part"]).select(ASKED)


def read(task: Task) -> Callable[[], Any]:
    """Two columns of one partition or object, and the bytes that it took."""
    name, part = task.args["name"], task.args["part"]
    if task.args["partitioned"]:
        source = BUCKET.partitioned_parquet_at(name, ["part"])
        [key] = ["/".join(file.parts[1:]) for file in source.files() if file.parent.name == f"part={part}"]
        view = wide("Readings", source)
        job = view.query().filter(pl.col("part") == part).select(*ASKED)
    else:
        key = name
        job = wide("Measured", BUCKET.parquet_at(name)).query().select(*ASKED).all()
    task.figures["bytes needed"] = needed = _needed(key)

    def run() -> Any:
        with CountingProxy(os.environ["BENCHMARK_S3_ENDPOINT"]) as proxy:
            os.environ["BENCHMARK_S3_ENDPOINT"] = proxy.endpoint
            frame = job.lazy()
            planning = proxy.bytes_out_of_server
            found = frame.collect(engine="streaming")
            task.figures["listing and first footer"] = planning
            task.figures["reading"] = proxy.bytes_out_of_server - planning
            task.figures["requests"] = proxy.requests
            task.figures["moved / needed"] = round(proxy.bytes_out_of_server / needed, 3)
        return found

    return run


def _needed(key: str) -> int:
    """Bytes of the column chunks that hold the answer, as the object's own footer tells them."""
    import boto3
    from pyarrow.parquet import ParquetFile

    client = boto3.client(
        "s3",
        endpoint_url=os.environ["BENCHMARK_S3_ENDPOINT"],
        aws_access_key_id=os.environ["BENCHMARK_S3_KEY"],
        aws_secret_access_key=os.environ["BENCHMARK_S3_SECRET"],
        region_name="us-east-1",
    )
    found = ParquetFile(io.BytesIO(client.get_object(Bucket=BUCKET.bucket, Key=key)["Body"].read()))
    groups = [found.metadata.row_group(n) for n in range(found.metadata.num_row_groups)]
    chunks = [group.column(n) for group in groups for n in range(group.num_columns)]
    return sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in ASKED)
