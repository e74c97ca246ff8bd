"""Predictions for rows that may not fit into memory: batch by batch, each tried again where no answer comes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

import polars as pl

from aligned_dagster.errors import (
    ContractError,
    MissingColumnError,
    RequestError,
    SourceError,
    UnavailableSourceError,
    did_you_mean,
)
from aligned_dagster.request.explain import explained
from aligned_dagster.sources.exposed.base import ExposedModel, NoAnswerError, Outputs, Predictor
from aligned_dagster.sources.exposed.fitting import fitted

FIRST_PAUSE = 0.5
"""Seconds before a batch is tried again; twice as long each further time."""

LONGEST_PAUSE = 60.0
"""Seconds, also where a server asks for more."""

Log = Callable[[str], None]
"""Takes a line about the progress."""


def predicted(
    exposed: ExposedModel,
    rows: pl.LazyFrame,
    features: Sequence[str],
    keep: Sequence[str],
    outputs: Outputs,
    *,
    batch_rows: int = 50_000,
    contract: str,
    log: Log | None = None,
    retries: int = 3,
) -> Iterator[pl.DataFrame]:
    """Predict for rows, and yield the kept columns with the predictions beside them, in the order of the rows.

    The rows are streamed: a few batches are in memory at a time, as far as polars can stream their query (it holds what it
    sorts, for example). Each batch has `batch_rows` rows, but for the last one; without rows there is none. The model is
    loaded once. A batch is tried again where no answer comes (`NoAnswerError`, `ConnectionError`, `TimeoutError`), not
    where the model answers with an error.

    Args:
        exposed: the model.
        rows: with the features and the columns to keep.
        features: the columns that the model gets, in this order.
        keep: the columns to yield with the predictions.
        outputs: what the model is asked for.
        batch_rows: the largest number of rows that the model gets at once.
        contract: name of the model contract, for errors and the log.
        log: told of each batch, and of each new try.
        retries: the number of new tries for a batch.

    Raises:
        RequestError: no feature is named, or a kept column has the name of an output.
        MissingColumnError: `rows` lacks a column, or the model did not give one that is asked.
        UnavailableSourceError: no answer came, after all tries; the batch is named.
        CastError: the model gave a value that is not of the type that is asked.
        SourceError: the model failed, or gave another number of rows.

    >>> model = ExposedModel.python(lambda features: features["age"] < 13, version="1")
    >>> people = pl.LazyFrame({"id": [7, 8], "age": [40, 2]})
    >>> outputs = Outputs(label="is_child", dtype=pl.Boolean(), version="model")
    >>> [batch.rows() for batch in predicted(model, people, ["age"], ["id"], outputs, contract="ages")]
    [[(7, False, '1'), (8, True, '1')]]
    """
    _check(rows, features, keep, outputs, contract, batch_rows)
    return _predicted(exposed, rows, features, keep, outputs, batch_rows, contract, log, retries)


def _predicted(
    exposed: ExposedModel,
    rows: pl.LazyFrame,
    features: Sequence[str],
    keep: Sequence[str],
    outputs: Outputs,
    batch_rows: int,
    contract: str,
    log: Log | None,
    retries: int,
) -> Iterator[pl.DataFrame]:
    say = log if log is not None else _nothing
    needed = list(dict.fromkeys([*features, *keep]))
    done = 0
    with exposed.opened() as predictor:
        for batch in in_batches(rows.select(needed), batch_rows, contract):
            where = f"rows {done:,} to {done + batch.height - 1:,}"
            subject = f"{exposed.label}, the model of {contract!r}, asked for {where},"
            found = _asked(predictor, batch.select(features), outputs, subject, where, say, retries)
            answer = fitted(found, outputs, batch.height, subject)
            if outputs.version is not None and outputs.version not in answer.columns:
                answer = answer.with_columns(pl.lit(predictor.version, pl.String).alias(outputs.version))
            done += batch.height
            say(f"{contract}: {done:,} rows predicted so far by {exposed.label}")
            yield batch.select(keep).hstack(answer) if keep else answer


def in_batches(rows: pl.LazyFrame, size: int, contract: str) -> Iterator[pl.DataFrame]:
    """The rows in order, in frames of `size` rows and a last one with the rest; the query ends with the iterator.

    Args:
        rows: a query, which is streamed and not collected whole.
        size: of a batch.
        contract: for errors.

    >>> [batch.height for batch in in_batches(pl.LazyFrame({"a": range(5)}), 2, "numbers")]
    [2, 2, 1]
    """
    with explained(contract):
        chunks = rows.collect_batches(chunk_size=size, maintain_order=True, lazy=True, engine="streaming")
    held: list[pl.DataFrame] = []
    height = 0
    while True:
        with explained(contract):
            chunk = next(chunks, None)
        if chunk is None:
            break
        held.append(chunk)
        height += chunk.height
        while height >= size:
            whole = pl.concat(held)
            yield whole.head(size)
            rest = whole.tail(height - size)
            held, height = [rest] if rest.height else [], rest.height
    if height:
        yield pl.concat(held)


def _asked(
    predictor: Predictor,
    features: pl.DataFrame,
    outputs: Outputs,
    subject: str,
    where: str,
    say: Log,
    retries: int,
) -> pl.DataFrame:
    for attempt in range(retries + 1):
        try:
            return predictor(features, outputs)
        except (NoAnswerError, ConnectionError, TimeoutError) as error:
            wait = error.wait if isinstance(error, NoAnswerError) else None
            if attempt == retries:
                raise UnavailableSourceError(
                    f"{subject} gave no answer in {retries + 1} tries: {error}. No later row was asked for; "
                    "run it again when the model can be reached."
                ) from error
            pause = _pause(attempt, wait)
            say(f"{where}: {error} Trying again in {pause:.1f} s ({attempt + 1} of {retries}).")
            time.sleep(pause)
        except (ContractError, RequestError, SourceError) as error:
            raise type(error)(f"{subject} failed: {error}") from error
        except Exception as error:
            raise SourceError(f"{subject} failed: {type(error).__name__}: {error}") from error
    raise AssertionError("the last try returns or raises")


def _pause(attempt: int, wait: float | None) -> float:
    pause: float = FIRST_PAUSE * 2.0**attempt * random.uniform(0.75, 1.25)
    return min(max(pause, wait or 0.0), LONGEST_PAUSE)


def _check(
    rows: pl.LazyFrame,
    features: Sequence[str],
    keep: Sequence[str],
    outputs: Outputs,
    contract: str,
    batch_rows: int,
) -> None:
    if not features or not outputs.asked:
        raise RequestError(f"The model of {contract!r} needs at least one feature and one output.")
    if batch_rows < 1:
        raise RequestError(f"batch_rows is {batch_rows}, and a batch of {contract!r} has at least one row.")
    taken = {*outputs.asked, outputs.version}
    for name in keep:
        if name in taken:
            raise RequestError(
                f"The column {name!r} of the rows has the name of an output of {contract!r}. Rename one of them."
            )
    with explained(contract):
        there = rows.collect_schema().names()
    for name in (*features, *keep):
        if name not in there:
            raise MissingColumnError(
                f"{contract!r} predicts from the column {name!r}, which the rows do not have."
                f"{did_you_mean(name, there)} They have: {', '.join(there)}."
            )


def _nothing(_: str) -> None:
    """Take a line that nobody reads."""
