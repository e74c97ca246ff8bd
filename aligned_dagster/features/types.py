"""Every type of a column."""

from __future__ import annotations

from aligned_dagster.features.nested import Embedding, List, Struct
from aligned_dagster.features.numeric import (
    Decimal,
    Float,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)
from aligned_dagster.features.temporal import (
    CreatedTimestamp,
    Date,
    Duration,
    EventTimestamp,
    Time,
    Timestamp,
    ValidFrom,
)
from aligned_dagster.features.text import UUID, Json, String
from aligned_dagster.features.truth import Bool

__all__ = [
    "UUID", "Bool", "CreatedTimestamp", "Date", "Decimal", "Duration", "Embedding", "EventTimestamp", "Float",
    "Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "Json", "List", "String", "Struct", "Time",
    "Timestamp", "UInt8", "UInt16", "UInt32", "UInt64", "ValidFrom",
]  # fmt: skip
