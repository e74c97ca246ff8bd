"""The one tree of errors. Every message says what was wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aligned_dagster.quality.report import AuditReport


MISFIT = "aligned misfit"
"""Starts what a query of ours says, by a cast that fails, of a value that does not fit."""


class AlignedError(Exception):
    """Base of every error that this package raises on purpose."""


class ContractError(AlignedError):
    """A contract is wrong; raised where it is defined, with its file and line."""


class DerivationError(ContractError):
    """A derivation cannot be computed: wrong type, unknown column, or a cycle."""


class DuplicateNameError(ContractError):
    """One name stands for two things."""


class SchemaMismatchError(ContractError):
    """A contract reads another whose columns or dtypes do not fit."""


class ContractImportError(ContractError):
    """A file of contracts could not be imported."""


class UnknownContractError(ContractError):
    """No contract of that name is in the store."""


class UnknownFeatureError(ContractError):
    """A contract has no column of that name."""


class UnsupportedError(ContractError):
    """What was asked cannot be done with this kind of object, and the message says what can."""


class SourceError(AlignedError):
    """A source could not be read or written."""


class SourceNotFoundError(SourceError):
    """The file, directory, table or object does not exist."""


class NothingStoredError(SourceNotFoundError):
    """The bucket or database is there, and the file, directory or table in it is not.

    Args:
        message: what is missing, and what to do.
        place: the address at which nothing is.
    """

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class UnreadableSourceError(SourceError):
    """The bytes are there but are not what the contract says they are."""


class MissingColumnError(SourceError):
    """The source lacks a column that the contract needs."""


class SchemaVersionError(SourceError):
    """No stored schema version fits what the contract says now."""


class CastError(SourceError):
    """A stored value does not fit the contract's dtype."""


class AccessDeniedError(SourceError):
    """The system that holds the rows refused the credentials, or what they may do."""


class UnavailableSourceError(SourceError):
    """The system that holds the rows does not answer, or answers that it cannot now."""


class PublishError(SourceError):
    """Staged rows could not be published; the old rows are still there."""


class ConflictError(PublishError):
    """Another writer published in between; nothing was written, and the same write can be tried again."""


class ConfigurationError(SourceError):
    """A setting or an environment variable is missing or wrong."""


class QualityError(AlignedError):
    """Rows do not keep the promise of their contract."""


class AuditError(QualityError):
    """A blocking rule is broken: nothing was published.

    Args:
        message: what was broken, in words.
        report: the whole audit.
        quarantine: URI of the rows that were kept aside, when they were.
    """

    def __init__(self, message: str, report: AuditReport, quarantine: str | None = None) -> None:
        super().__init__(message)
        self.report = report
        self.quarantine = quarantine


class RequestError(AlignedError):
    """The rows that were asked for cannot be had, because of how they were asked for."""


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """A hint that names the closest of the options, or an empty text.

    >>> did_you_mean("aeg", ["age", "name"])
    " Did you mean 'age'?"
    >>> did_you_mean("zzz", ["age", "name"])
    ''
    """
    import difflib

    choices = list(options)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    if not close:
        folded = {choice.casefold(): choice for choice in choices}
        close = [folded[name.casefold()]] if name.casefold() in folded else []
    return f" Did you mean {close[0]!r}?" if close else ""
