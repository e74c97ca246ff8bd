"""What a database says while rows are written, in words that tell what became of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aligned_dagster.errors import AccessDeniedError, AlignedError, CastError, ConflictError, PublishError
from aligned_dagster.request.explain import explained
from aligned_dagster.sources.sql.config import SqlConfig
from aligned_dagster.sources.sql.sql_errors import RowsAsideError, said, sql_error

LOCK_NOT_AVAILABLE = "55P03"
_UNTOUCHED = "Nothing was written; the old rows are still there."


@contextmanager
def writing_sql(contract: str, uri: str, config: SqlConfig) -> Iterator[None]:
    """Raise what goes wrong while rows are staged or published as an error of ours, without any secret.

    Args:
        contract: the contract whose rows are written.
        uri: the table.
        config: the database.

    Raises:
        PublishError: the rows could not be written.
        CastError: a value does not fit.
    """
    from adbc_driver_manager import Error

    better: AlignedError | None = None
    try:
        with explained(contract):
            yield
    except RowsAsideError as error:
        better = PublishError(f"{_subject(contract, uri)}: {error} {_UNTOUCHED}")
    except Error as error:
        better = write_error(config.scrubbed(str(error)), state_of(error), contract, uri)
    if better is not None:
        raise better from None  # the driver's error may hold the address


def state_of(error: Exception) -> str:
    """The SQLSTATE of an error of the driver; an empty text where it has none."""
    return str(getattr(error, "sqlstate", None) or "")


def write_error(text: str, state: str, contract: str, uri: str) -> AlignedError:
    """The error of ours for what a database says to a write.

    Args:
        text: its words, scrubbed.
        state: SQLSTATE, where it is known.
        contract: the contract whose rows are written.
        uri: the table.
    """
    words = said(text)
    subject = _subject(contract, uri)
    if state == "23505":
        return PublishError(
            f"{subject}, which refuses a second row with the same key: {words}. Use upsert to replace rows by their key, "
            f"or drop the unique index. {_UNTOUCHED}"
        )
    if state.startswith("23"):
        return PublishError(
            f"{subject}, which has a rule that they break: {words}. "
            f"Mend the rows, or change the table's rule (ALTER TABLE ...). {_UNTOUCHED}"
        )
    if state == "22021":
        return CastError(
            f"{subject}: a text has a zero byte or is no UTF-8, which the server cannot store: {words}. {_UNTOUCHED}"
        )
    if state in {"40P01", "40001"}:
        return ConflictError(
            f"{subject} now: another writer was in the way: {words}. {_UNTOUCHED} Try again."
        )
    if state == "42501":
        return AccessDeniedError(
            f"{subject} by this user: {words}. "
            f"Ask for it (GRANT SELECT, INSERT, UPDATE, DELETE ON ... TO ...), or use an address with another user. {_UNTOUCHED}"
        )
    if state in {"42P07", "42710"}:
        return ConflictError(f"{subject}: another one created it just now: {words}. {_UNTOUCHED} Try again.")
    found = sql_error(text, state or None, contract, uri)
    if isinstance(found, CastError):
        return CastError(f"{found} {_UNTOUCHED}")
    return PublishError(f"{found} {_UNTOUCHED}")


def _subject(contract: str, uri: str) -> str:
    return f"The rows of {contract!r} cannot be written to {uri}"
