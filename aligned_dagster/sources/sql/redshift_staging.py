"""Many rows of Redshift: UNLOAD to a bucket and COPY from it, as Parquet, in the session's transaction."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import polars.selectors as cs

from aligned_dagster.errors import SourceError
from aligned_dagster.sources.sql.bound import Sql, sql
from aligned_dagster.sources.sql.identifiers import TableName, quote
from aligned_dagster.sources.sql.redshift_dialect import REDSHIFT
from aligned_dagster.sources.sql.redshift_rows import execute_untold, insert_rows
from aligned_dagster.sources.sql.sql_errors import RowsAsideError, said
from aligned_dagster.sources.sql.staging_bucket import StagingBucket

if TYPE_CHECKING:
    from aligned_dagster.sources.sql.connection import Session


_OF_THE_BUCKET = re.compile(r"S3|Spectrum|IAM|credential|manifest|UNLOAD|COPY", re.IGNORECASE)
"""Words of an error that the bucket and what is in it may be to blame for."""

_DANGEROUS = {"\\", "\0"}
"""What might be read as something else in a text."""


def unloaded(
    session: Session, bucket: StagingBucket, query: Sql
) -> Generator[pl.DataFrame, None, None] | None:
    """The rows of a query by way of a bucket; None where they are few, or a value of it cannot be a constant.

    Args:
        session: the transaction.
        bucket: where the rows wait.
        query: a SELECT.
    """
    text = constant(query)
    if text is None:
        return None
    counted = sql("SELECT count(*) FROM (", query, ") AS counted", dialect=REDSHIFT)
    if session.rows(counted)[0][0] < bucket.large_rows:
        return None
    return _unloaded(session, bucket, text)


def copied(session: Session, bucket: StagingBucket, table: TableName, frames: Iterable[pl.DataFrame]) -> int:
    """Append rows to a table, by way of a bucket where they are many, and return how many there were.

    Args:
        session: the transaction.
        bucket: where the rows wait.
        table: the table, which is there.
        frames: the rows, of the table's types.
    """
    waiting: list[pl.DataFrame] = []
    rows = iter(frames)
    for frame in rows:
        waiting.append(frame)
        if sum(part.height for part in waiting) >= bucket.large_rows:
            break
    else:
        return insert_rows(session, table, waiting)
    place, count = bucket.new_place(), 0
    try:
        with tempfile.TemporaryDirectory(prefix="aligned-staging-") as directory:
            file = Path(directory, "part.parquet")
            for number, frame in enumerate(chain(waiting, rows)):
                frame.write_parquet(file)
                bucket.put(f"{place}{number:06d}.parquet", file)
                count += frame.height
        names = waiting[0].columns
        _run(
            session,
            bucket,
            lambda: copy_statement(table, names, bucket.uri(place), bucket.credentials_sql()),
        )
    finally:
        bucket.remove(place)
    return count


def constant(query: Sql) -> str | None:
    """A query with its values as constants; None where one of them, or a name, could be read as something else.

    >>> from aligned_dagster.sources.sql.bound import Bound
    >>> constant(Sql(("a = ", Bound("o'hara", "text")), REDSHIFT))
    "a = 'o''hara'::varchar(65535)"
    """
    parts: list[str] = []
    for part in query.parts:
        if isinstance(part, str):
            parts.append(part)
        elif part.constant is not None:
            parts.append(part.constant)
        elif part.sql_type == "text" and not _DANGEROUS & set(part.text):
            parts.append(f"{REDSHIFT.literal(part.text)}::{REDSHIFT.text_type}")
        else:
            return None
    text = "".join(parts)
    return None if _DANGEROUS & set(text) else text


def unload_statement(query: str, uri: str, credentials: str) -> str:
    """The statement that puts the rows of a query into a directory.

    >>> unload_statement("SELECT 'a'", "s3://b/p/", "IAM_ROLE 'arn'")
    "UNLOAD ('SELECT ''a''') TO 's3://b/p/' IAM_ROLE 'arn' FORMAT AS PARQUET MANIFEST VERBOSE"
    """
    return (
        f"UNLOAD ({REDSHIFT.literal(query)}) TO {REDSHIFT.literal(uri)} {credentials} "
        "FORMAT AS PARQUET MANIFEST VERBOSE"
    )


def copy_statement(table: TableName, columns: Sequence[str], uri: str, credentials: str) -> str:
    """The statement that appends the rows of a directory to a table.

    >>> copy_statement(TableName(None, "t"), ["a"], "s3://b/p/", "IAM_ROLE 'arn'")
    'COPY "t" ("a") FROM \\'s3://b/p/\\' IAM_ROLE \\'arn\\' FORMAT AS PARQUET'
    """
    listed = ", ".join(map(quote, columns))
    return f"COPY {table.sql} ({listed}) FROM {REDSHIFT.literal(uri)} {credentials} FORMAT AS PARQUET"


def _unloaded(session: Session, bucket: StagingBucket, query: str) -> Generator[pl.DataFrame, None, None]:
    place = bucket.new_place()
    try:
        _run(session, bucket, lambda: unload_statement(query, bucket.uri(place), bucket.credentials_sql()))
        for frame in bucket.frames(place):
            yield frame.with_columns(cs.datetime().dt.cast_time_unit("us"))
    finally:
        bucket.remove(place)


def _run(session: Session, bucket: StagingBucket, statement: Callable[[], str]) -> None:
    """Run a statement that holds the keys of the bucket, which no error and no frame of its traceback shows.

    Raises:
        RowsAsideError: the server cannot reach the bucket, or finds something else in it.
    """
    from adbc_driver_manager import Error

    try:
        execute_untold(session, statement, scrubbed=bucket.scrubbed)
        return
    except Error as error:
        words = said(str(error))
        if not _OF_THE_BUCKET.search(words):
            raise
    raise RowsAsideError(
        f"Redshift has trouble with the rows on their way by {bucket.location.uri}: {words}. {bucket.advice}",
        SourceError,
    )
