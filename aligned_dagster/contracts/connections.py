"""The databases, buckets and accounts that contracts reach: each has a name, and can be replaced in all of them at once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from pydantic import BaseModel, ValidationError

from aligned_dagster.contracts.rebuilding import rebuilt
from aligned_dagster.errors import AlignedError, ConfigurationError, did_you_mean
from aligned_dagster.sources.azure_location import AzureSettings
from aligned_dagster.sources.s3_location import S3Settings
from aligned_dagster.sources.sql.config import SqlConfig

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.sources.postgresql import PostgreSQLConfig
    from aligned_dagster.sources.redshift import RedshiftSQLConfig

Config: TypeAlias = "PostgreSQLConfig | RedshiftSQLConfig | S3Settings | AzureSettings"
"""What tells how to reach a database, a bucket or an account."""

Names: TypeAlias = "tuple[tuple[Config, str], ...]"
"""Configs that bear a name which does not follow from what they hold: those that took the place of others."""

_CONFIGS = (SqlConfig, S3Settings, AzureSettings)
_SHOWN = {"s3": "AwsS3Config", "azure": "AzureBlobConfig"}


@dataclass(frozen=True)
class Connection:
    """A database, bucket or account that contracts reach.

    Args:
        name: "postgres_PSQL_DB_URL", "s3_lake"; unique among those of a store.
        kind: "postgres", "redshift", "s3" or "azure".
        config: how to reach it; it names secrets and does not hold them.
        contracts: names of the contracts whose rows come from there or are kept there.
    """

    name: str
    kind: str
    config: Config
    contracts: tuple[str, ...] = ()


@cache
def kinds() -> Mapping[str, type[Config]]:
    """The kinds of connections, each with its config."""
    from aligned_dagster.sources.postgresql import PostgreSQLConfig
    from aligned_dagster.sources.redshift import RedshiftSQLConfig

    return {
        "postgres": PostgreSQLConfig,
        "redshift": RedshiftSQLConfig,
        "s3": S3Settings,
        "azure": AzureSettings,
    }


def kind_of(config: object) -> str | None:
    """The kind of connection that a config is for; None for anything else."""
    if not isinstance(config, _CONFIGS):
        return None  # without a look at databases that no contract uses
    return next((kind for kind, known in kinds().items() if isinstance(config, known)), None)


def is_config(value: object) -> TypeGuard[Config]:
    """Whether something is the config of a connection."""
    return kind_of(value) is not None


def connections_of(views: Iterable[FeatureView[Any]], names: Names = ()) -> dict[str, Connection]:
    """The connections of contracts by name, sorted.

    Tables of several schemas of one database share a connection. Two that would have one name get a digest added to it.

    Args:
        views: the contracts.
        names: configs whose name was given to them.
    """
    readers: dict[Config, dict[str, None]] = {}
    for view in views:
        for config in configs_of(view):
            readers.setdefault(config, {})[view.name] = None
    given = dict(names)
    wanted: dict[str, list[Config]] = {}
    for config in readers:
        wanted.setdefault(given.get(config) or _name(config), []).append(config)
    found = [
        Connection(
            name if len(configs) == 1 or config in given else f"{name}_{_digest(config)}",
            kind_of(config) or "",
            config,
            tuple(readers[config]),
        )
        for name, configs in wanted.items()
        for config in configs
    ]
    return {one.name: one for one in sorted(found, key=lambda one: one.name)}


def configs_of(view: FeatureView[Any]) -> list[Config]:
    """The configs in the source and the storages of a contract itself, each once; not those of contracts that it reads."""
    return configs_in(_storages(view).values())


def configs_in(storages: Iterable[object]) -> list[Config]:
    """The configs in sources, each once; not those of contracts that they read."""
    found: dict[Config, None] = {}

    def note(config: Config) -> Config:
        found[plain(config)] = None
        return config

    for storage in storages:
        _walked(storage, note)
    return list(found)


def with_connections(
    views: Iterable[FeatureView[Any]], connections: Mapping[str, Connection], configs: Mapping[str, Config]
) -> Callable[[FeatureView[Any]], FeatureView[Any]]:
    """What gives for a contract the same one over other databases, buckets or accounts, with all that it reads.

    Args:
        views: the contracts.
        connections: theirs, by name.
        configs: name of a connection to what takes its place. A schema of a database stays that of each table, where the
            new config names none.

    Raises:
        ConfigurationError: there is no connection of a name, or it is of another kind.
    """
    swapped: dict[Config, Config] = {}
    for name, config in configs.items():
        old = connections.get(name)
        if old is None:
            raise unknown_connection(name, connections)
        if kind_of(config) != old.kind:
            raise ConfigurationError(
                f"The connection {name!r} is one of {old.kind} and cannot be replaced by a {type(config).__name__}: "
                f"the contracts that use it ({', '.join(old.contracts)}) have sources of that kind. "
                f"Give a {_SHOWN.get(old.kind, kinds()[old.kind].__name__)}."
            )
        swapped[old.config] = config

    def swap(config: Config) -> Config:
        new = swapped.get(plain(config))
        return config if new is None else _in_its_place(new, config)

    def elsewhere(view: FeatureView[Any]) -> FeatureView[Any]:
        changed = {
            name: new for name, old in _storages(view).items() if (new := _walked(old, swap)) is not old
        }
        return replace(view, **changed) if changed else view

    return rebuilt(views, elsewhere)


def unknown_connection(name: str, known: Iterable[str]) -> ConfigurationError:
    """The error for a name that no connection has."""
    names = list(known)
    return ConfigurationError(
        f"No contract uses a connection {name!r}.{did_you_mean(name, names)} Connections: {', '.join(names) or 'none'}."
    )


def made_of(kind: str, fields: Mapping[str, Any], where: str) -> Config:
    """The config of a kind of connection with these fields, as they are in a file of settings.

    Args:
        kind: of the connection.
        fields: of `PostgreSQLConfig`, `RedshiftSQLConfig`, `AwsS3Config` or `AzureBlobConfig`.
        where: the fields are, for the error.

    Raises:
        ConfigurationError: a field is unknown or wrong; what it holds is not shown.
    """
    config = kinds()[kind]
    shown = _SHOWN.get(kind, config.__name__)
    known = [name for name in config.model_fields if name != "resource"]
    for name in fields:
        if name not in known:
            raise ConfigurationError(
                f"{where} has the field {name!r}, which {shown} does not know.{did_you_mean(name, known)} "
                f"Fields: {', '.join(known)}."
            )
    try:
        return config(**fields)
    except AlignedError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    raise ConfigurationError(f"{where} does not make a {shown}: {wrong}.")


def plain(config: Config) -> Config:
    """The config as it is told from others: without the schema of a database, and without constructors."""
    kind = kinds()[kind_of(config) or ""]
    held = {name: getattr(config, name) for name in kind.model_fields}
    if "schema_name" in held:
        held["schema_name"] = None
    return kind.model_construct(**held)


# --- names ----------------------------------------------------------------------------------------------


def _name(config: Config) -> str:
    if isinstance(config, SqlConfig):
        told = config.env_var or (config.address or "").partition("?")[0].rpartition("/")[2]
    elif isinstance(config, S3Settings):
        told = config.bucket or config.bucket_env or ""
    else:
        told = config.container or config.container_env or ""
        told = told or config.account_name or config.account_name_env or "account"
    return f"{kind_of(config)}_{re.sub(r'[^A-Za-z0-9_]', '_', told)}"


def _digest(config: Config) -> str:
    """Eight digits that tell a config from another one of its name; a resource in it counts by its class."""
    held = {name: value if name != "resource" else repr(value) for name, value in config}
    text = json.dumps(held, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _in_its_place(new: Config, old: Config) -> Config:
    held = {name: getattr(new, name) for name in kinds()[kind_of(new) or ""].model_fields}
    if isinstance(old, SqlConfig):
        held["schema_name"] = held["schema_name"] or old.schema_name
    return kinds()[kind_of(new) or ""].model_construct(**held)


# --- walking through contracts -------------------------------------------------------------------------


def _storages(view: FeatureView[Any]) -> dict[str, Any]:
    """The fields of a contract that say where rows are, with what they hold."""
    names = ("source", "materialized_source", "dataset_store")
    return {name: getattr(view, name) for name in names if getattr(view, name, None) is not None}


def _walked(value: Any, swap: Callable[[Config], Config]) -> Any:
    """The value with every config in it swapped; the value itself where none is. Views in it are left as they are."""
    if is_config(value):
        new = swap(value)
        if new is not value:
            return new
    if isinstance(value, BaseModel):
        fields = {name: new for name, old in value if (new := _walked(old, swap)) is not old}
        return value.model_copy(update=fields) if fields else value
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        items = [_walked(item, swap) for item in value]
        return type(value)(items) if any(a is not b for a, b in zip(items, value, strict=True)) else value
    if isinstance(value, dict):
        held = {key: _walked(item, swap) for key, item in value.items()}
        return held if any(held[key] is not value[key] for key in value) else value
    return value
