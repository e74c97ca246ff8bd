"""Rows on their way into Redshift over the connection: INSERT of many rows at once, each value bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.sql.catalog import table_shape
from aligned_dagster.sources.sql.identifiers import TableName, quote
from aligned_dagster.sources.sql.redshift_dialect import REDSHIFT
from aligned_dagster.sources.sql.types import StoredColumn

if TYPE_CHECKING:
    import pyarrow as pa

    from aligned_dagster.sources.sql.connection import Session

VALUES = 7_000
"""Values of one statement. Redshift takes 32,767, and libpq an answer of 30,000 bytes, in which each value has 4."""

TEXT_BYTES = 4 << 20
"""About how long the texts of one statement are at most; Redshift takes statements of 16 MB."""


def frames_of(batches: Iterable[pl.DataFrame | pa.Table]) -> Iterator[pl.DataFrame]:
    """Batches as frames."""
    for batch in batches:
        yield batch if isinstance(batch, pl.DataFrame) else cast("pl.DataFrame", pl.from_arrow(batch))


def create_for(session: Session, table: TableName, frame: pl.DataFrame, *, temporary: bool) -> None:
    """Create a table with the columns of a frame."""
    lines = ", ".join(
        f"{quote(name)} {REDSHIFT.ddl_type(DataType.from_polars(dtype))}"
        for name, dtype in frame.schema.items()
    )
    session.execute(f"CREATE {'TEMPORARY ' if temporary else ''}TABLE {table.sql} ({lines})")


def insert_rows(session: Session, table: TableName, frames: Iterable[pl.DataFrame]) -> int:
    """Append rows to a table, and return how many there were.

    Args:
        session: the transaction.
        table: the table, which is there.
        frames: the rows, of columns of the table.
    """
    count, columns = 0, None
    for frame in frames:
        if columns is None:
            columns = stored_columns(session, table, frame.columns)
        texts = pl.DataFrame([as_text(values) for values in frame])
        for part in _parts(texts):
            statement = partial(insertion, table, columns, part.height)
            execute_untold(session, statement, _values(part))
        count += frame.height
    return count


def execute_untold(
    session: Session,
    statement: Callable[[], str],
    parameters: Sequence[Any] = (),
    scrubbed: Callable[[str], str] = str,
) -> None:
    """Run a statement that no error is to quote, because it is long or holds keys, as the driver's errors do.

    Args:
        session: the transaction.
        statement: gives it, so that no frame of an error's traceback holds it.
        parameters: its values.
        scrubbed: takes secrets out of what the server says.
    """
    from adbc_driver_manager import Error

    try:
        session.execute(statement(), parameters)
        return
    except Error as error:
        words = scrubbed(str(error).rpartition("ERROR:")[2].strip())
        told = type(error)(
            f"ERROR: {words}",
            status_code=error.status_code,
            sqlstate=error.sqlstate,
        )
    raise told  # outside of the block above: the driver's error would stay behind it


def stored_columns(session: Session, table: TableName, names: Sequence[str]) -> list[StoredColumn]:
    """The columns of a table that have these names, in that order."""
    shape = table_shape(session, table)
    assert shape is not None
    known = {column.name: column for column in shape.columns}
    return [known[name] for name in names]


def insertion(table: TableName, columns: Sequence[StoredColumn], rows: int) -> str:
    """The statement that appends that many rows.

    >>> insertion(TableName(None, "t"), [StoredColumn("id", "bigint"), StoredColumn("b", "text")], 2)
    'INSERT INTO "t" ("id", "b") VALUES ($1::bigint, $2::varchar(65535)), ($3::bigint, $4::varchar(65535))'
    """
    width = len(columns)
    names = ", ".join(column.sql for column in columns)
    lines = (
        ", ".join(
            REDSHIFT.placeholder(row * width + place + 1, column.sql_type)
            for place, column in enumerate(columns)
        )
        for row in range(rows)
    )
    return f"INSERT INTO {table.sql} ({names}) VALUES {', '.join(f'({line})' for line in lines)}"


def as_text(values: pl.Series) -> pl.Series:
    """Values as texts that the server reads back as the same ones.

    >>> as_text(pl.Series([1.5, float("inf"), None])).to_list()
    ['1.5', 'Infinity', None]
    """
    dtype = values.dtype
    if isinstance(dtype, pl.Datetime):
        utc = values.dt.convert_time_zone("UTC") if dtype.time_zone else values
        return utc.dt.strftime("%Y-%m-%d %H:%M:%S%.6f" + ("+00" if dtype.time_zone else ""))
    if dtype == pl.Time:
        return values.dt.strftime("%H:%M:%S%.6f")
    texts = values.cast(pl.String)
    return texts.str.replace("inf", "Infinity", literal=True) if dtype.is_float() else texts


def _parts(texts: pl.DataFrame) -> Iterator[pl.DataFrame]:
    longest = texts.select(pl.sum_horizontal(pl.all().str.len_bytes().fill_null(0)).max()).item() or 0
    rows = max(1, min(VALUES // max(1, texts.width), TEXT_BYTES // max(1, longest)))
    yield from texts.iter_slices(rows)


def _values(part: pl.DataFrame) -> tuple[Any, ...]:
    return tuple(value for row in part.iter_rows() for value in row)
