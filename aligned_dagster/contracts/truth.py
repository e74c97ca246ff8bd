"""What a model is to learn: where the truth of a fact is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from aligned_dagster.contracts.retrieval import Wanted, with_features
from aligned_dagster.request.point_in_time import point_in_time_join

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

TruthOf = Literal["row", "time", "entity"]
"""A column of the fact itself, of the row of its entity at exactly its time, or of the latest row of its entity."""


@dataclass(frozen=True)
class Truth:
    """What a model is to predict, and where it stands.

    Args:
        name: the column of the training set.
        column: where it stands: a column of the facts, or of the view.
        of: which row it is taken from.
        view: the view, where the target was named by one.
        entities: entity of the view to column of the facts.
    """

    name: str
    column: str
    of: TruthOf
    view: FeatureView[Any] | None = None
    entities: Mapping[str, str] | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns of the facts that it is found by, or that it is."""
        return (self.column,) if self.of == "row" else tuple((self.entities or {}).values())

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """What is asked of its view; nothing where the facts have it."""
        if self.of == "row" or self.view is None:
            return ()
        return (Wanted(self.view, {self.name: self.column}, self.entities or {}),)

    def beside(self, facts: pl.LazyFrame, time: str | None) -> pl.LazyFrame:
        """The facts, in their order, with the target; null where nothing is known.

        When a row was created does not matter: what is to be predicted comes to be known after the fact.

        Args:
            facts: rows with the columns of the entities, or with the target itself.
            time: their column with the time.
        """
        if self.of == "row":
            return facts.with_columns(pl.col(self.column).alias(self.name))
        assert self.view is not None
        assert self.entities is not None
        if self.of == "entity":
            return with_features(facts, self.wanted, None)
        schema = self.view.schema
        assert schema.event_timestamp is not None
        created = [schema.created_timestamp] if schema.created_timestamp else []
        columns = dict.fromkeys([*schema.key, *created, self.column])
        known = self.view.read(columns=columns)
        if created:  # of rows that share a time the last one is taken
            known = known.sort(created, nulls_last=False, maintain_order=True)
        return point_in_time_join(
            facts,
            known.with_columns(pl.col(self.column).alias(self.name)),
            entities={column: entity for entity, column in self.entities.items()},
            event_timestamp=schema.event_timestamp,
            created_timestamp=None,
            fact_timestamp=time,
            columns=[self.name],
            max_age=timedelta(0),
            zone=self.view.time_zone,
        )
