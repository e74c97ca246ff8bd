"""How to reach a database: what a config names, and the address that it reads when a connection is made."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlencode, urlsplit, urlunsplit

from pydantic import ConfigDict, model_validator

from aligned_dagster.errors import ConfigurationError
from aligned_dagster.sources.environment import from_environment, with_names
from aligned_dagster.sources.settings import Settings
from aligned_dagster.sources.sql.dialect import POSTGRES, Dialect

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    import polars as pl
    import pyarrow as pa

    from aligned_dagster.sources.sql.bound import Sql
    from aligned_dagster.sources.sql.connection import Session
    from aligned_dagster.sources.sql.identifiers import TableName
    from aligned_dagster.sources.sql.writes import Writes

CONNECT_TIMEOUT = 5
"""Seconds to wait for a server, unless the address says `connect_timeout`."""

_SECRET_KEYS = ("password", "sslpassword", "passfile", "oauth_client_secret")


class SqlConfig(Settings):
    """A database. It keeps the name of an environment variable with the address, or an address without a password.

    Args:
        env_var: the variable that holds the address, postgresql://user:password@host:5432/database.
        schema_name: the schema of tables that name none; the connection's search path if not given.
        address: the address itself, where it has no password.
        password_env: the variable that holds the password for `address`, where it needs one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    schemes: ClassVar[tuple[str, ...]] = ("postgresql", "postgres")

    env_var: str | None = None
    schema_name: str | None = None
    address: str | None = None
    password_env: str | None = None

    def __init__(self, env_var: str | None = None, schema_name: str | None = None, **fields: Any) -> None:
        super().__init__(env_var=env_var, schema_name=schema_name, **fields)

    @model_validator(mode="before")
    @classmethod
    def _names(cls, fields: Any) -> Any:
        return with_names(fields)

    @model_validator(mode="after")
    def _one_address(self) -> SqlConfig:
        if (self.env_var is None) == (self.address is None):
            raise ConfigurationError(
                f"{type(self).__name__} needs the name of an environment variable: env_var='PSQL_DB_URL'."
            )
        if self.env_var is not None and not re.fullmatch(r"[A-Za-z_]\w*", self.env_var, re.ASCII):
            raise ConfigurationError(
                f"env_var of {type(self).__name__} must be the name of an environment variable, such as "
                "'PSQL_DB_URL', and not the address itself, which may hold a password."
            )
        if self.address is not None and _secrets(self.address):
            raise ConfigurationError(
                f"The address for {type(self).__name__} holds a password. Put the address into an environment "
                "variable, and give the variable's name: env_var='PSQL_DB_URL'."
            )
        return self

    @property
    def dialect(self) -> Dialect:
        """How the system's SQL differs."""
        return POSTGRES

    def writes(self) -> Writes:
        """How the system takes rows."""
        from aligned_dagster.sources.sql.writes import Writes

        return Writes()

    def read_aside(self, session: Session, query: Sql) -> Generator[pl.DataFrame, None, None] | None:
        """The rows of a query on a way around the connection; None where they are to come through it."""
        return None

    def ingest(
        self,
        session: Session,
        table: TableName,
        batches: Iterable[pl.DataFrame | pa.Table],
        *,
        temporary: bool,
        create: bool,
    ) -> int | None:
        """Send rows in the system's own way, and return how many there were; None where COPY takes them."""
        return None

    def uri(self) -> str:
        """The whole address, password included, as the driver takes it. Never show or keep it.

        Raises:
            ConfigurationError: the variable is not set, or holds no address.
        """
        found = self._address()
        if isinstance(found, ConfigurationError):
            raise found
        return found

    def _address(self) -> str | ConfigurationError:
        """The address or what is wrong with it: an error that is raised here would hold it in its traceback."""
        if self.env_var is not None:
            value = from_environment(self.env_var, f"the address of the database of {type(self).__name__}")
            return self._checked(value.strip(), f"variable {self.env_var}")
        address = self._checked(self.address or "", "address")
        if self.password_env is None or isinstance(address, ConfigurationError):
            return address
        word = from_environment(self.password_env, f"the password for {type(self).__name__}")
        parts = urlsplit(address)
        user, _, host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}:{quote(word, safe='')}@{host}"))

    @property
    def place(self) -> str:
        """Host and database without user and password; the name of the variable where it is not set."""
        try:
            parts = urlsplit(self.uri())
        except ConfigurationError:
            return f"{self.dialect.kind}://${self.env_var or self.password_env}"
        host = parts.netloc.rpartition("@")[2]
        return f"{self.dialect.kind}://{host}{parts.path}"

    def scrubbed(self, text: str) -> str:
        """A text without the address, and without any secret of it."""
        try:
            uri = self.uri()
        except ConfigurationError:
            uri = os.environ.get(self.env_var or "", "")
        for secret in sorted({uri, *_secrets(uri)}, key=len, reverse=True):
            text = text.replace(secret, "***") if secret else text
        return text

    def _checked(self, address: str, where: str) -> str | ConfigurationError:
        """The address with a scheme that the driver knows, and with what every connection of ours sets."""
        example = f"{self.schemes[0]}://user:password@host:{self.dialect.default_port}/database"
        scheme, found, rest = address.partition("://")
        if not found or scheme.split("+")[0] not in self.schemes:
            return ConfigurationError(
                f"The {where} of {type(self).__name__} should hold an address like {example}"
                f"{f', and it starts with {scheme}://' if found and scheme.isalnum() else ''}."
            )
        split = _split(rest)
        if split is None:
            return ConfigurationError(
                f"The {where} of {type(self).__name__} holds an address that cannot be read. It should look like "
                f"{example}; write each of the signs % : / ? # @ in a user or password as %25 %3A %2F %3F %23 %40."
            )
        parts, options = split
        options.setdefault("connect_timeout", [str(CONNECT_TIMEOUT)])
        options.setdefault("application_name", ["aligned_dagster"])
        options["client_encoding"] = ["UTF8"]
        query = urlencode(
            [(key, value) for key, values in options.items() for value in values], quote_via=quote
        )
        return f"postgresql://{parts.netloc}{parts.path}?{query}"


def _split(address: str) -> tuple[SplitResult, dict[str, list[str]]] | None:
    """The parts of an address without its scheme, and its options; None where it is none."""
    if re.search(r"%(?![0-9a-fA-F]{2})", address):
        return None
    try:
        parts = urlsplit(f"postgresql://{address}")
        _ = parts.port
        options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        return None
    return parts, options


def _secrets(uri: str) -> set[str]:
    """The secrets of an address, in every form in which an error could show them."""
    found: set[str] = set()
    login, at, _ = uri.partition("://")[2].rpartition("@")
    word = login.partition(":")[2] if at else ""
    found |= {word, unquote(word)}
    for key in _SECRET_KEYS:
        for raw in re.findall(rf"[?&\s]{key}=([^&\s]*)", uri):
            found |= {raw, unquote(raw)}
    return {secret for secret in found if secret}
