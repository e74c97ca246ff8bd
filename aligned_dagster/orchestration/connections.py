"""Connections of contracts as resources of Dagster: shown on pages of their own, and replaced by each deployment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from aligned_dagster.contracts.connections import Config, Connection, is_config, unknown_connection
from aligned_dagster.errors import ConfigurationError
from aligned_dagster.sources.azure_location import AzureSettings
from aligned_dagster.sources.resource_handle import ResourceHandle
from aligned_dagster.sources.s3_location import S3Settings

if TYPE_CHECKING:
    from aligned_dagster.orchestration.connection_resources import ConnectionResource, HandedOverResource

_SECRET = re.compile(r"secret|token|passw|(^|_)(key|pwd|sas|pat)$|conn(ection)?_str|credential$")


@dataclass(frozen=True)
class Connected:
    """What `resources=` makes of a store's connections.

    Args:
        configs: name of a connection to what takes its place.
        resources: the user's own: those of other names, and resources of Dagster's integrations that a connection uses.
    """

    configs: Mapping[str, Config]
    resources: Mapping[str, Any]

    @staticmethod
    def of(connections: Mapping[str, Connection], given: Mapping[str, Any]) -> Connected:
        """Tell replacements of connections from other resources.

        Args:
            connections: those of the contracts, by name.
            given: what the user hands over as resources.

        Raises:
            ConfigurationError: a replacement is of another kind, holds a secret, or takes the place of nothing.
        """
        if not given:
            return Connected({}, {})
        from aligned_dagster.orchestration.connection_resources import ConnectionResource

        configs: dict[str, Config] = {}
        kept: dict[str, Any] = {}
        for name, value in given.items():
            ours = isinstance(value, ConnectionResource) or is_config(value)
            if name not in connections:
                if ours:
                    raise unknown_connection(name, connections)
                kept[name] = value
                continue
            configs[name] = _config(connections[name], value)
            if not ours:
                kept[name] = value
        return Connected(configs, kept)


def connection_resources(
    connections: Mapping[str, Connection],
) -> dict[str, ConnectionResource | HandedOverResource]:
    """A resource for every connection, which shows what it names and holds no secret."""
    return {name: _shown(one) for name, one in connections.items()}


def _shown(connection: Connection) -> ConnectionResource | HandedOverResource:
    from aligned_dagster.orchestration.connection_resources import RESOURCES, HandedOverResource

    config = connection.config
    if isinstance(config, S3Settings | AzureSettings) and config.resource is not None:
        place = config.shown_bucket if isinstance(config, S3Settings) else config.shown_container
        return HandedOverResource(
            place=place or "named by each path", resource=repr(config.resource).strip("<>")
        )
    return RESOURCES[connection.kind].of(config)


def connection_keys(connections: Mapping[str, Connection]) -> dict[str, frozenset[str]]:
    """Contract name to the resources of the connections that it uses itself."""
    keys: dict[str, set[str]] = {}
    for name, one in connections.items():
        for contract in one.contracts:
            keys.setdefault(contract, set()).add(name)
    return {contract: frozenset(names) for contract, names in keys.items()}


def _config(replaced: Connection, value: Any) -> Config:
    """The config that a user's replacement of a connection stands for."""
    from aligned_dagster.orchestration.connection_resources import RESOURCES, ConnectionResource
    from aligned_dagster.sources.redshift import RedshiftSQLConfig

    if isinstance(value, ConnectionResource):
        return value.config(replaced)
    if is_config(value):
        return value
    shown = f"{type(value).__name__} for {replaced.name!r}"
    if not isinstance(value, BaseModel) or replaced.kind == "postgres":
        raise ConfigurationError(
            f"The resource {replaced.name!r} is the connection that {', '.join(replaced.contracts)} use. It can be replaced by "
            f"a config or by a {RESOURCES[replaced.kind].__name__}, and not by a {type(value).__name__}."
        )
    secret = next(_literal_secrets(value), None)
    if secret is not None:
        raise ConfigurationError(
            f"{secret} of {shown} is a text, which the UI would show. Put it into an environment variable: "
            f'{secret}=dg.EnvVar("NAME").'
        )
    old = replaced.config
    if isinstance(old, RedshiftSQLConfig):
        kept = {name: getattr(old, name) for name in ("schema_name", "s3", "iam_role_env", "large_rows")}
        return RedshiftSQLConfig.from_resource(value, **kept)
    if isinstance(old, S3Settings):
        place = {name: getattr(old, name) for name in ("bucket", "bucket_env")}
        return S3Settings(resource=ResourceHandle(value), **place)
    assert isinstance(old, AzureSettings)
    place = {name: getattr(old, name) for name in ("container", "container_env")}
    return AzureSettings(resource=ResourceHandle(value), **place)


def _literal_secrets(resource: BaseModel) -> Iterator[str]:
    """Fields of a resource that hold a secret itself and not the name of a variable."""
    for name, value in resource:
        if isinstance(value, BaseModel):
            yield from _literal_secrets(value)
        elif isinstance(value, str) and not hasattr(value, "env_var_name") and _SECRET.search(name):
            yield name
