"""What an engine does with the rows of sources: reads them, stages them as Parquet, and hands them back to polars."""

from __future__ import annotations

import datetime as dt
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import polars as pl

from aligned_dagster.errors import RequestError, did_you_mean
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.engines.spark_config import SparkConfig
from aligned_dagster.sources.source import DataSource

if TYPE_CHECKING:
    import narwhals as nw

Types = Mapping[str, DataType]
"""Name to the contract's type of the columns of a frame, in order."""
Period = tuple[dt.date, dt.date]
"""The first and the last moment or day, both included."""
SessionName = Literal["spark", "duckdb"]
"""The engines that need a session."""


class EngineSession(Protocol):
    """An engine that runs. Its frames are lazy, with the contract's names and in the dtypes that travel to it."""

    @property
    def name(self) -> SessionName:
        """The engine."""
        ...

    def read(
        self,
        source: DataSource,
        request: RetrievalRequest,
        where: pl.Expr | None = None,
        *,
        between: Period | None = None,
    ) -> nw.LazyFrame[Any]:
        """Rows of a source: the wanted columns, in order.

        Args:
            source: where they live.
            request: the contract and the wanted columns.
            where: a condition on columns of the schema, wanted or not; all rows if not given.
            between: the first and the last moment of the event timestamp, as for `all_between_dates`.

        Raises:
            SourceError: the source is not there or lacks a column. A value that does not fit is found when the frame
                is collected or staged, as a `CastError`.
        """
        ...

    def from_polars(self, frame: pl.LazyFrame, schema: Types) -> nw.LazyFrame[Any]:
        """Rows of polars on the engine; they pass through the memory of this process.

        Args:
            frame: with the columns of the schema.
            schema: their types.
        """
        ...

    def stage(
        self, frame: nw.LazyFrame[Any], schema: Types, directory: Path, *, contract: str = ""
    ) -> StagedFiles:
        """Write rows as Parquet files, in parallel, where nobody looks for them.

        Args:
            frame: of this engine.
            schema: the columns that are written, and their types.
            directory: which does not exist yet; every executor must see it.
            contract: whose rows they are, for errors.

        Raises:
            SourceError: a row cannot be read, or the place not be written.
        """
        ...

    def collect(self, frame: nw.LazyFrame[Any], schema: Types, *, contract: str = "") -> pl.DataFrame:
        """Rows as a frame of polars in the contract's dtypes.

        Args:
            frame: of this engine.
            schema: the columns that are wanted, and their types.
            contract: whose rows they are, for errors.

        Raises:
            SourceError: a row cannot be read.
        """
        ...

    def explained(self, contract: str) -> AbstractContextManager[None]:
        """Raise what goes wrong in the engine inside of the block as an error of ours; for who collects by himself."""
        ...


@dataclass(frozen=True)
class StagedFiles:
    """Parquet files that an engine wrote.

    Args:
        directory: in which they are, and nothing else.
        schema: name to the contract's type, in order.
        session: the engine.
    """

    directory: Path
    schema: Types
    session: FileReading = field(repr=False)

    @property
    def files(self) -> list[Path]:
        """The files, in the order of their rows; at least one."""
        return sorted(self.directory.rglob("*.parquet"))

    @property
    def bytes(self) -> int:
        """Their size."""
        return sum(file.stat().st_size for file in self.files)

    def scan(self) -> pl.LazyFrame:
        """The rows for polars, in the contract's dtypes."""
        frame = pl.scan_parquet(self.files, glob=False, hive_partitioning=False)
        return frame.select(pl.col(name).cast(dtype.polars) for name, dtype in self.schema.items())

    def read(self) -> nw.LazyFrame[Any]:
        """The rows for the engine that wrote them."""
        return self.session.read_files(self.directory, self.schema)


class FileReading(ABC):
    """What reads back the files that it wrote."""

    @abstractmethod
    def read_files(self, directory: Path, schema: Types) -> nw.LazyFrame[Any]:
        """The rows of staged files.

        Args:
            directory: of the files.
            schema: the columns that are wanted, in order.
        """


_SESSIONS: dict[tuple[object, ...], EngineSession] = {}
_MAKING = threading.RLock()


def engine_session(name: str, settings: SparkConfig | None = None) -> EngineSession:
    """The session of an engine, made by the first call in this process and the same from then on.

    Args:
        name: "spark" or "duckdb".
        settings: of Spark; those of the environment if not given (`SparkConfig.from_environment`).

    Raises:
        RequestError: no engine of that name needs a session.
        ConfigurationError: its package is not installed, it cannot be started, or it runs with other settings.
    """
    if name == "duckdb":
        from aligned_dagster.sources.engines.duckdb_session import DuckDbSession

        key: tuple[object, ...] = (
            name,
            threading.get_ident(),
        )  # one connection answers one question at a time
        with _MAKING:
            if key not in _SESSIONS:
                _SESSIONS[key] = DuckDbSession()
            return _SESSIONS[key]
    if name == "spark":
        from aligned_dagster.sources.engines.spark_session import spark_session

        with _MAKING:
            return spark_session(settings or SparkConfig.from_environment())
    raise RequestError(
        f"{name!r} is no engine with a session.{did_you_mean(name, ['spark', 'duckdb'])} There are spark and duckdb; "
        "polars needs none."
    )
