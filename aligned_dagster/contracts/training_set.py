"""A training set: a contract on rows to learn from, which never change once they are published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from aligned_dagster.contracts.facts import Facts, facts_frame
from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.contracts.partitioning import scheme_of
from aligned_dagster.contracts.splits import PARTS, SPLIT, Split
from aligned_dagster.errors import RequestError, did_you_mean
from aligned_dagster.features.location import at
from aligned_dagster.request.features_report import FeaturesReport, Provenance, features_report
from aligned_dagster.request.job import RetrievalJob
from aligned_dagster.request.partition import PartitionSlice
from aligned_dagster.request.schemas import of_some_rows
from aligned_dagster.request.train_test import TrainTestValidate

T = TypeVar("T")

Part = PartitionSlice | str | Mapping[str, str]
"""Partitions of a training set: a slice, the key of its only dimension, or the key of every dimension by its name."""


@dataclass(frozen=True, eq=False)
class TrainingSet(FeatureView[T]):
    """Facts with features as they were known at the time, the target and the split. Made by `training_set`.

    It is a feature view in all else: an asset with checks and partitions, and a source for other contracts.

    Args:
        target: the column that is to be predicted; None where none was named.
        splits: how rows to train on are told from rows to test with; None where they are not.
        provenance: of each view the columns that say which row a fact got.
    """

    target: str | None = None
    splits: Split | None = None
    provenance: tuple[Provenance, ...] = ()

    def __repr__(self) -> str:
        return f"<training set {self.name}: {len(self.features)} features from {self.source.label}>"

    @property
    def is_immutable(self) -> bool:
        """Whether rows that are stored never change: those of every set that is stored at all."""
        return not self.is_virtual

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns to learn from: neither key, nor target, nor split, nor said of the set itself."""
        told = {column for one in self.provenance for column in one.columns}
        others = {self.target, SPLIT if self.splits is not None else None, *told}
        return tuple(
            c.name
            for c in self.schema.columns
            if c.role == "feature" and c.name not in others and c.derivation is None
        )

    def built_from(self) -> dict[str, str]:
        """Name of every view that its rows are made of to the schema version that the view has now."""
        return {name: view.version for name, view in self.upstream_views.items() if name in self.depends_on()}

    # --- rows -----------------------------------------------------------------------------------------

    def read(
        self,
        frames: Mapping[str, pl.LazyFrame] | None = None,
        columns: Iterable[str] | None = None,
        *,
        part: Part | None = None,
    ) -> pl.LazyFrame:
        """The rows, from the store where they are kept, or computed.

        Args:
            frames: rows of views that are at hand, by name.
            columns: the wanted columns in order; all of them if not given.
            part: the partitions whose rows are wanted; all rows if not given.

        Raises:
            UnknownFeatureError: a column is not in the contract.
            RequestError: there is no such partition.
        """
        if part is None:
            return super().read(frames, columns)
        wanted = self.read_columns(columns)
        within = self.part(part)
        needed = tuple(dict.fromkeys([*wanted, *within.columns(self.schema)]))
        return super().read(frames, needed).filter(within.predicate(self.schema)).select(wanted)

    def part(self, part: Part) -> PartitionSlice:
        """The partitions of that name, for `publish(set, part=...)` and `set.read(part=...)`.

        Args:
            part: a slice, the key of the only dimension, or the key of every dimension by its name.

        Raises:
            RequestError: the set has no partitions, or not such ones.
        """
        if isinstance(part, PartitionSlice):
            return part
        scheme = scheme_of(self)
        if scheme is None:
            raise RequestError(
                f"{self.name} has no partitions. Give it some by materialize_from=... and every=...{at(self.location)}"
            )
        names = [dimension.name for dimension in scheme.dimensions]
        keys = {names[0]: part} if isinstance(part, str) and len(names) == 1 else part
        if isinstance(keys, str) or set(keys) != set(names):
            raise RequestError(
                f"A partition of {self.name} is told by {', '.join(names)}: part={{{names[0]!r}: '...'}}; got {part!r}."
            )
        return scheme.part(keys)

    def report(self, rows: Facts | None = None, *, part: Part | None = None) -> FeaturesReport:
        """How well features were found, computed from the times that the rows hold of themselves.

        Args:
            rows: rows of the set; those that are stored, or computed, if not given.
            part: the partitions whose rows are wanted; all rows if not given.

        Raises:
            SourceError: the rows cannot be read.
        """
        frame = self.read(part=part) if rows is None else facts_frame(rows)
        if rows is not None and part is not None:
            frame = frame.filter(self.part(part).predicate(self.schema))
        found = [
            pl.col(one.event).is_not_null().alias(one.found)
            for one in self.provenance
            if one.event is not None and one.found not in self.schema
        ]
        told = frame.with_columns(found)
        return features_report(frame, told, self.provenance, self.schema.event_timestamp, self.name)

    # --- parts to train on and to test with ---------------------------------------------------------------

    def split(self, name: str, *, part: Part | None = None) -> RetrievalJob:
        """The rows to train on, to choose a model by, or to test it with.

        Args:
            name: "train", "validate" or "test".
            part: the partitions whose rows are wanted; all rows if not given.

        Raises:
            RequestError: the set has no split, or there is no such part of one.
        """
        if self.splits is None:
            raise RequestError(
                f"{self.name} has no split. Give it one, as in training_set(split=split_by_time(...)), or share its rows "
                f"by query().all().train_test(0.8).{at(self.location)}"
            )
        if name not in PARTS:
            raise RequestError(
                f"{name!r} is no part of a split.{did_you_mean(name, PARTS)} Parts: {', '.join(PARTS)}."
            )
        within = None if part is None else self.part(part)
        return RetrievalJob(
            self.name,
            of_some_rows(self.schema),
            lambda: self.read(part=within).filter(pl.col(SPLIT) == name),
            on_violation=self.on_violation,
        )

    def train_test_validate(self, *, part: Part | None = None) -> TrainTestValidate:
        """The rows of the split, with the target's name and the features as `inputs`.

        Args:
            part: the partitions whose rows are wanted; all rows if not given.

        Raises:
            RequestError: the set has no split.
        """
        train, validate, test = (self.split(name, part=part) for name in PARTS)
        return TrainTestValidate(train, test, self.target, self.features, validate=validate)
