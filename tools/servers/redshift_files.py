"""Parquet in S3 as Redshift's COPY reads it and its UNLOAD writes it, from and to PostgreSQL's COPY format."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tools.servers.redshift_sql import Copy, Credentials, RefusedError, Unload
from tools.servers.s3 import S3Server

NULL = r"\N"
_ESCAPES = {"\\\\": "\\", "\\b": "\b", "\\f": "\f", "\\n": "\n", "\\r": "\r", "\\t": "\t", "\\v": "\v"}

BOOL, BYTEA, NUMERIC, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ = 16, 17, 1700, 1082, 1083, 1114, 1184, 1266
_NUMBERS: dict[int, type[pl.DataType]] = {
    21: pl.Int16,
    23: pl.Int32,
    20: pl.Int64,
    700: pl.Float32,
    701: pl.Float64,
}


@dataclass(frozen=True)
class Column:
    """A column as the server describes it."""

    name: str
    oid: int
    modifier: int


class S3Files:
    """The objects of one S3 server, as a statement's credentials may reach them."""

    def __init__(self, server: S3Server, credentials: Credentials) -> None:
        options: dict[str, Any] = {}
        if credentials.access_key is not None:
            options["aws_access_key_id"] = credentials.access_key
            options["aws_secret_access_key"] = credentials.secret_key
            options["aws_session_token"] = credentials.session_token
        self._client = server.client(**options)

    def parquet_of(self, statement: Copy) -> list[pl.DataFrame]:
        """What a COPY loads, file by file.

        Raises:
            RefusedError: Nothing is there, access is denied, or a file is no Parquet.
        """
        try:
            return [self._parquet(bucket, key) for bucket, key in self._objects(statement)]
        except RefusedError:
            raise
        except pl.exceptions.PolarsError as error:
            raise RefusedError(f"Spectrum Scan Error: file is not a Parquet file: {error}", "XX000") from None
        except Exception as error:
            raise _denied(error) from None

    def write(self, statement: Unload, frame: pl.DataFrame) -> None:
        """Put what an UNLOAD has selected; nothing where that is no row.

        Raises:
            RefusedError: Something is there already, or access is denied.
        """
        try:
            self._write(statement, frame)
        except RefusedError:
            raise
        except Exception as error:
            raise _denied(error) from None

    def _objects(self, statement: Copy) -> list[tuple[str, str]]:
        uri = f"s3://{statement.bucket}/{statement.key}"
        if statement.manifest:
            body = self._client.get_object(Bucket=statement.bucket, Key=statement.key)["Body"].read()
            entries = json.loads(body)["entries"]
            if any("content_length" not in entry.get("meta", {}) for entry in entries):
                raise RefusedError(
                    "COPY from Parquet needs meta.content_length in each manifest entry", "XX000"
                )
            return [_split(entry["url"]) for entry in entries]
        keys = self._keys(statement.bucket, statement.key)
        if not keys:
            raise RefusedError(f"The specified S3 prefix '{uri}' does not exist", "XX000")
        return [(statement.bucket, key) for key in keys]

    def _keys(self, bucket: str, prefix: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", []) if entry["Size"]]

    def _parquet(self, bucket: str, key: str) -> pl.DataFrame:
        return pl.read_parquet(io.BytesIO(self._client.get_object(Bucket=bucket, Key=key)["Body"].read()))

    def _write(self, statement: Unload, frame: pl.DataFrame) -> None:
        there = self._keys(statement.bucket, statement.prefix)
        if statement.clean:
            for key in there:
                self._client.delete_object(Bucket=statement.bucket, Key=key)
        elif there and not statement.overwrite:
            raise RefusedError(
                "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix, "
                "manually removing the target files in S3, or using the ALLOWOVERWRITE option.",
                "XX000",
            )
        entries = []
        for name, part in _parts(statement, frame):
            key, file = statement.prefix + name, io.BytesIO()
            part.write_parquet(file)
            data = file.getvalue()
            self._client.put_object(Bucket=statement.bucket, Key=key, Body=data)
            meta = {"content_length": len(data), "record_count": part.height}
            entries.append({"url": f"s3://{statement.bucket}/{key}", "meta": meta})
        if statement.manifest:
            self._client.put_object(
                Bucket=statement.bucket,
                Key=statement.prefix + "manifest",
                Body=json.dumps({"entries": entries}).encode(),
            )


def demand_fit(frame: pl.DataFrame, columns: Sequence[Column]) -> None:
    """Refuse a file whose columns are not as many as the table's, or of another kind: COPY goes by position.

    Raises:
        RefusedError: As Redshift says it.
    """
    if frame.width != len(columns):
        raise RefusedError(
            f"Unmatched number of columns: table has {len(columns)}, file has {frame.width}", "XX000"
        )
    for (name, dtype), column in zip(frame.schema.items(), columns, strict=True):
        if not _fits(dtype, column.oid):
            raise RefusedError(
                f"Spectrum Scan Error: column {column.name!r} has an incompatible Parquet schema: "
                f"{name!r} is {dtype}",
                "XX000",
            )


def _fits(dtype: pl.DataType, oid: int) -> bool:
    if oid in (21, 23, 20):
        return dtype.is_integer()
    if oid in (700, 701):
        return dtype.is_float()
    kinds: dict[int, tuple[type[pl.DataType], ...]] = {
        BOOL: (pl.Boolean,),
        BYTEA: (pl.Binary,),
        NUMERIC: (pl.Decimal,),
        DATE: (pl.Date,),
        TIME: (pl.Time,),
        TIMETZ: (pl.Time,),
        TIMESTAMP: (pl.Datetime,),
        TIMESTAMPTZ: (pl.Datetime,),
    }
    return isinstance(dtype, kinds.get(oid, (pl.String, pl.Categorical, pl.Enum)))


def copy_lines(frame: pl.DataFrame) -> bytes:
    """The rows in PostgreSQL's text format of COPY."""
    escaped = [
        _as_text(pl.col(name), dtype)
        .str.replace_many(list(_ESCAPES.values()), list(_ESCAPES))
        .fill_null(NULL)
        .alias(name)
        for name, dtype in frame.schema.items()
    ]
    lines = frame.select(pl.concat_str(escaped, separator="\t").alias("line"))["line"]
    return "".join(f"{line}\n" for line in lines).encode()


def frame_of(lines: bytes, columns: Sequence[Column]) -> pl.DataFrame:
    """The rows that PostgreSQL's COPY has written as text, a last column more than `columns`, with true types."""
    names = [str(position) for position in range(len(columns) + 1)]
    texts = (
        pl.read_csv(
            io.BytesIO(lines),
            has_header=False,
            separator="\t",
            quote_char=None,
            null_values=NULL,
            empty_string_is_null=False,
            schema=dict.fromkeys(names, pl.String),
        )
        if lines
        else pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    )
    return pl.DataFrame([_typed(texts[str(position)], column) for position, column in enumerate(columns)])


def _as_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        utc = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
        return utc.dt.strftime("%Y-%m-%d %H:%M:%S%.6f" + ("+00" if dtype.time_zone else ""))
    if isinstance(dtype, pl.Time):
        return column.dt.strftime("%H:%M:%S%.6f")
    if isinstance(dtype, pl.Binary):
        return pl.lit("\\x") + column.bin.encode("hex")
    return column.cast(pl.String)


def _typed(texts: pl.Series, column: Column) -> pl.Series:
    texts = texts.alias(column.name)
    if (number := _NUMBERS.get(column.oid)) is not None:
        return texts.cast(number)
    if column.oid == BOOL:
        return texts == "t"
    if column.oid == NUMERIC:
        return texts.cast(_decimal(texts, column.modifier))
    if column.oid == DATE:
        return texts.str.to_date("%Y-%m-%d")
    if column.oid == TIME:
        return texts.str.to_time("%H:%M:%S%.f")
    if column.oid == TIMESTAMP:
        return texts.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us")
    if column.oid == TIMESTAMPTZ:
        offset = texts.str.replace(r"([+-]\d\d)$", "${1}:00")
        return offset.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us", time_zone="UTC")
    plain = texts.str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))
    return plain.str.strip_prefix("\\x").str.decode("hex") if column.oid == BYTEA else plain


