"""Spark: started once in a process, with the settings that keep its answers those of polars."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
)
from aligned_dagster.sources.engines.spark_config import DEFAULT_MASTER, SparkConfig, place_of
from aligned_dagster.sources.engines.spark_errors import explained_spark
from aligned_dagster.sources.engines.spark_paths import path_text
from aligned_dagster.sources.engines.spark_types import arrow_of, struct_of
from aligned_dagster.sources.environment import from_environment
from aligned_dagster.sources.source import DataSource

if TYPE_CHECKING:
    import narwhals as nw
    from pyspark.sql import DataFrame, SparkSession

_LOG = logging.getLogger("aligned_dagster.engines")
_SETTINGS: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # what does not fit is an error and not null
    "spark.sql.caseSensitive": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",  # one calendar, as polars has
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
}
"""What a session of ours must have for equal answers; a project cannot change it."""

_REDACTED = r"(?i:secret|passw|token|credential|signature|access\W?key|account\W?key|\bsas\b)"
"""Settings whose values Spark shows nobody, besides those that the project names by `spark.redaction.regex`."""

_JDBC = "/usr/share/java/postgresql.jar"
"""Where Debian installs the driver of PostgreSQL."""

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
    session = SparkRows(_started(settings), settings)
    _RUNNING.append((settings, session))
    return session


class SparkRows(FileReading):
    """A session of Spark; see `EngineSession`."""

    def __init__(self, session: SparkSession, settings: SparkConfig) -> None:
        self.spark = session
        self.settings = settings

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
        found = cast("pl.DataFrame", pl.from_arrow(table))
        return found.select(pl.col(name).cast(dtype.polars) for name, dtype in schema.items())

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


def _started(settings: SparkConfig) -> SparkSession:
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigurationError(
            f"engine='spark' needs pyspark ({error}). Install it: pip install 'aligned-dagster[spark]'"
        ) from None
    import_narwhals("spark")
    secrets = {
        name: from_environment(variable, f"the setting {name} of Spark")
        for name, variable in settings.config_env.items()
    }
    plain = {**_defaults(settings), **settings.config}
    if settings.remote is not None:
        builder = _configured(SparkSession, {**plain, **secrets, **_SETTINGS})
        return _connected(builder.remote(settings.remote), settings.remote)
    found = SparkSession.getActiveSession()
    if found is not None:
        return _beside(found, settings)
    _need_java(settings)
    redacted = plain.get("spark.redaction.regex")
    plain["spark.redaction.regex"] = _REDACTED if redacted is None else f"{_REDACTED}|{redacted}"
    plain |= {"spark.master": settings.master or DEFAULT_MASTER}
    # We hand over Arrow, and no frame of pandas.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    with _own_signals():
        try:
            _start_java({**plain, **_SETTINGS})
            session = _configured(SparkSession, {**plain, **secrets, **_SETTINGS}).getOrCreate()
        except Exception as error:  # whatever the gateway to Java raises
            problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        else:
            session.sparkContext.setLogLevel("FATAL")  # what fails is raised here, and once
            if settings.is_local and "PYSPARK_PYTHON" not in os.environ:
                session.sparkContext.pythonExec = sys.executable
            return cast("SparkSession", session)
    raise ConfigurationError(
        f"Spark did not start with master {settings.master or DEFAULT_MASTER!r}: {problem}. Check the master, the memory "
        "(spark.driver.memory) and that Java 17 or later is installed."
    )


def _configured(session: type[SparkSession], settings: Mapping[str, str]) -> Any:
    builder = cast("Any", session.builder)
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder


def _start_java(settings: Mapping[str, str]) -> None:
    """Start Java with settings that anybody may see: they stand on its command line. Secrets are for the running one."""
    from pyspark import SparkConf, SparkContext

    conf = SparkConf()
    conf.setAll([*settings.items()])
    cast("Any", SparkContext)._ensure_initialized(conf=conf)


def _beside(found: SparkSession, settings: SparkConfig) -> SparkSession:
    """A session of our own in a Spark that runs already; what it cannot be told any more is told to the user."""
    session = found.newSession()
    for name, value in _SETTINGS.items():
        session.conf.set(name, value)
    ignored = [*settings.config_env]
    for name, value in settings.config.items():
        if session.conf.isModifiable(name):
            session.conf.set(name, value)
        elif session.conf.get(name, None) != value:
            ignored.append(name)
    asked = [
        *(["master"] if settings.master is not None else []),
        *(["jars"] if settings.jars else []),
        *ignored,
    ]
    if asked:
        _LOG.warning(
            "Spark runs already in this process and is used as it is: %s of the settings of aligned_dagster cannot be changed "
            "any more. Set them where Spark is started, or leave them away.",
            ", ".join(asked),
        )
    return session


def _connected(builder: Any, remote: str) -> SparkSession:
    place = place_of(remote)
    try:
        return cast("SparkSession", builder.getOrCreate())
    except ImportError as error:
        missing = str(error).splitlines()[0]
    except Exception as error:  # whatever the client of gRPC raises
        raise ConfigurationError(
            f"Spark Connect at {place} cannot be reached ({type(error).__name__}). Is the server up, and the address right?"
        ) from None
    raise ConfigurationError(
        f"Spark Connect needs more packages ({missing}). Install them: pip install 'aligned-dagster[spark]' 'pyspark[connect]'"
    )


def _defaults(settings: SparkConfig) -> dict[str, str]:
    """What is sensible where the project says nothing."""
    defaults = {"spark.app.name": "aligned_dagster"}
    jars = settings.jars or ((_JDBC,) if settings.is_local and os.path.exists(_JDBC) else ())
    if jars:
        defaults["spark.jars"] = ",".join(jars)
    if settings.is_local:
        defaults |= {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.log.level": "FATAL",
            "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
        }
    return defaults


def _need_java(settings: SparkConfig) -> None:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=os.path.join(home, "bin") if home else None)
    if java is None:
        where = f"JAVA_HOME ({home})" if home else "PATH"
        raise ConfigurationError(
            f"Spark with master {settings.master or DEFAULT_MASTER!r} runs on Java, and there is none on {where}. Install "
            "Java 17 or later, or give the address of Spark Connect: ALIGNED_SPARK_REMOTE=sc://host:15002."
        )


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what an interrupt does here: Spark puts its own in the place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
