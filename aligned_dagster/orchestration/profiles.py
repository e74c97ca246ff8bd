"""Storage profiles: which database, bucket or account takes the place of which, by the name of a deployment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aligned_dagster.contracts.connections import made_of, unknown_connection
from aligned_dagster.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from aligned_dagster.contracts.store import ContractStore

PROFILE = "ALIGNED_PROFILE"
"""The environment variable that names the profile of a deployment."""

Profiles = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Name of a profile to name of a connection to the fields of its config."""


def with_profile(
    store: ContractStore,
    profiles: Profiles,
    chosen: str | None,
    where: str,
    environ: Mapping[str, str] | None = None,
) -> ContractStore:
    """The store over the databases, buckets and accounts of a profile.

    Args:
        store: the contracts.
        profiles: all of them.
        chosen: the profile, unless `ALIGNED_PROFILE` names another one; none leaves the store as it is.
        where: the profiles are, for errors.
        environ: the environment; the process's own if not given.

    Raises:
        ConfigurationError: there is no such profile or connection, or a field of one is wrong.
    """
    named = (os.environ if environ is None else environ).get(PROFILE) or None
    name = named or chosen
    if name is None:
        return store
    if name not in profiles:
        told = f"{PROFILE} is {name!r}" if named else f"{where} has profile = {name!r}"
        raise ConfigurationError(
            f"{told}, and {where} has no profile of that name.{did_you_mean(name, profiles)} "
            f"Profiles: {', '.join(profiles) or 'none'}."
        )
    known = store.connections
    configs = {}
    for connection, fields in profiles[name].items():
        if connection not in known:
            error = unknown_connection(connection, known)
            raise ConfigurationError(f"Profile {name!r} of {where}: {error}")
        place = f"Profile {name!r} of {where}, connection {connection!r}"
        configs[connection] = made_of(known[connection].kind, fields, place)
    return store.with_connections(configs)


def checked_profiles(value: Any, where: str) -> Profiles:
    """The profiles of a file of settings, when they are tables in tables in a table.

    Args:
        value: what is in the file.
        where: the file, for the error.

    Raises:
        ConfigurationError: they are something else.
    """
    tables = isinstance(value, Mapping) and all(
        isinstance(profile, Mapping) and all(isinstance(fields, Mapping) for fields in profile.values())
        for profile in value.values()
    )
    if not tables:
        raise ConfigurationError(
            f"The profiles of {where} must have for each profile the connections that it replaces, and for each of those "
            'its fields: [tool.aligned_dagster.profiles.production.postgres_PSQL_DB_URL] with env_var = "PROD_DB_URL".'
        )
    found: Profiles = value
    return found
