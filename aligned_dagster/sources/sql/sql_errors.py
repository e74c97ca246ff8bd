"""Errors of a database in words, and without any secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from aligned_dagster.errors import (
    MISFIT,
    AlignedError,
    CastError,
    ConfigurationError,
    MissingColumnError,
    SourceError,
    SourceNotFoundError,
    UnreadableSourceError,
)
from aligned_dagster.sources.sql.config import SqlConfig

_UNNUMBERED = (
    ("read-only transaction", "25006"),
    ("permission denied", "42501"),
    ("canceling statement", "57014"),
    ("out of range", "22003"),
    ("invalid input syntax", "22P02"),
    ("division by zero", "22012"),
)
"""What tells errors apart that come in the middle of a result, where the driver passes on no code."""

_NOISE = re.compile(r"\s*(Query was: .*|\.? ?SQLSTATE: \w+$|LINE \d+:.*|CONTEXT: .*)", re.DOTALL)
_PREFIX = re.compile(
    r"^([A-Z_]+: )?(\[libpq\] )?(Failed to [^:]*: |Execution error \[\w+\]: |ReadRecord failed at row \d+: )?",
    re.DOTALL,
)
_LOST = re.compile(
    r"server closed the connection|terminating connection|no connection to the server|connection to server was lost"
    r"|Connection reset|SSL connection has been closed|could not receive data|could not send data|EOF detected",
)


class RowsAsideError(SourceError):
    """What happened to rows on a way around the connection. It is raised anew with the contract and the source.

    Args:
        words: what happened, and what to do.
        kind: the class of the error that is raised in the end.
    """

    def __init__(self, words: str, kind: type[SourceError]) -> None:
        super().__init__(words)
        self.kind = kind


@contextmanager
def explained_sql(contract: str, source: str, config: SqlConfig | None = None) -> Iterator[None]:
    """Raise what the database says inside the block as an error of ours.

    Args:
        contract: the contract whose rows are read or written.
        source: URI of the table or query, without a password.
        config: the database, whose secrets are kept out of the message.

    Raises:
        SourceNotFoundError: there is no such table.
        MissingColumnError: there is no such column.
        CastError: a value does not fit.
        SourceError: permission denied, connection lost, cancelled, and everything else.
    """
    from adbc_driver_manager import Error

    better: AlignedError | None = None
    try:
        yield
    except RowsAsideError as error:
        better = error.kind(f"{contract!r} in {source}: {error}")
    except Exception as error:
        if not (isinstance(error, Error) or "[libpq]" in str(error)):
            raise
        text = str(error) if config is None else config.scrubbed(str(error))
        better = sql_error(text, getattr(error, "sqlstate", None), contract, source)
    if better is not None:
        raise better from None  # the driver's error may hold the address


def sql_error(text: str, state: str | None, contract: str, source: str) -> AlignedError:
    """The error of ours for what a database says.

    Args:
        text: its words, scrubbed.
        state: SQLSTATE, where it is known.
        contract: the contract whose rows are read or written.
        source: URI of the table or query.
    """
    state = sql_state(text, state)
    words = said(text)
    subject = f"{contract!r} in {source}"
    if MISFIT in words:
        return _misfit(words, contract, source)
    if "Array value with lower bound" in words:
        return CastError(
            f"{subject} has an array that does not start at 1, such as '[2:3]={{5,6}}', which no list can hold. "
            "Store it anew: UPDATE ... SET column = ARRAY(SELECT unnest(column))."
        )
    if state in {"57P01", "57P02", "57P03"} or state.startswith("08") or _LOST.search(text):
        return SourceError(
            f"The connection was lost while {subject} was used: {words}. "
            "Nothing of a transaction that was not committed is stored. Check the server and the network; then try again."
        )
    if state in {"42P01", "3F000"}:
        return SourceNotFoundError(f"{subject} is not there: {words}.")
    if state == "42703":
        return MissingColumnError(f"{subject}: {words}.")
    if state == "42501":
        return SourceError(
            f"{subject} may not be used by this user: {words}. "
            "Ask for it (GRANT SELECT ... TO ...), or use an address with another user."
        )
    if state == "25006":
        return SourceError(f"{subject} is a query and only reads: {words}.")
    if state == "57014":
        return SourceError(f"{subject} took too long or was cancelled: {words}.")
    if state.startswith("22"):
        return CastError(f"A value does not fit in {subject}: {words}.")
    if state.startswith("42"):
        return UnreadableSourceError(f"{subject} cannot be read: {words}.")
    return SourceError(f"{subject} failed: {words}.")


def sql_state(text: str, state: str | None) -> str:
    """The SQLSTATE of an error, also where the driver tells none; an empty text where nothing is known.

    Args:
        text: its words.
        state: what the driver tells.
    """
    if state is not None:
        return state
    found = re.search(r"SQLSTATE: (\w+)", text)
    return found.group(1) if found else next((code for words, code in _UNNUMBERED if words in text), "")


def said(text: str) -> str:
    """What the server or driver says, without the query and the codes around it.

    >>> said('NOT_FOUND: Failed to prepare query: ERROR:  relation "x" does not exist. SQLSTATE: 42P01')
    'relation "x" does not exist'
    """
    text = _PREFIX.sub("", _NOISE.sub("", text.strip()))
    text = re.sub(r"^(could not begin COPY: )?(ERROR|FATAL):\s*", "", text.strip())
    return re.sub(r"\s+", " ", text).strip().rstrip(".")


def connection_error(config: SqlConfig, text: str) -> ConfigurationError:
    """The error for a connection that could not be made.

    Args:
        config: the database.
        text: what the driver says.
    """
    words = said(config.scrubbed(text))
    where = f"the variable {config.env_var}" if config.env_var else "the address"
    who = f"{config.place}, from {where} of {type(config).__name__},"
    if "password authentication failed" in text or "no password supplied" in text:
        secret = config.password_env or config.env_var
        advice = (
            f"Check the user and the password in {secret}."
            if secret
            else "Name its variable: password_env=... ."
        )
        return ConfigurationError(f"{who} refuses the login: {words}. {advice}")
    if "could not translate host name" in text:
        return ConfigurationError(
            f"The host of {who} is not known: {words}. Check its spelling and the network."
        )
    if "Connection refused" in text:
        return ConfigurationError(
            f"Nobody listens at {who} or a firewall refuses: {words}. Check host and port, and that the server runs."
        )
    if re.search(r"timeout expired|timed out", text):
        return ConfigurationError(
            f"{who} does not answer in time: {words}. Check host, port and firewall, or allow more seconds: "
            "?connect_timeout=30 at the end of the address."
        )
    if re.search(r'database ".*" does not exist', text):
        return ConfigurationError(f"{who} has no such database: {words}. Check the last part of the address.")
    if re.search(r"too many clients|remaining connection slots|too many connections", text):
        return ConfigurationError(
            f"{who} has no connection left: {words}. Close some, or allow more on the server."
        )
    return ConfigurationError(f"{who} cannot be reached: {words}.")


def _misfit(words: str, contract: str, source: str) -> CastError:
    what = words.partition(f"{MISFIT}: ")[2].rstrip('"').replace('\\"', '"')
    return CastError(f"{contract!r} in {source}: {what}")
