"""Errors of a query in the words of its contract, whoever collects it.

A value that does not fit is found while polars runs the query, perhaps many views above the source. The
casts of a
source therefore raise a finished `CastError` from inside the query (see `sources.casting`), which polars
passes on
with a note of its own. Wrap every collection and every sink in `explained`: it takes that note off and
translates
what polars raises by itself (a file that vanished, a damaged file, a failing derivation).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from aligned_dagster.errors import (
    AlignedError,
    CastError,
    DerivationError,
    MissingColumnError,
    SourceError,
    SourceNotFoundError,
    UnavailableSourceError,
    UnreadableSourceError,
)
from aligned_dagster.request.csv_faults import not_utf8, too_many_cells

_NOTE = re.compile(
    r"\n\n(This error occurred|Resolved plan until failure|You might want to try).*", re.DOTALL
)
_CONVERSION = re.compile(
    r"conversion from `(.+?)` to `(.+?)` failed in column '(.*)' for .*?: \[(.*)\]", re.DOTALL
)
_UNAVAILABLE = re.compile(r"after \d+ retries, max_retries|error sending request|status code: (429|5\d\d)")
"""What polars says of a store that is throttled or does not answer, after it tried again."""

_ZONES = re.compile(
    r"Datetime\('..', '[^']+'\).*Datetime\('..'\)|Datetime\('..'\).*Datetime\('..', '[^']+'\)", re.DOTALL
)
"""What polars says of a comparison of times of which one has a zone."""

_PLAN_ERRORS = (
    pl.exceptions.ColumnNotFoundError,
    pl.exceptions.SchemaError,
    pl.exceptions.DuplicateError,
    pl.exceptions.ShapeError,
)


@contextmanager
def explained(contract: str, source: str = "") -> Iterator[None]:
    """Raise what goes wrong inside the block as an error of ours.

    Args:
        contract: the contract whose rows are collected.
        source: URI of the place they come from, where it is known.

    Raises:
        CastError: a value does not fit its dtype.
        SourceNotFoundError: a file is not there, or not any more.
        MissingColumnError: one of several files lacks a column that the others have.
        UnreadableSourceError: polars could not read what is there.
        UnavailableSourceError: a store did not answer, or was too busy to.
        DerivationError: an expression of the contract cannot be computed.

    >>> with explained("person"):
    ...     pl.LazyFrame({"age": ["abc"]}).cast(pl.Int8).collect()
    Traceback (most recent call last):
    ...
    aligned_dagster.errors.CastError: 'person': the value "abc" in column 'age' is no i8 (it is a str). ...
    """
    try:
        yield
    except (AlignedError, pl.exceptions.PolarsError, OSError) as error:
        better = explain(error, contract, source)
        if better is error:
            raise
        raise better from None  # it says what polars said, and polars' own lines would be read first


def explain(error: Exception, contract: str, source: str = "") -> Exception:
    """The error of ours that an error of a query stands for; the error itself where there is none better.

    Args:
        error: what polars raised.
        contract: the contract whose rows are collected.
        source: URI of the place they come from, where it is known.
    """
    message = str(error)
    short = _NOTE.sub("", message).strip()
    if isinstance(error, SourceError):
        return error if short == message else type(error)(short)
    if isinstance(error, AlignedError):
        return error
    place = f" from {source}" if source else ""
    conversion = _CONVERSION.search(short)
    if conversion is not None:
        stored, wanted, column, values = conversion.groups()
        sample = values.split(", ")[0]
        return CastError(
            f"{contract!r}: the value {sample} in column {column!r} is no {wanted} (it is a {stored}). "
            f"Mend the value, or change the column's type or derivation."
        )
    text = _broken_text(short, contract, place)
    if text is not None:
        return text
    if _UNAVAILABLE.search(short):
        return UnavailableSourceError(
            f"{contract!r} cannot be read{place}: the store did not answer, also after several tries. Try again later, or "
            f"check the endpoint and the network. {short}"
        )
    if isinstance(error, FileNotFoundError):
        return SourceNotFoundError(f"{contract!r} cannot be read{place}: {short}")
    if "missing_columns=" in message:
        return MissingColumnError(
            f"{contract!r} cannot be read: one of its files{place} lacks a column: {short}"
        )
    if isinstance(error, _PLAN_ERRORS) and _ZONES.search(short):
        return DerivationError(
            f"{contract!r} cannot be computed{place}: one time has a zone and the other has none. Give it one, as in "
            f"datetime(2024, 5, 1, tzinfo=UTC), or compare with View().column, which reads it in UTC. ({short})"
        )
    if isinstance(error, _PLAN_ERRORS):
        return DerivationError(f"{contract!r} cannot be computed{place}: {short}")
    if isinstance(error, pl.exceptions.PolarsError | OSError):
        return UnreadableSourceError(f"{contract!r} cannot be read{place}: {short}")
    return error


def _broken_text(words: str, contract: str, place: str) -> UnreadableSourceError | None:
    """What to say of a file that is no CSV or Parquet file, or a broken one; None where that is not what is wrong."""
    if "found more fields than defined" in words:
        row = too_many_cells()
        told = (
            "a row of a CSV file has more cells than its header has columns."
            if row is None
            else f"{row[0]} has {row[2]} cells and the header {row[3]} columns: {row[1]!r}."
        )
        return UnreadableSourceError(
            f"{contract!r} cannot be read: {told} Look for a separator inside a cell that is not quoted, and check "
            "separator and quote of CsvConfig."
        )
    if "invalid utf-8" in words:
        line = not_utf8()
        told = "a CSV file is not in UTF-8." if line is None else f"{line[0]} is not in UTF-8: {line[1]!r}."
        return UnreadableSourceError(
            f"{contract!r} cannot be read: {told} Say in which encoding the file is, as in "
            "csv_config=CsvConfig(encoding='latin-1'); programs on Windows often write 'cp1252'."
        )
    if words == "empty CSV":
        return UnreadableSourceError(
            f"{contract!r} cannot be read{place}: the file is empty, without even a header. Write it again, or let "
            "whoever makes it write at least the names of the columns."
        )
    if "must end with PAR1" in words or "File out of specification" in words:
        return UnreadableSourceError(
            f"{contract!r} cannot be read{place}: it is no whole Parquet file. Is it a CSV file, to be read by "
            f"FileSource.csv_at(...), or was it cut short? ({words})"
        )
    return None
