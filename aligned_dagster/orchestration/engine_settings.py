"""On which engine a deployment computes its contracts, and how that is reached."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from aligned_dagster.errors import AlignedError, ConfigurationError, did_you_mean
from aligned_dagster.features.engines.names import Engine, check_engine
from aligned_dagster.sources.engines.spark_config import SparkConfig

if TYPE_CHECKING:
    from aligned_dagster.contracts.store import ContractStore

ENGINE = "ALIGNED_ENGINE"
"""The environment variable that names the engine of a deployment."""


def with_engine(
    store: ContractStore,
    chosen: Engine | None,
    spark: SparkConfig | None,
    environ: Mapping[str, str] | None = None,
) -> ContractStore:
    """The store on the engine of a deployment.

    Args:
        store: the contracts.
        chosen: the engine, unless `ALIGNED_ENGINE` names another one; none leaves the store as it is.
        spark: how Spark is reached, as far as no environment variable says it.
        environ: the environment; the process's own if not given.

    Raises:
        ConfigurationError: `ALIGNED_ENGINE` names no engine.
        UnsupportedError: columns cannot be computed on the engine.
    """
    named = (os.environ if environ is None else environ).get(ENGINE) or None
    engine = chosen if named is None else checked_engine(named, ENGINE)
    return store.with_engine(engine, spark=None if spark is None else SparkConfig.from_environment(spark))


def checked_engine(value: Any, where: str) -> Engine | None:
    """The name of an engine, as it is in a file of settings.

    Args:
        value: what is in the file; None where nothing is.
        where: it is, for the error.

    Raises:
        ConfigurationError: there is no such engine.
    """
    if value is None:
        return None
    try:
        return check_engine(value, where)
    except AlignedError as error:
        raise ConfigurationError(str(error)) from error


def spark_settings(value: Any, where: str) -> SparkConfig | None:
    """How Spark is reached, as it is in a file of settings.

    Args:
        value: what is in the file; None where nothing is.
        where: the file, for the error.

    Raises:
        ConfigurationError: a field is unknown or wrong; what it holds is not shown.
    """
    if value is None:
        return None
    known = list(SparkConfig.model_fields)
    for name in value if isinstance(value, Mapping) else ():
        if name not in known:
            raise ConfigurationError(
                f"The spark table of {where} has the field {name!r}.{did_you_mean(name, known)} Fields: {', '.join(known)}."
            )
    try:
        return SparkConfig.model_validate(value)
    except AlignedError as error:
        raise ConfigurationError(f"The spark table of {where}: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    raise ConfigurationError(f"The spark table of {where} does not say how Spark is reached: {wrong}.")
