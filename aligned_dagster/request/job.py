"""What can be made of the rows of a contract before anybody reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import polars as pl

from aligned_dagster.errors import AuditError, RequestError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.quality.audit import Split, broken_rules_column, split
from aligned_dagster.quality.report import AuditReport
from aligned_dagster.request.conditions import Named, Recorded, check_known, column_names, expression_of
from aligned_dagster.request.explain import explained
from aligned_dagster.request.rows import Rows
from aligned_dagster.request.schemas import (
    extended,
    grouped,
    joined,
    of_some_rows,
    projected,
    renamed,
    without_promises,
)
from aligned_dagster.request.train_test import TrainTest, TrainTestValidate

Columns = str | Named | Iterable[str | Named]
Condition = pl.Expr | Recorded | str


@dataclass(frozen=True, repr=False)
class RetrievalJob(Rows):
    """Rows of a contract, and what can be made of them.

    Every method that changes the rows returns a new job; nothing is read before a job is collected.

    Args:
        name: the contract, for messages.
        schema: the columns that `load` delivers, and what they promise.
        load: makes the lazy frame.
        references: makes the frames of the views that the schema's references name, for audits.
        on_violation: what a broken rule does that says nothing itself.

    >>> schema = Schema((Column("id", DataType("int64"), "entity"), Column("age", DataType("int64"))))
    >>> job = RetrievalJob("person", schema, lambda: pl.LazyFrame({"id": [1, 2], "age": [5, 50]}))
    >>> job.filter("age > 10").select("age").collect().rows()
    [(50,)]
    """

    # --- other rows and columns -----------------------------------------------------------------------

    def filter(self, condition: Condition) -> RetrievalJob:
        """The rows for which a condition is true.

        Args:
            condition: a boolean feature (`View().age > 18`), a polars expression, or SQL text ("age > 18").

        Raises:
            UnknownFeatureError: it reads a column that the job has not.
        """
        kept = expression_of(condition, self.schema, self.name)
        return self._then(lambda frame: frame.filter(kept), of_some_rows(self.schema))

    def select(self, *columns: Columns) -> RetrievalJob:
        """Some columns, in the order given.

        Raises:
            UnknownFeatureError: the job has no such column.
        """
        names = column_names(columns, self.schema, self.name)
        return self._then(lambda frame: frame.select(names), projected(self.schema, names))

    def limit(self, rows: int) -> RetrievalJob:
        """The first rows.

        Args:
            rows: how many at most.
        """
        return self._then(lambda frame: frame.head(rows), of_some_rows(self.schema))

    def rename(self, names: Mapping[str, str]) -> RetrievalJob:
        """Other names for columns.

        Args:
            names: old name to new name.

        Raises:
            UnknownFeatureError: the job has no such column.
            RequestError: two columns would have one name.
        """
        check_known(names, self.schema, self.name)
        schema = renamed(self.schema, names)
        twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
        if twice:
            raise RequestError(
                f"{self.name!r} would have two columns of the name {', '.join(map(repr, twice))}."
            )
        return self._then(lambda frame: frame.rename(names), schema)

    def with_columns(self, **columns: Condition) -> RetrievalJob:
        """More columns, or others in the place of columns.

        Args:
            columns: name to feature, polars expression or SQL text.

        Raises:
            UnknownFeatureError: an expression reads a column that the job has not.
        """
        made = {n: expression_of(value, self.schema, self.name) for n, value in columns.items()}

        def change(frame: pl.LazyFrame) -> pl.LazyFrame:
            return frame.with_columns(**made)

        with explained(self.name):
            schema = extended(self.schema, change, made)
        return self._then(change, schema)

    def unique_on(
        self, columns: Columns, keep: Literal["first", "last", "any", "none"] = "first"
    ) -> RetrievalJob:
        """One row for each combination of values, in order.

        Args:
            columns: the columns that are compared.
            keep: which of equal rows stays; "none" drops all of them.

        Raises:
            UnknownFeatureError: the job has no such column.
        """
        names = column_names([columns], self.schema, self.name)
        return self._then(
            lambda frame: frame.unique(subset=names, keep=keep, maintain_order=True),
            of_some_rows(self.schema),
        )

    def drop_duplicate_entities(self) -> RetrievalJob:
        """One row an entity, in order: the one with the latest event timestamp, then creation; else the last.

        Raises:
            RequestError: the job has no entity columns.
        """
        entities = self.schema.entities
        if not entities:
            raise RequestError(f"{self.name!r} has no entity columns, so that no two rows are of one entity.")
        times = [name for name in (self.schema.event_timestamp, self.schema.created_timestamp) if name]

        def latest(frame: pl.LazyFrame) -> pl.LazyFrame:
            rows = frame.with_row_index("__order")
            rows = rows.sort([*times, "__order"], nulls_last=False) if times else rows
            rows = rows.unique(subset=entities, keep="last", maintain_order=True)
            return rows.sort("__order").drop("__order")

        return self._then(latest, of_some_rows(self.schema))

    def join(
        self, other: RetrievalJob, on: Columns, how: Literal["inner", "left", "semi", "anti"] = "inner"
    ) -> RetrievalJob:
        """The rows together with those of another job that have the same values in some columns.

        Args:
            other: the other job.
            on: columns that both have.
            how: "left" keeps rows that match nothing, "semi" and "anti" only ask whether there is a match.

        Raises:
            UnknownFeatureError: one of the jobs has no such column.
            RequestError: both have further columns of one name.
        """
        names = column_names([on], self.schema, self.name)
        check_known(names, other.schema, other.name)

        def change(frame: pl.LazyFrame) -> pl.LazyFrame:
            return frame.join(other.lazy(), on=names, how=how, maintain_order="left")

        if how in ("semi", "anti"):
            return self._then(change, of_some_rows(self.schema))
        both = [n for n in other.schema.names if n in self.schema and n not in names]
        if both:
            raise RequestError(
                f"{self.name!r} and {other.name!r} both have {', '.join(map(repr, both))}; "
                "rename or leave out these columns in one of them before the join."
            )
        schema = of_some_rows(joined(self.schema, other.schema, names, outer=how == "left"))

        def references() -> Mapping[str, pl.LazyFrame]:
            return {**other._known(), **self._known()}

        job = self._then(lambda frame: change(frame).select(schema.names), schema)
        return replace(job, references=references)

    def aggregate(self, aggregations: Mapping[str, Condition], by: Columns) -> RetrievalJob:
        """One row for each group, groups in the order of their first rows.

        Args:
            aggregations: name to polars expression, SQL text or feature that aggregates.
            by: the columns that make a group; in the result they are the entity.

        Raises:
            UnknownFeatureError: the job has no such column.
        """
        names = column_names([by], self.schema, self.name)
        made = {n: expression_of(value, self.schema, self.name) for n, value in aggregations.items()}

        def change(frame: pl.LazyFrame) -> pl.LazyFrame:
            return frame.group_by(names, maintain_order=True).agg(**made)

        with explained(self.name):
            schema = grouped(self.schema, change, names)
        return self._then(change, schema)

    def train_test(self, train_size: float, target: str | Named | None = None, seed: int = 0) -> TrainTest:
        """Two jobs that share the rows at random, always in the same way for the same rows and seed.

        Args:
            train_size: the share of the rows to train on, between 0 and 1.
            target: the column to be predicted, if it is to be told from the others.
            seed: another number is another choice.

        Raises:
            RequestError: the share is not between 0 and 1.
            UnknownFeatureError: the job has no such target.
        """
        if not 0 < train_size < 1:
            raise RequestError(f"train_size is {train_size}; it must lie between 0 and 1.")
        train, test = self._shared((0.0, train_size, 1.0), seed)
        return TrainTest(train, test, self._target(target))

    def train_test_validate(
        self, train_size: float, validate_size: float, target: str | Named | None = None, seed: int = 0
    ) -> TrainTestValidate:
        """Three jobs that share the rows at random, always in the same way for the same rows and seed.

        With the seed and train_size of a `train_test`, the rows to train on are the same.

        Args:
            train_size: the share of the rows to train on, between 0 and 1.
            validate_size: the share to choose a model by, between 0 and 1; the rest is to test it with.
            target: the column to be predicted, if it is to be told from the others.
            seed: another number is another choice.

        Raises:
            RequestError: a share is not between 0 and 1, or the two leave nothing to test with.
            UnknownFeatureError: the job has no such target.

        >>> schema = Schema((Column("id", DataType("int64"), "entity"),))
        >>> job = RetrievalJob("person", schema, lambda: pl.LazyFrame({"id": range(10)}))
        >>> parts = job.train_test_validate(0.6, 0.2)
        >>> parts.train.collect().height, parts.validate.collect().height, parts.test.collect().height
        (6, 2, 2)
        """
        for name, share in (("train_size", train_size), ("validate_size", validate_size)):
            if not 0 < share < 1:
                raise RequestError(f"{name} is {share}; it must lie between 0 and 1.")
        border = round(train_size + validate_size, 12)
        if border >= 1:
            raise RequestError(
                f"train_size={train_size} and validate_size={validate_size} leave no rows to test with."
            )
        train, validate, test = self._shared((0.0, train_size, border, 1.0), seed)
        return TrainTestValidate(train, test, self._target(target), validate=validate)

    # --- quality --------------------------------------------------------------------------------------

    def validate(self) -> RetrievalJob:
        """The same rows, audited each time they are loaded.

        Collecting the job, or taking its lazy frame, raises `AuditError` if a row breaks a rule whose effect
        is not merely "warn".
        """

        def checked(frame: pl.LazyFrame) -> pl.LazyFrame:
            report = self._audit(frame)
            if report.blocking or report.quarantined:
                raise AuditError(report.explain(), report)
            return frame

        return self._then(checked)

    def drop_invalid(self) -> ValidRows:
        """The rows that break no rule, rules that only warn aside.

        Of the job that comes back, `invalid()` has the other rows and `report()` says why.
        """
        return ValidRows(
            self.name,
            self.schema,
            lambda: self._parts().good,
            self.references,
            self.on_violation,
            origin=self,
        )

    def return_invalid(self) -> RetrievalJob:
        """The rows that break a rule, with the names of its checks in the column `broken_rules`."""
        return self.drop_invalid().invalid()

    # --- inside ---------------------------------------------------------------------------------------

    def _then(
        self, change: Callable[[pl.LazyFrame], pl.LazyFrame], schema: Schema | None = None
    ) -> RetrievalJob:
        return RetrievalJob(
            self.name, schema or self.schema, lambda: change(self.load()), self.references, self.on_violation
        )

    def _shared(self, borders: tuple[float, ...], seed: int) -> list[RetrievalJob]:
        """Jobs with the rows between the borders, shares of all rows in an order drawn at random."""
        place = pl.int_range(pl.len()).shuffle(seed=seed)
        ends = [(pl.len() * border).round().cast(pl.Int64) for border in borders]
        return [self._placed(place, low, high) for low, high in pairwise(ends)]

    def _placed(self, place: pl.Expr, low: pl.Expr, high: pl.Expr) -> RetrievalJob:
        return self._then(lambda frame: frame.filter(place >= low, place < high), of_some_rows(self.schema))

    def _target(self, target: str | Named | None) -> str | None:
        return None if target is None else column_names([target], self.schema, self.name)[0]

    def _parts(self) -> Split:
        return split(
            self.load(),
            self.schema,
            contract=self.name,
            on_violation=self.on_violation,
            references=self._known(),
            include_blocking=True,
        )


@dataclass(frozen=True, repr=False, kw_only=True)
class ValidRows(RetrievalJob):
    """The rows of a job that break no rule.

    Args:
        origin: the job with all rows.
    """

    origin: RetrievalJob

    def report(self) -> AuditReport:
        """The audit of all rows, the dropped ones included."""
        return self.origin.audit()

    def invalid(self) -> RetrievalJob:
        """The dropped rows, with the names of the checks that each breaks in the column `broken_rules`."""
        origin = self.origin
        rules = broken_rules_column(origin.schema.names)
        names = Column(rules, DataType("list", inner=DataType("string")), optional=True)
        schema = without_promises(origin.schema)
        return RetrievalJob(
            self.name, Schema((*schema.columns, names)), lambda: origin._parts().bad, None, self.on_violation
        )
