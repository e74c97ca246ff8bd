"""What goes wrong inside of Spark, in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from aligned_dagster import errors
from aligned_dagster.errors import MISFIT, AlignedError, CastError, UnreadableSourceError
from aligned_dagster.sources.engines.session import ADVICE

_OURS = re.compile(r"aligned_dagster\.errors\.(\w+): (.*?)\s*⸺", re.DOTALL)
_MISFIT = re.compile(rf"{MISFIT}: ([^\"\n]+?)(?: SQLSTATE: \w+)?(?=[\"\n]|$)")
_UNFIT = re.compile(
    r"\[(CAST|ARITHMETIC_OVERFLOW|NUMERIC_VALUE_OUT_OF_RANGE|CANNOT_PARSE|DATETIME_OVERFLOW|INTERVAL_ARITHMETIC)"
)
_SETTINGS = re.compile(r"\s+(Use `|To return NULL|If necessary|Consider using|SQLSTATE:).*", re.DOTALL)
"""Advice of Spark to give up checks that equal answers need."""
_FRAGMENT = re.compile(r"== SQL[^\n]*==\n([^\n]{1,200})")
END = " ⸺"
"""Behind the message of an error that leaves a worker, where Java puts text of its own."""


@contextmanager
def marked() -> Iterator[None]:
    """Mark the end of the message of an error of ours on its way out of a worker."""
    try:
        yield
    except AlignedError as error:
        raise type(error)(f"{error}{END}") from None


@contextmanager
def explained_spark(contract: str) -> Iterator[None]:
    """Raise what goes wrong inside of the block as an error of ours.

    Args:
        contract: whose rows are collected.

    Raises:
        SourceError: a worker could not read a row, in its words, or Spark could not.
    """
    try:
        yield
    except AlignedError:
        raise
    except Exception as error:  # pyspark's, or those of the gateway to Java
        if not type(error).__module__.startswith(("pyspark", "py4j")):
            raise
        better = explain_spark(error, contract)
    else:
        return
    raise better


def explain_spark(error: Exception, contract: str) -> AlignedError:
    """The error of ours that an error of Spark stands for."""
    text = str(error)
    misfit = _MISFIT.search(text)
    if misfit is not None:
        return CastError(f"{contract!r}: {misfit.group(1)}")
    found = _OURS.search(text)
    if found is not None:
        kind, message = found.groups()
        known = getattr(errors, kind, None)
        if isinstance(known, type) and issubclass(known, AlignedError):
            return known(message)
    named = re.search(r"\[[A-Z][A-Z_.0-9]+\][^\n]*", text)
    short = named.group() if named else text.strip().partition("\n")[0]
    if _UNFIT.match(short):
        where = _FRAGMENT.search(text)
        place = "" if where is None else f" It comes from {where.group(1)}"
        return CastError(f"{contract!r}: {_SETTINGS.sub('', short)}{place} {ADVICE}")
    return UnreadableSourceError(f"{contract!r} cannot be read or computed on Spark: {short}")
