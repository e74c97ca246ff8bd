"""DuckDB in this process, with rows in files: what is no Parquet of its own is written as such by polars, in a stream.

So neither rows that come in nor what DuckDB makes of them needs to fit into memory.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast
from weakref import WeakSet

import polars as pl

from aligned_dagster.errors import MISFIT, AlignedError, CastError, ConfigurationError, UnreadableSourceError
from aligned_dagster.features.engines.carried import carried, engine_type_name, quoted
from aligned_dagster.features.engines.dialect import Dialect
from aligned_dagster.features.engines.native import import_narwhals
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.engines.duckdb_parquet import StoredColumns, stored_parquet
from aligned_dagster.sources.engines.pieces import Reading
from aligned_dagster.sources.engines.session import (
    ADVICE,
    SPOOL,
    ArrowTexts,
    FileReading,
    Period,
    RowTexts,
    StagedFiles,
    Types,
    collected,
)
from aligned_dagster.sources.source import DataSource

if TYPE_CHECKING:
    import narwhals as nw
    from duckdb import DuckDBPyConnection, DuckDBPyRelation


_THREAD = threading.local()
_NUMBERS = itertools.count()
"""Of what has a name in the database: functions and files."""
_OPEN: WeakSet[DuckDBPyConnection] = WeakSet()


def duckdb_session() -> DuckDbSession:
    """The session of this thread: a connection answers one question at a time.

    Raises:
        ConfigurationError: DuckDB or narwhals is not installed.
    """
    found: DuckDbSession | None = getattr(_THREAD, "session", None)
    if found is None:
        found = _THREAD.session = DuckDbSession()
    return found


class DuckDbSession(FileReading):
    """One connection to the DuckDB of this process; see `EngineSession`."""

    def __init__(self) -> None:
        self.connection = _database().cursor()
        _OPEN.add(self.connection)
        self.connection.execute("SET TimeZone = 'UTC'")
        self._place: Callable[[], Path] = _own_directory

    @property
    def name(self) -> Literal["duckdb"]:
        """See `EngineSession.name`."""
        return "duckdb"

    @property
    def is_local(self) -> bool:
        """See `EngineSession.is_local`."""
        return True

    def read(
        self,
        source: DataSource,
        request: RetrievalRequest,
        where: pl.Expr | None = None,
        *,
        between: Period | None = None,
    ) -> nw.LazyFrame[Any]:
        """See `EngineSession.read`. A value that does not fit is found now."""
        reading = Reading.of(source, request, where, between)
        files = reading.partition_files()
        stored = stored_parquet(reading, files)
        if stored is not None:
            return self._parquet(*stored)
        with explained(request.name, source.uri):
            rows = reading.rows(files)
            return self.from_polars(rows, {column.name: column.dtype for column in request.wanted})

    def read_files(self, directory: Path, schema: Types) -> nw.LazyFrame[Any]:
        """See `FileReading.read_files`."""
        return self._parquet(
            sorted(directory.rglob("*.parquet")), {name: (name, t) for name, t in schema.items()}
        )

    def from_polars(self, frame: pl.LazyFrame, schema: Types) -> nw.LazyFrame[Any]:
        """See `EngineSession.from_polars`. They stream into a file; their order is kept."""
        columns = [pl.col(name).cast(carried(dtype, "duckdb")) for name, dtype in schema.items()]
        file = self._place() / f"{next(_NUMBERS)}.parquet"
        frame.select(columns).sink_parquet(file, compression="lz4", mkdir=True)
        return self._parquet([file], {name: (name, dtype) for name, dtype in schema.items()})

    def stage(
        self, frame: nw.LazyFrame[Any], schema: Types, directory: Path, *, contract: str = ""
    ) -> StagedFiles:
        """See `EngineSession.stage`."""
        directory.mkdir(parents=True)
        with self.explained(contract):
            rows = _native(frame).select(", ".join(quoted(name, "duckdb") for name in schema))
            rows.write_parquet(str(directory / "rows.parquet"), compression="zstd")
        return StagedFiles(directory, dict(schema), self)

    def collect(self, frame: nw.LazyFrame[Any], schema: Types, *, contract: str = "") -> pl.DataFrame:
        """See `EngineSession.collect`."""
        with self.explained(contract):
            table = (
                _native(frame).select(", ".join(quoted(name, "duckdb") for name in schema)).to_arrow_table()
            )
        return collected(table, schema)

    def with_text(
        self, frame: nw.LazyFrame[Any], name: str, function: RowTexts, made_of: Types
    ) -> nw.LazyFrame[Any]:
        """See `EngineSession.with_text`."""
        from duckdb.func import FunctionNullHandling, PythonUDFType

        called = f"text {next(_NUMBERS)}"
        types = [f'"{n}" {engine_type_name(dtype, "duckdb")}' for n, dtype in enumerate(made_of.values())]
        self.connection.create_function(
            called,
            ArrowTexts(function, dict(made_of)).__call__,
            parameters=[f"STRUCT({', '.join(types)})"],
            return_type="VARCHAR",
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )
        values = ", ".join(f'"{n}": {quoted(column, "duckdb")}' for n, column in enumerate(made_of))
        rows = _native(frame)
        return _narwhals(rows.select(f'*, "{called}"({{{values}}}) AS {quoted(name, "duckdb")}'))

    @contextmanager
    def holding(self, place: Callable[[], Path]) -> Iterator[None]:
        """See `EngineSession.holding`."""
        before, self._place = self._place, place
        try:
            yield
        finally:
            self._place = before

    def explained(self, contract: str) -> AbstractContextManager[None]:
        """See `EngineSession.explained`."""
        return _explained(contract)

    def _parquet(self, files: Sequence[Path], columns: StoredColumns) -> nw.LazyFrame[Any]:
        """Columns of files in the types that the engine holds: polars leaves NaN out of what a file tells of its values."""
        listed = ", ".join(_text(str(file)) for file in files)
        chosen = ", ".join(
            f"CAST({quoted(stored, 'duckdb')} AS {engine_type_name(dtype, 'duckdb')}) AS {quoted(name, 'duckdb')}"
            for name, (stored, dtype) in columns.items()
        )
        rows = f"read_parquet([{listed}], hive_partitioning = false, can_have_nan = true)"
        return _narwhals(self.connection.sql(f"SELECT {chosen} FROM {rows}"))


@cache
def _database() -> DuckDBPyConnection:
    """The DuckDB of this process: its threads and its memory are those of all sessions."""
    import_narwhals("duckdb")
    try:
        import duckdb
    except ImportError as error:
        raise ConfigurationError(
            f"engine='duckdb' needs duckdb ({error}). Install it: pip install 'aligned-dagster[duckdb]'"
        ) from None
    database = duckdb.connect(config={"temp_directory": str(_own_directory() / "spilled")})
    atexit.register(_close, database)
    return database


def _close(database: DuckDBPyConnection) -> None:
    """Let go of functions of ours before the interpreter is."""
    for connection in (*_OPEN, database):
        connection.close()


@cache
def _own_directory() -> Path:
    """For rows on their way, of this user alone; it is gone with the process."""
    base = os.environ.get(SPOOL)
    if base is not None:
        Path(base).mkdir(parents=True, exist_ok=True)
    found = Path(tempfile.mkdtemp(prefix="aligned-duckdb-", dir=base))
    atexit.register(shutil.rmtree, found, ignore_errors=True)
    return found


def _native(frame: nw.LazyFrame[Any]) -> DuckDBPyRelation:
    return cast("DuckDBPyRelation", frame.to_native())


def _narwhals(relation: DuckDBPyRelation) -> nw.LazyFrame[Any]:
    return cast("nw.LazyFrame[Any]", import_narwhals("duckdb").from_native(relation))


def _text(value: str) -> str:
    return Dialect("duckdb").text(value)


@contextmanager
def _explained(contract: str) -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        problem, is_misfit = str(error).partition("\n")[0], isinstance(error, _misfits())
    except AlignedError:
        raise
    else:
        return
    told = problem.partition(f"{MISFIT}: ")[2]
    if told:
        raise CastError(f"{contract!r}: {told}")
    if is_misfit:
        raise CastError(f"{contract!r}: {problem.rstrip('.')}. {ADVICE}")
    raise UnreadableSourceError(f"{contract!r} cannot be read or computed on DuckDB: {problem}")


def _misfits() -> tuple[type[Exception], ...]:
    """What DuckDB raises for a value that does not fit into its type."""
    import duckdb

    return duckdb.ConversionException, duckdb.OutOfRangeException
