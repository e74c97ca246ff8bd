"""Where Spark runs and with what: named and not secret, so that it can stand in pyproject.toml."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.sources.settings import Settings

_PREFIX = "ALIGNED_SPARK_"
_CONF = f"{_PREFIX}CONF_"
_SECRET = re.compile(r"(?i)secret|password|passwd|token|credential|access\.?key|account\.?key")
_PASSWORD = re.compile(r"//[^/@\s]*@")
DEFAULT_MASTER = "local[*]"
"""All cores of this machine."""


class SparkConfig(Settings):
    """Where Spark runs and with what.

    Args:
        master: of a cluster, such as "spark://host:7077", "yarn" or "k8s://..."; "local[*]", which is this machine,
            if not given.
        remote: the address of Spark Connect, such as "sc://host:15002", in place of a master.
        config: further settings of Spark, such as {"spark.executor.memory": "4g"}.
        config_env: settings of Spark, each with the environment variable that holds its value: for secrets.
        jars: paths of Java archives for the class path, such as the driver of a database.

    >>> SparkConfig(master="local[2]", config={"spark.driver.memory": "2g"}).is_local
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    master: str | None = None
    remote: str | None = None
    config: Mapping[str, str] = Field(default_factory=dict)
    config_env: Mapping[str, str] = Field(default_factory=dict)
    jars: tuple[str, ...] = ()

    @field_validator("config")
    @classmethod
    def _no_secret(cls, config: Mapping[str, str]) -> dict[str, str]:
        for name in config:
            if not name.startswith("spark."):
                raise ConfigurationError(f"{name!r} is no setting of Spark: they all begin with 'spark.'.")
            if _SECRET.search(name):
                raise ConfigurationError(
                    f"The setting {name!r} of Spark looks like a secret. Put its value into an environment variable, and "
                    f"give the variable's name: config_env={{{name!r}: 'MY_SECRET'}}."
                )
        return dict(config)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.master is not None and self.remote is not None:
            raise ConfigurationError(
                "SparkConfig was given a master and the address of Spark Connect (remote). Keep one of them."
            )
        return self

    @property
    def is_local(self) -> bool:
        """Whether Spark runs in a process of this machine."""
        return self.remote is None and (self.master or DEFAULT_MASTER).startswith("local")

    @staticmethod
    def from_environment(stated: SparkConfig | None = None) -> SparkConfig:
        """What environment variables say, before what is stated elsewhere.

        ALIGNED_SPARK_MASTER or ALIGNED_SPARK_REMOTE, ALIGNED_SPARK_JARS (separated by commas), and
        ALIGNED_SPARK_CONF_spark_driver_memory=2g for spark.driver.memory: each `_` stands for a dot, `__` for itself.

        Args:
            stated: settings of the project.
        """
        stated = stated or SparkConfig()
        master, remote = (os.environ.get(f"{_PREFIX}{name}") or None for name in ("MASTER", "REMOTE"))
        jars = os.environ.get(f"{_PREFIX}JARS", "")
        told = {_setting(name): value for name, value in sorted(os.environ.items()) if name.startswith(_CONF)}
        if master is None and remote is None:
            master, remote = stated.master, stated.remote
        return SparkConfig(
            master=master,
            remote=remote,
            config={**stated.config, **told},
            config_env=stated.config_env,
            jars=tuple(filter(None, jars.split(","))) or stated.jars,
        )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What a message may show: no token of an address, and no password in one."""
        for name, value in super().__repr_args__():
            if name == "remote" and value is not None:
                yield name, place_of(value)
            elif name == "config":
                yield name, {setting: _PASSWORD.sub("//***@", text) for setting, text in value.items()}
            else:
                yield name, value

    def __hash__(self) -> int:
        return hash((self.master, self.remote, self.jars, tuple(sorted(self.config.items()))))


def place_of(remote: str) -> str:
    """The address of Spark Connect without what may hold a token or a password.

    >>> place_of("sc://me:hunter2@host:15002/;token=abc;use_ssl=true")
    'sc://host:15002'
    """
    address = re.split(r"/?;", remote.removeprefix("sc://"), maxsplit=1)[0]
    return "sc://" + re.split(r"[/?]", address.rpartition("@")[2], maxsplit=1)[0]


def _setting(variable: str) -> str:
    parts = variable.removeprefix(_CONF).split("__")
    return "_".join(part.replace("_", ".") for part in parts)
