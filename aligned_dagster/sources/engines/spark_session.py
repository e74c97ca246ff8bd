"""Rows on Spark, of which a process has one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import polars as pl

from aligned_dagster.errors import ConfigurationError, PublishError
from aligned_dagster.features.engines.carried import carried, quoted
from aligned_dagster.features.engines.native import import_narwhals
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.engines.pieces import Reading
from aligned_dagster.sources.engines.session import (
    SPOOL,
    ArrowTexts,
    FileReading,
    Period,
    RowTexts,
    StagedFiles,
    Types,
    collected,
)
from aligned_dagster.sources.engines.spark_config import SparkConfig
from aligned_dagster.sources.engines.spark_errors import explained_spark
from aligned_dagster.sources.engines.spark_paths import path_text
from aligned_dagster.sources.engines.spark_starting import started
from aligned_dagster.sources.engines.spark_types import arrow_of, struct_of
from aligned_dagster.sources.source import DataSource

if TYPE_CHECKING:
    import narwhals as nw
    from pyspark.sql import DataFrame, SparkSession

_RUNNING: list[tuple[SparkConfig, SparkRows]] = []


def spark_session(settings: SparkConfig) -> SparkRows:
    """The session of this process, started with the settings by the first call.

    A Spark that already runs in the process (a notebook's, a platform's) is used as it is, in a session of its own.

    Raises:
        ConfigurationError: pyspark or Java is missing, Spark does not start, or it runs with other settings.
    """
    if _RUNNING:
        running, session = _RUNNING[0]
        if running != settings:
            raise ConfigurationError(
                f"Spark runs in this process with {running!r} and was now asked for with {settings!r}. A process has one "
                "Spark: give all views the same settings, or use another process."
            )
        return session
    session = SparkRows(started(settings))
    _RUNNING.append((settings, session))
    return session


class SparkRows(FileReading):
    """A session of Spark; see `EngineSession`."""

    def __init__(self, session: SparkSession) -> None:
        self.spark = session

    @property
    def name(self) -> Literal["spark"]:
        """See `EngineSession.name`."""
        return "spark"

    @property
    def is_local(self) -> bool:
        """See `EngineSession.is_local`; a server of Spark Connect may be anywhere."""
        context = getattr(self.spark, "sparkContext", None)
        return context is not None and str(context.master).startswith("local")

    def read(
        self,
        source: DataSource,
        request: RetrievalRequest,
        where: pl.Expr | None = None,
        *,
        between: Period | None = None,
    ) -> nw.LazyFrame[Any]:
        """See `EngineSession.read`."""
        from aligned_dagster.sources.engines.spark_reading import read

        return _narwhals(read(self, Reading.of(source, request, where, between)))

    def read_files(self, directory: Path, schema: Types) -> nw.LazyFrame[Any]:
        """See `FileReading.read_files`."""
        from pyspark.sql import functions as F  # noqa: N812  # as everybody calls it

        rows = self.spark.read.schema(struct_of(schema)).option("recursiveFileLookup", True)
        frame = rows.parquet(path_text(directory))
        return _narwhals(frame.select([F.col(quoted(name, "spark")) for name in schema]))

    def from_polars(self, frame: pl.LazyFrame, schema: Types) -> nw.LazyFrame[Any]:
        """See `EngineSession.from_polars`."""
        return _narwhals(self.to_spark(frame, schema))

    def to_spark(self, frame: pl.LazyFrame, schema: Types) -> DataFrame:
        """Rows of polars as a frame of Spark, by way of the memory of this process."""
        columns = [pl.col(name).cast(carried(dtype, "spark")) for name, dtype in schema.items()]
        struct = struct_of(schema)
        table = arrow_of(frame.select(columns).collect(engine="streaming"), struct)
        if not table.num_rows:  # of no chunks, which Spark cannot put together
            return self.spark.createDataFrame([], schema=struct)
        return self.spark.createDataFrame(table, schema=struct)

    def stage(
        self, frame: nw.LazyFrame[Any], schema: Types, directory: Path, *, contract: str = ""
    ) -> StagedFiles:
        """See `EngineSession.stage`."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as F  # noqa: N812  # as everybody calls it

        seen = Observation()
        with self.explained(contract):
            rows = native_of(frame).select([quoted(name, "spark") for name in schema])
            counted = rows.observe(seen, F.count(F.lit(1)).alias("rows"))
            counted.write.mode("errorifexists").parquet(
                f"file:{directory}"
            )  # here no sign is one of a pattern
            written = int(seen.get["rows"])
        staged = StagedFiles(directory, dict(schema), self)
        if staged.rows != written:
            raise PublishError(
                f"Spark wrote {written:,} rows of {contract!r}, and {staged.rows:,} of them are in {directory} on this machine. "
                f"Name a directory that this machine and every executor see by the environment variable {SPOOL}."
            )
        return staged

    def collect(self, frame: nw.LazyFrame[Any], schema: Types, *, contract: str = "") -> pl.DataFrame:
        """See `EngineSession.collect`."""
        with self.explained(contract):
            table = native_of(frame).select([quoted(name, "spark") for name in schema]).toArrow()
        return collected(table, schema)

    def with_text(
        self, frame: nw.LazyFrame[Any], name: str, function: RowTexts, made_of: Types
    ) -> nw.LazyFrame[Any]:
        """See `EngineSession.with_text`."""
        from pyspark.sql import functions as F  # noqa: N812  # as everybody calls it
        from pyspark.sql.pandas.functions import arrow_udf

        made = ArrowTexts(function, dict(made_of))
        # Spark warns of a stated kind of function; this one is what it takes a function without annotations for.
        texts = arrow_udf(lambda rows: made(rows), "string")  # type: ignore[call-overload]  # its stubs want the kind
        values = [F.col(quoted(column, "spark")).alias(str(n)) for n, column in enumerate(made_of)]
        return _narwhals(native_of(frame).select("*", texts(F.struct(*values)).alias(name)))

    def has_class(self, name: str) -> bool:
        """Whether a class of Java is on the class path of this process.

        Args:
            name: with its package.
        """
        from py4j.java_gateway import JavaClass

        found: object = self.spark._jvm
        for part in name.split("."):
            found = getattr(found, part)
        return isinstance(found, JavaClass)

    def holding(self, place: Callable[[], Path]) -> AbstractContextManager[None]:
        """See `EngineSession.holding`. Spark holds such rows itself."""
        return nullcontext()

    def explained(self, contract: str) -> AbstractContextManager[None]:
        """See `EngineSession.explained`."""
        return explained_spark(contract)


def native_of(frame: nw.LazyFrame[Any]) -> DataFrame:
    """The frame of Spark behind one of narwhals."""
    return cast("DataFrame", frame.to_native())


def _narwhals(frame: DataFrame) -> nw.LazyFrame[Any]:
    return cast("nw.LazyFrame[Any]", import_narwhals("spark").from_native(frame))
