"""A contract as a pandera schema, with the verdict of the audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.quality.probes import Probe, plan

if TYPE_CHECKING:
    from pandera.polars import Check, DataFrameSchema


def pandera_schema(
    schema: Schema, name: str, *, references: Mapping[str, pl.LazyFrame] | None = None
) -> DataFrameSchema:
    """The pandera schema that accepts exactly the frames that pass the audit.

    Validate collected frames with it, `validate(frame, lazy=True)`: of a `LazyFrame` pandera does not check
    the data. References to other views are checked where their frames are given.

    Args:
        schema: the contract's columns and rules.
        name: the contract.
        references: view name to a frame with the referenced column.

    >>> from aligned_dagster.features.dtypes import DataType
    >>> age = Column("age", DataType("int64"))
    >>> pandera_schema(Schema((age,)), "person").validate(pl.DataFrame({"age": [1]})).shape
    (1, 1)
    """
    import pandera.polars as pa

    known = dict(references or {})
    checked = schema if references is not None else _without_references(schema)
    probes, _ = plan(schema.polars, checked, contract=name, on_violation="block", references=known)
    wide = [probe for probe in probes if not _row_local(probe)]
    return pa.DataFrameSchema(
        columns={column.name: _column(column, schema) for column in schema.columns},
        checks=[_frame_check(probe, schema) for probe in wide],
        name=name,
        strict=True,
    )


def _row_local(probe: Probe) -> bool:
    constraint = probe.check.constraint
    return constraint is not None and constraint.row_local


def _without_references(schema: Schema) -> Schema:
    from dataclasses import replace

    from aligned_dagster.features.constraints import Reference

    return Schema(
        tuple(
            replace(c, constraints=tuple(item for item in c.constraints if not isinstance(item, Reference)))
            for c in schema.columns
        ),
        schema.rules,
    )


def _column(column: Column, schema: Schema) -> Any:
    import pandera.polars as pa

    found = (constraint.pandera_check() for constraint in column.constraints)
    checks = [check for check in found if check is not None]
    nullable = column.nullable and not (schema.entities and column.name in schema.key)
    if column.dtype.is_float and not nullable:
        # pandera takes NaN for a null, and polars does not.
        checks.append(pa.Check(_is_there, name="not_null", error="value must not be null", ignore_na=False))
        nullable = True
    return pa.Column(
        column.dtype.polars,
        checks=checks,
        nullable=nullable,
        description=column.description or None,
    )


def _is_there(data: Any) -> pl.LazyFrame:
    frame: pl.LazyFrame = data.lazyframe
    return frame.select(pl.col(data.key).is_not_null())


def _frame_check(probe: Probe, schema: Schema) -> Check:
    """The key, uniqueness, references and rules, as checks of the whole frame."""
    import pandera.polars as pa

    def keeps(data: Any) -> pl.LazyFrame:
        frame: pl.LazyFrame = data.lazyframe
        return probe.flag(frame, "__broken").select(~pl.col("__broken"))

    return pa.Check(keeps, name=probe.check.name, error=probe.check.words, ignore_na=False)
