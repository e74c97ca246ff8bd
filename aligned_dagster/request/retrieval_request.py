"""Which columns of which contract a source is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import polars as pl

from aligned_dagster.errors import UnknownFeatureError, did_you_mean
from aligned_dagster.features.expression import Expression
from aligned_dagster.features.schema import Column, Schema


@dataclass(frozen=True)
class RetrievalRequest:
    """What a source must deliver: a frame of exactly these columns, in this order, with these dtypes.

    Args:
        name: the contract that asks.
        schema: the columns that the source holds for it; none of them is derived.
        columns: the names that are wanted, in order; empty for all columns of the schema.
        zone: the time zone in which naive timestamps of the contract are read.
        version: the schema version of the contract, which schema-versioned sources store by; that of the schema
            if not given.
        derivations: columns of the schema that are computed from others of it where they are not stored.
        promise: all columns of the contract before any grouping, the derived ones and the rules included, for a source
            that makes rows up; None where nobody asks for a contract.
        referenced: name to view of what its references point to, likewise.

    Raises:
        UnknownFeatureError: a wanted name is not in the schema.

    >>> from aligned_dagster.features.dtypes import DataType
    >>> schema = Schema((Column("id", DataType("int32"), "entity"), Column("age", DataType("float64"))))
    >>> request = RetrievalRequest("person", schema)
    >>> request.columns, request.entities, request.features
    (('id', 'age'), ('id',), ('age',))
    >>> request.project(["age"]).polars
    {'age': Float64}
    """

    name: str
    schema: Schema
    columns: tuple[str, ...] = ()
    zone: str = "UTC"
    version: str = ""
    derivations: tuple[tuple[str, Expression], ...] = ()
    promise: Schema | None = field(default=None, compare=False, repr=False)
    referenced: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.columns:
            object.__setattr__(self, "columns", self.schema.names)
        if not self.version:
            object.__setattr__(self, "version", self.schema.version)
        for name in self.columns:
            if name not in self.schema:
                raise UnknownFeatureError(
                    f"{self.name!r} has no column {name!r}.{did_you_mean(name, self.schema.names)} "
                    f"Columns: {', '.join(self.schema.names)}."
                )

    @property
    def entities(self) -> tuple[str, ...]:
        """Names of the entity columns of the schema, wanted or not."""
        return self.schema.entities

    @property
    def event_timestamp(self) -> str | None:
        """Name of the column that says when a row became true, wanted or not."""
        return self.schema.event_timestamp

    @property
    def created_timestamp(self) -> str | None:
        """Name of the column that says when a row was written, wanted or not."""
        return self.schema.created_timestamp

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The wanted names that are neither an entity nor the event timestamp, in order."""
        keys = {*self.entities, self.event_timestamp}
        return tuple(name for name in self.columns if name not in keys)

    @cached_property
    def wanted(self) -> tuple[Column, ...]:
        """The wanted columns, in order."""
        return tuple(self.schema.column(name) for name in self.columns)

    @cached_property
    def polars(self) -> dict[str, pl.DataType]:
        """Name to polars dtype of the wanted columns, in order."""
        return {column.name: column.dtype.polars for column in self.wanted}

    def project(self, names: Iterable[str]) -> RetrievalRequest:
        """The same request for the named columns only.

        Args:
            names: columns of the schema in the order in which they are wanted; at least one.

        Raises:
            UnknownFeatureError: a name is not in the schema.
        """
        return replace(self, columns=tuple(names))