def _decimal(texts: pl.Series, modifier: int) -> pl.Decimal:
    if modifier >= 4:
        return pl.Decimal((modifier - 4) >> 16, (modifier - 4) & 0x7FF)
    scale = texts.str.extract(r"\.(\d+)$").str.len_chars().max()
    return pl.Decimal(38, scale if isinstance(scale, int) else 0)


def _parts(statement: Unload, frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """The files of an UNLOAD, by the end of their names: of two slices, as the smallest cluster has."""
    if frame.is_empty():
        return
    if statement.partition_by:
        names = list(statement.partition_by)
        groups = frame.partition_by(names, as_dict=True, include_key=statement.include_partitions)
        for values, group in groups.items():
            folders = "/".join(
                f"{name}={'__HIVE_DEFAULT_PARTITION__' if value is None else value}"
                for name, value in zip(names, values, strict=True)
            )
            yield f"{folders}/0000_part_00.parquet", group
    elif not statement.parallel:
        yield "000.parquet", frame
    else:
        half = (frame.height + 1) // 2
        for number, part in enumerate((frame[:half], frame[half:])):
            if not part.is_empty():
                yield f"{number:04d}_part_00.parquet", part


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _denied(error: Exception) -> RefusedError:
    answer = getattr(error, "response", {}).get("Error", {})
    reason = answer.get("Code") or type(error).__name__
    return RefusedError(f"S3ServiceException:{re.sub(r'[^A-Za-z0-9]', '', reason)}, Status {reason}", "XX000")
