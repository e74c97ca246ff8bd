"""What an engine does with the rows of sources: reads them, stages them as Parquet, and hands them back to polars."""

from __future__ import annotations

import datetime as dt
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
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
SPOOL = "ALIGNED_SPOOL"
"""The environment variable that names the directory of rows on their way, which every executor of a cluster must see."""
ADVICE = (
    "A value does not fit into its type on the way. Give the column a wider type, or mend the value in a derivation "
    "or at its source."
)
"""What to do about a value for which the engine has no place."""
RowTexts = Callable[[pl.DataFrame], pl.Series]
"""Gives a text for each row."""


class EngineSession(Protocol):
    """An engine that runs. Its frames are lazy, with the contract's names and in the dtypes that travel to it."""

    @property
    def name(self) -> SessionName:
        """The engine."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether all of it runs on this machine, and sees its files."""
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

    def with_text(
        self, frame: nw.LazyFrame[Any], name: str, function: RowTexts, made_of: Types
    ) -> nw.LazyFrame[Any]:
        """The rows with a further column, a text that a function in Python makes of each row for itself.

        Args:
            frame: of this engine.
            name: of the new column.
            function: gives the texts for rows of polars; it can be pickled.
            made_of: the columns that it takes, and their types.
        """
        ...

    def holding(self, place: Callable[[], Path]) -> AbstractContextManager[None]:
        """Let rows that come in within the block wait in files there, if the engine wants them in files.

        Args:
            place: gives the directory, which is removed by whoever gave it.
        """
        ...

    def explained(self, contract: str) -> AbstractContextManager[None]:
        """Raise what goes wrong in the engine inside of the block as an error of ours; for who collects by himself."""
        ...


@dataclass(frozen=True)
class ArrowTexts:
    """A function of rows of polars as one of a column of Arrow, whose fields are their columns by number.

    Args:
        function: gives the texts.
        made_of: the columns that it takes, and their types.
    """

    function: RowTexts
    made_of: Types

    def __call__(self, rows: Any) -> Any:
        """The texts as Arrow, of rows in the types that travel to the engine."""
        found = pl.from_arrow(rows)
        assert isinstance(found, pl.Series)
        columns = [
            pl.col(str(number)).cast(dtype.polars).alias(name)
            for number, (name, dtype) in enumerate(self.made_of.items())
        ]
        return self.function(found.struct.unnest().select(columns)).to_arrow().cast("string")


def collected(table: Any, schema: Types) -> pl.DataFrame:
    """A table of Arrow from an engine as rows of polars, in the contract's dtypes."""
    found = pl.from_arrow(table)
    assert isinstance(found, pl.DataFrame)
    return found.select(pl.col(name).cast(dtype.polars) for name, dtype in schema.items())


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
        """The files, in the order of their rows."""
        return sorted(self.directory.rglob("*.parquet"))

    @property
    def rows(self) -> int:
        """The number of rows, as the footers of the files tell it."""
        return (
            int(pl.scan_parquet(files, glob=False).select(pl.len()).collect().item())
            if (files := self.files)
            else 0
        )

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


_MAKING = threading.RLock()


def engine_session(name: str, settings: SparkConfig | None = None) -> EngineSession:
    """The session of an engine, made by the first call in this process and the same from then on; of DuckDB in a thread.

    Args:
        name: "spark" or "duckdb".
        settings: of Spark; those of the environment if not given (`SparkConfig.from_environment`).

    Raises:
        RequestError: no engine of that name needs a session.
        ConfigurationError: its package is not installed, it cannot be started, or it runs with other settings.
    """
    if name == "duckdb":
        from aligned_dagster.sources.engines.duckdb_session import duckdb_session

        with _MAKING:
            return duckdb_session()
    if name == "spark":
        from aligned_dagster.sources.engines.spark_session import spark_session

        with _MAKING:
            return spark_session(settings or SparkConfig.from_environment())
    raise RequestError(
        f"{name!r} is no engine with a session.{did_you_mean(name, ['spark', 'duckdb'])} There are spark and duckdb; "
        "polars needs none."
    )
