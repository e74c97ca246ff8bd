"""Rows to train a model on, beside those to choose and to test it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aligned_dagster.request.job import RetrievalJob


@dataclass(frozen=True)
class TrainTest:
    """Rows to train on and rows to test with.

    Args:
        train: the rows to train on.
        test: the others.
        target: the column to be predicted, if it was named.
        features: the columns to learn from; all but keys and the target if not given.
    """

    train: RetrievalJob
    test: RetrievalJob
    target: str | None = None
    features: tuple[str, ...] | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns to learn from: neither the target, nor an entity, nor a timestamp of the contract."""
        if self.features is not None:
            return self.features
        return tuple(
            c.name for c in self.train.schema.columns if c.role == "feature" and c.name != self.target
        )


@dataclass(frozen=True)
class TrainTestValidate(TrainTest):
    """Rows to train on, rows to choose a model by, and rows to test it with.

    Args:
        validate: the rows to choose a model by.
    """

    validate: RetrievalJob = field(kw_only=True)
