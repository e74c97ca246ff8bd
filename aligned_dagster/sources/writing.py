"""Writing to a source: rows are staged beside it, looked at, and then published all at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self, get_args, runtime_checkable

import polars as pl

from aligned_dagster.errors import PublishError, RequestError, did_you_mean
from aligned_dagster.quality.probes import Around, is_rowwise
from aligned_dagster.quality.report import plain
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.quarantine_run import QuarantineRun

WriteMode = Literal["insert", "upsert", "overwrite", "replace"]
"""Append rows, replace rows by their key, replace everything, or replace the rows for which a condition holds."""


@dataclass(frozen=True)
class Published:
    """What a write left behind.

    Args:
        uri: the place.
        bytes: its size, where it is known.
        rows: its number of rows, where it is cheap to know.
        files: the files that were written.
    """

    uri: str
    bytes: int | None = None
    rows: int | None = None
    files: tuple[str, ...] = ()


class Staged(ABC):
    """Rows that are written but not yet visible. Use it in a `with` block: what is not published is discarded."""

    @property
    @abstractmethod
    def frame(self) -> pl.LazyFrame:
        """Everything that the target would hold after publishing, under the contract's names."""

    @property
    def part(self) -> pl.LazyFrame:
        """The rows of `frame` that the write is about: after a replace those of the condition, else at least those of
        all that is written anew, with every row of the partitions that it goes to."""
        return self.frame

    @property
    def around(self) -> Around | None:
        """All rows, for the rules that `part` alone cannot tell after an insert or upsert; None where it can."""
        return None

    @abstractmethod
    def keep(self, rows: pl.LazyFrame) -> None:
        """Stage these rows in place of the ones that are staged.

        Args:
            rows: all rows that the target should hold in the end, usually a part of `frame`.

        Raises:
            SourceError: they cannot be written; what was staged before is discarded.
        """

    def keep_part(self, rows: pl.LazyFrame) -> None:
        """Stage these rows in place of `part`; the others stay as they are.

        Args:
            rows: usually some of `part`.

        Raises:
            SourceError: they cannot be written, or the condition does not hold for one of them; what was staged
                before is discarded.
        """
        self.keep(rows)

    @abstractmethod
    def publish(self) -> Published:
        """Make the rows visible, all at once.

        Raises:
            PublishError: it failed, and the old rows are still there; or it was done or discarded before.
        """

    @abstractmethod
    def discard(self) -> None:
        """Remove the staged rows; nothing happens when they are published already."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


@runtime_checkable
class Writable(Protocol):
    """A source that rows can be written to."""

    def stage(
        self,
        frame: pl.LazyFrame,
        request: RetrievalRequest,
        mode: WriteMode,
        *,
        where: pl.Expr | None = None,
    ) -> Staged:
        """Write rows beside the target, where nobody reads them yet."""
        ...

    def insert(self, frame: pl.LazyFrame, request: RetrievalRequest) -> Published:
        """Append rows, without an audit."""
        ...

    def upsert(self, frame: pl.LazyFrame, request: RetrievalRequest) -> Published:
        """Replace the rows with the same key and append the others, without an audit."""
        ...

    def overwrite(self, frame: pl.LazyFrame, request: RetrievalRequest) -> Published:
        """Replace all rows, without an audit."""
        ...

    def replace(self, frame: pl.LazyFrame, request: RetrievalRequest, where: pl.Expr) -> Published:
        """Replace the rows for which a condition holds, without an audit."""
        ...

    def quarantine(self, frame: pl.LazyFrame, request: RetrievalRequest, run_id: str) -> str:
        """Keep bad rows aside, and return where."""
        ...

    def read_quarantine(self, run_id: str | None = None) -> pl.LazyFrame | None:
        """The rows that were kept aside, by one run or by all; None where there are none."""
        ...

    def quarantine_runs(self) -> list[QuarantineRun]:
        """The runs that kept rows aside, the oldest first."""
        ...

    def remove_quarantine(self, run_id: str) -> None:
        """Remove the rows that one run kept aside; nothing happens where there are none."""
        ...


def check_write(
    request: RetrievalRequest, mode: str, uri: str, where: pl.Expr | None = None
) -> RetrievalRequest:
    """The request for all columns of the schema, when the write makes sense.

    Raises:
        RequestError: an upsert into a contract without an entity, an unknown mode, or a condition that is missing,
            not wanted, or no condition on the contract's columns.
    """
    if mode not in get_args(WriteMode):
        raise RequestError(
            f"{mode!r} is no way to write.{did_you_mean(mode, get_args(WriteMode))} "
            f"There are {', '.join(get_args(WriteMode))}."
        )
    if mode == "upsert" and not request.entities:
        raise RequestError(
            f"{request.name!r} has no entity, so no row of {uri} can be replaced by its key. "
            "Mark the key with as_entity(), or use insert or overwrite."
        )
    whole = request.project(request.schema.names)
    if mode == "replace" and where is None:
        raise RequestError(
            f"To replace a part of {uri}, say which: where=pl.col(...) == ... . "
            "To replace all of it, use overwrite."
        )
    if where is not None:
        if mode != "replace":
            raise RequestError(f"where= goes with 'replace' only, and {uri} was asked for {mode!r}.")
        _check_condition(where, whole, uri)
    return whole


def _check_condition(where: pl.Expr, request: RetrievalRequest, uri: str) -> None:
    for name in where.meta.root_names():
        if name not in request.schema:
            raise RequestError(
                f"{uri} is to be replaced where {where}, and {request.name!r} has no column {name!r}."
                f"{did_you_mean(name, request.schema.names)} Columns: {', '.join(request.schema.names)}."
            )
    try:
        found = list(pl.LazyFrame(schema=request.polars).select(where).collect_schema().values())
    except pl.exceptions.PolarsError as error:
        raise RequestError(f"{uri} cannot be replaced where {where}: {error}") from error
    if found != [pl.Boolean()] or not is_rowwise(where):
        raise RequestError(
            f"{uri} cannot be replaced where {where}: it is no condition on each row by itself."
        )


def upserted(old: pl.LazyFrame, incoming: pl.LazyFrame, key: tuple[str, ...]) -> pl.LazyFrame:
    """The old rows whose key is not among the incoming ones, followed by the incoming ones.

    Args:
        old: the stored rows.
        incoming: rows whose keys may repeat; the last one counts.
        key: the columns that identify a row; null equals null.
    """
    latest = incoming.unique(subset=key, keep="last", maintain_order=True)
    kept = old.join(latest, on=key, how="anti", nulls_equal=True, maintain_order="left")
    return pl.concat([kept, latest])


def outside(where: pl.Expr) -> pl.Expr:
    """True for the rows for which a condition is false or null.

    >>> pl.DataFrame({"a": [1, 2, None]}).filter(outside(pl.col("a") == 1)).to_series().to_list()
    [2, None]
    """
    return where.fill_null(False).not_()


def refuse_outside(incoming: pl.LazyFrame, where: pl.Expr, request: RetrievalRequest, uri: str) -> None:
    """Raise unless a condition holds for every row that is to take the place of those for which it holds.

    Args:
        incoming: rows that are at hand: they are read once, and once more where one is wrong.
        where: the condition.
        request: the contract.
        uri: where they are written.

    Raises:
        PublishError: it does not.
    """
    strays = incoming.filter(outside(where))
    count = strays.select(pl.len()).collect(engine="streaming").item()
    if not count:
        return
    names = dict.fromkeys([*request.schema.key, *where.meta.root_names()])
    sample = strays.select(list(names) or request.columns).head(1).collect().row(0, named=True)
    words = ", ".join(f"{name}={plain(value)!r}" for name, value in sample.items())
    raise PublishError(
        f"{count} of the rows written for {request.name!r} lie outside of the part of {uri} that they are to "
        f"replace, such as {words}: {where} is not true for it. Nothing was written. Filter the rows to that part, "
        "or replace a wider one."
    )
