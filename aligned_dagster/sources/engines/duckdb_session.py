"""DuckDB in this process: Parquet files are read by DuckDB, everything else by polars and handed over as Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import polars as pl

from aligned_dagster.errors import AlignedError, ConfigurationError, UnreadableSourceError
from aligned_dagster.features.engines.carried import carried, engine_type_name, quoted
from aligned_dagster.request.explain import explained
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.engines.pieces import Reading
from aligned_dagster.sources.engines.session import FileReading, Period, StagedFiles, Types
from aligned_dagster.sources.source import DataSource

if TYPE_CHECKING:
    import narwhals as nw
    from duckdb import DuckDBPyRelation


class DuckDbSession(FileReading):
    """One connection to a DuckDB in memory; see `EngineSession`."""

    def __init__(self) -> None:
        try:
            import duckdb
        except ImportError as error:
            raise ConfigurationError(
                f"engine='duckdb' needs duckdb ({error}). Install it: pip install 'aligned-dagster[duckdb]'"
            ) from None
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")

    @property
    def name(self) -> Literal["duckdb"]:
        """See `EngineSession.name`."""
        return "duckdb"

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
        with explained(request.name, source.uri):
            rows = reading.rows(files)
            return self.from_polars(rows, {column.name: column.dtype for column in request.wanted})

    def read_files(self, directory: Path, schema: Types) -> nw.LazyFrame[Any]:
        """See `FileReading.read_files`."""
        files = [str(file) for file in sorted(directory.rglob("*.parquet"))]
        rows = self.connection.from_parquet(files, hive_partitioning=False)
        return _narwhals(rows.select(", ".join(quoted(name, "duckdb") for name in schema)))

    def from_polars(self, frame: pl.LazyFrame, schema: Types) -> nw.LazyFrame[Any]:
        """See `EngineSession.from_polars`."""
        columns = [pl.col(name).cast(carried(dtype, "duckdb")) for name, dtype in schema.items()]
        table = frame.select(columns).collect(engine="streaming").to_arrow()
        return _narwhals(self.connection.from_arrow(table).select(_typed(schema)))

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
        found = cast("pl.DataFrame", pl.from_arrow(table))
        return found.select(pl.col(name).cast(dtype.polars) for name, dtype in schema.items())

    def explained(self, contract: str) -> AbstractContextManager[None]:
        """See `EngineSession.explained`."""
        return _explained(contract)


def _typed(schema: Types) -> str:
    """The columns in the types that the engine holds, whatever Arrow calls them."""
    return ", ".join(
        f"{quoted(name, 'duckdb')}::{engine_type_name(dtype, 'duckdb')} AS {quoted(name, 'duckdb')}"
        for name, dtype in schema.items()
    )


def _native(frame: nw.LazyFrame[Any]) -> DuckDBPyRelation:
    return cast("DuckDBPyRelation", frame.to_native())


def _narwhals(relation: DuckDBPyRelation) -> nw.LazyFrame[Any]:
    import narwhals as nw

    return nw.from_native(relation)


@contextmanager
def _explained(contract: str) -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        problem = str(error).partition("\n")[0]
    except AlignedError:
        raise
    else:
        return
    raise UnreadableSourceError(f"{contract!r} cannot be read or computed on DuckDB: {problem}")
