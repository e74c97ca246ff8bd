"""A lazy frame as a source: what a view reads when another view, a job or a test stands in for its source."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import field_serializer

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import conform
from aligned_dagster.sources.source import DataSource, Fingerprint


class FrameSource(DataSource):
    """A lazy frame.

    Args:
        frame: the rows; nothing is computed before they are collected.
        name: what errors call it.
    """

    type: Literal["frame"] = "frame"
    frame: pl.LazyFrame
    name: str = "a lazy frame"

    @staticmethod
    def of(frame: pl.LazyFrame | pl.DataFrame, name: str = "a lazy frame") -> FrameSource:
        """A source of these rows."""
        return FrameSource(frame=frame.lazy(), name=name)

    @field_serializer("frame")
    def _refuse(self, frame: pl.LazyFrame) -> str:
        raise UnsupportedError(
            "A lazy frame has no JSON form. Use InMemorySource for values, or a file, in contracts that are saved."
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameSource) and self.frame is other.frame and self.name == other.name

    __hash__ = DataSource.__hash__

    @property
    def uri(self) -> str:
        """The name."""
        return self.name

    @property
    def kind(self) -> str:
        """frame."""
        return "frame"

    def all_data(self, request: RetrievalRequest, limit: int | None = None) -> pl.LazyFrame:
        """See `DataSource.all_data`."""
        rows = self.frame if limit is None else self.frame.head(limit)
        return conform(rows, request, source_label=self.name)

    def fingerprint(self) -> Fingerprint:
        """See `DataSource.fingerprint`. The plan is what can be known of a frame without collecting it."""
        import hashlib

        return Fingerprint(hashlib.sha256(self.frame.explain(optimized=False).encode()).hexdigest()[:32])
