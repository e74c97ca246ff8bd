"""How Spark is started or found, with the settings that keep its answers those of polars and its secrets to itself."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.features.engines.native import import_narwhals
from aligned_dagster.sources.engines.spark_config import DEFAULT_MASTER, SparkConfig, place_of
from aligned_dagster.sources.environment import from_environment

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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


def started(settings: SparkConfig) -> SparkSession:
    """A session of Spark: of a server, of a Spark that runs already in this process, or of a new one.

    Raises:
        ConfigurationError: pyspark, narwhals or Java is missing, a secret is not set, or Spark does not start.
    """
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
    _quieten()
    with _own_signals():
        try:
            _start_java({**plain, **_SETTINGS})
            session = _configured(SparkSession, {**plain, **secrets, **_SETTINGS}).getOrCreate()
        except Exception as error:  # whatever the gateway to Java raises
            problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        else:
            session.sparkContext.setLogLevel("FATAL")
            if settings.is_local and "PYSPARK_PYTHON" not in os.environ:
                session.sparkContext.pythonExec = sys.executable
            return cast("SparkSession", session)
    raise ConfigurationError(
        f"Spark did not start with master {settings.master or DEFAULT_MASTER!r}: {problem}. Check the master, the memory "
        "(spark.driver.memory) and that Java 17 or later is installed."
    )


def _quieten() -> None:
    """What fails is raised, and once; and we hand over Arrow, and no frame of pandas."""
    from pyspark.logger import PySparkLogger

    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    PySparkLogger.getLogger("SQLQueryContextLogger").disabled = True


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
        *(["master"] if settings.master not in (None, session.conf.get("spark.master", None)) else []),
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
