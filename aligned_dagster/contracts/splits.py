"""Which rows a model is trained on, which it is chosen by, and which it is tested with."""

from __future__ import annotations

import datetime as dt
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from aligned_dagster.errors import ContractError, did_you_mean
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.literals import value_from_json, value_to_json
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.schema import Schema
from aligned_dagster.request.join_keys import moment

SPLIT = "split"
"""The column that says in which part a row is."""

PARTS = ("train", "validate", "test")
"""What that column says."""

_HASHES = 2**64


@dataclass(frozen=True)
class Split(ABC):
    """A way to tell rows to train on, to choose a model by, and to test it with from each other.

    Every row is told by itself: a row is in the same part whatever other rows there are, and in whatever order.
    """

    kind: ClassVar[str]

    @abstractmethod
    def expression(self, schema: Schema) -> pl.Expr:
        """A text for each row of rows with these columns: "train", "validate" or "test".

        Args:
            schema: the columns, with their roles.

        Raises:
            ContractError: the rows lack what the split goes by.
        """

    @abstractmethod
    def columns(self, schema: Schema) -> tuple[str, ...]:
        """The columns that it goes by.

        Raises:
            ContractError: the rows lack one.
        """

    @abstractmethod
    def words(self) -> str:
        """The split as a sentence."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""


@dataclass(frozen=True)
class SplitByTime(Split):
    """Rows before a time train, later ones test; see `split_by_time`."""

    kind = "time"
    train_until: dt.date
    validate_until: dt.date | None = None

    def ends(self) -> tuple[tuple[str, int], ...]:
        """The parts but the last, each with the first moment that is not in it: microseconds since 1970 in UTC."""
        until = self.train_until if self.validate_until is None else self.validate_until
        return (("train", _microseconds(self.train_until)), ("validate", _microseconds(until)))

    def expression(self, schema: Schema) -> pl.Expr:
        """See `Split.expression`."""
        (time,) = self.columns(schema)
        (train, first), (validate, second) = self.ends()
        now = moment(time, schema.polars[time], zone="UTC", unit="us")
        return (
            pl.when(now < first)
            .then(pl.lit(train))
            .when(now < second)
            .then(pl.lit(validate))
            .when(now.is_not_null())
            .then(pl.lit("test"))
        )

    def columns(self, schema: Schema) -> tuple[str, ...]:
        """The event timestamp."""
        if schema.event_timestamp is None:
            raise ContractError(
                "split_by_time needs rows with a time. Name the facts' column in event_timestamp_column, or use "
                f"split_by_entity.{at(caller())}"
            )
        return (schema.event_timestamp,)

    def words(self) -> str:
        """The split as a sentence."""
        said = f"train before {self.train_until.isoformat()}"
        if self.validate_until is not None:
            said += f", validate before {self.validate_until.isoformat()}"
        return f"{said}, test from then on"

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""
        ends = (self.train_until, self.validate_until)
        return {"kind": self.kind, "until": [value_to_json(end) for end in ends]}


@dataclass(frozen=True)
class SplitByHash(Split):
    """Rows are shared by a hash of some columns; see `split_by_entity` and `split_at_random`.

    Args:
        train: the share to train on.
        validate: the share to choose a model by.
        seed: another number is another choice.
        entities: the columns that are hashed; all entities if not given.
        whole_key: whether the event timestamp is hashed besides, so that rows of an entity part.
    """

    kind = "hash"
    train: float
    validate: float
    seed: int
    entities: tuple[str, ...] | None = None
    whole_key: bool = False

    def expression(self, schema: Schema) -> pl.Expr:
        """See `Split.expression`."""
        texts = [_text(name, schema.column(name).dtype) for name in self.columns(schema)]
        borders = [round(share * _HASHES) for share in (self.train, self.train + self.validate)]
        seed = self.seed

        def parts(keys: pl.Series) -> pl.Series:
            return pl.Series(keys.name, [_part(seed, key, borders) for key in keys], dtype=pl.String)

        return pl.concat_str(texts).map_batches(parts, return_dtype=pl.String, is_elementwise=True)

    def columns(self, schema: Schema) -> tuple[str, ...]:
        """The hashed columns."""
        if self.entities is None and not schema.entities:
            raise ContractError(f"A split by a hash needs rows with entities.{at(caller())}")
        names = schema.entities if self.entities is None else self.entities
        for name in names:
            if name not in schema.entities:
                raise ContractError(
                    f"The split goes by {name!r}, which is no entity of the rows."
                    f"{did_you_mean(name, schema.entities)} Entities: {', '.join(schema.entities)}.{at(caller())}"
                )
        time = schema.event_timestamp if self.whole_key else None
        return (*names, *([time] if time else []))

    def words(self) -> str:
        """The split as a sentence."""
        shares = [("train", self.train), ("validate", self.validate)]
        said = ", ".join(f"{name} {share:.4g}" for name, share in shares if share)
        by = "at random" if self.whole_key else f"by {', '.join(self.entities or ('entity',))}"
        return f"{by}: {said}, test the rest (seed {self.seed})"

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""
        return {
            "kind": self.kind,
            "train": self.train,
            "validate": self.validate,
            "seed": self.seed,
            "entities": None if self.entities is None else list(self.entities),
            "whole_key": self.whole_key,
        }


def split_by_time(train_until: dt.date, validate_until: dt.date | None = None) -> Split:
    """Rows before a time to train on, those after it to test with: as the model will be used.

    Args:
        train_until: the first day, or moment, that is not trained on; a day begins at midnight in UTC, and a moment
            without a zone is one of UTC.
        validate_until: the first one that a model is not chosen by; there are no such rows if not given.

    Raises:
        ContractError: the second is not after the first.

    >>> split_by_time(dt.date(2024, 3, 1), dt.date(2024, 4, 1)).words()
    'train before 2024-03-01, validate before 2024-04-01, test from then on'
    """
    if validate_until is not None and _microseconds(validate_until) <= _microseconds(train_until):
        raise ContractError(
            f"validate_until={validate_until} is not after train_until={train_until}.{at(caller())}"
        )
    return SplitByTime(train_until, validate_until)


def split_by_entity(
    train: float = 0.8, validate: float = 0.0, seed: int = 0, entities: Iterable[str] | None = None
) -> Split:
    """All rows of an entity in one part, so that a model is tested with entities that it has never seen.

    A row is placed by BLAKE2b over the entity's values, which is the same on every machine and in every version; an
    integer counts by its value, whatever its width. The shares are those of entities and are met on average.

    Args:
        train: the share to train on, 0 to 1.
        validate: the share to choose a model by, 0 to 1; the rest is to test it with.
        seed: another number is another choice.
        entities: the entity columns that are kept together; all of them if not given.

    Raises:
        ContractError: a share is none, or both are more than all rows.

    >>> from aligned_dagster.features.schema import Column
    >>> schema = Schema((Column("id", DataType("int64"), "entity"),))
    >>> parts = pl.DataFrame({"id": range(1_000)}).select(split_by_entity(0.7, 0.1).expression(schema))
    >>> parts.to_series().value_counts().sort("id")["count"].to_list()
    [187, 717, 96]
    """
    _check_shares(train, validate)
    if isinstance(entities, str):
        entities = [entities]
    return SplitByHash(train, validate, seed, None if entities is None else tuple(entities))


def split_at_random(train: float = 0.8, validate: float = 0.0, seed: int = 0) -> Split:
    """Rows at random, always in the same way for the same rows and seed.

    A row is placed by a hash of its entity and time, as `split_by_entity` does by the entity alone: it stays in its part
    when further rows come, and partitions can be made one by one. The shares are met on average.

    Args:
        train: the share to train on, 0 to 1.
        validate: the share to choose a model by, 0 to 1; the rest is to test it with.
        seed: another number is another choice.

    Raises:
        ContractError: a share is none, or both are more than all rows.
    """
    _check_shares(train, validate)
    return SplitByHash(train, validate, seed, whole_key=True)


def split_from_json(form: Mapping[str, Any]) -> Split:
    """Read what `Split.to_json` wrote.

    Raises:
        ContractError: there is no such split.

    >>> one = split_at_random(0.9, seed=7)
    >>> split_from_json(one.to_json()) == one
    True
    """
    if form.get("kind") == SplitByTime.kind:
        return SplitByTime(*(value_from_json(end) for end in form["until"]))
    if form.get("kind") == SplitByHash.kind:
        names = form["entities"]
        entities = None if names is None else tuple(names)
        return SplitByHash(form["train"], form["validate"], form["seed"], entities, form["whole_key"])
    raise ContractError(f"{form.get('kind')!r} is no split. Known: {SplitByTime.kind}, {SplitByHash.kind}.")


def _check_shares(train: float, validate: float) -> None:
    for name, share in (("train", train), ("validate", validate)):
        if not 0 <= share <= 1:
            raise ContractError(
                f"{name}={share} is no share of the rows; it lies between 0 and 1.{at(caller())}"
            )
    if round(train + validate, 12) > 1:
        raise ContractError(f"train={train} and validate={validate} are more than all rows.{at(caller())}")


def _microseconds(value: dt.date) -> int:
    """Since 1970, exact; a day is its midnight in UTC, a time without a zone one of UTC."""
    if not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    value = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return (value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def _text(name: str, dtype: DataType) -> pl.Expr:
    """A value as text that does not change with versions or widths, behind its length so that no two rows share one."""
    column = pl.col(name)
    if dtype.kind in {"timestamp", "date"}:
        column = moment(name, dtype.polars, zone="UTC", unit="us")
    elif dtype.kind in {"time", "duration"}:
        column = column.cast(pl.Int64)
    text = column.cast(pl.String)
    return pl.concat_str([text.str.len_chars(), pl.lit(":"), text]).fill_null("-")


def _part(seed: int, key: str, borders: list[int]) -> str:
    digest = hashlib.blake2b(f"{seed}|{key}".encode(), digest_size=8).digest()
    number = int.from_bytes(digest, "big")
    return PARTS[sum(number >= border for border in borders)]
