"""The types of Spark for those of a contract, and rows of polars as the Arrow that Spark takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.carried import carried_type
from aligned_dagster.sources.engines.session import Types

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import types as T  # noqa: N812  # as everybody calls it

_SIMPLE = {
    "bool": "BooleanType",
    "int8": "ByteType",
    "int16": "ShortType",
    "int32": "IntegerType",
    "int64": "LongType",
    "float32": "FloatType",
    "float64": "DoubleType",
    "string": "StringType",
    "uuid": "StringType",
    "json": "StringType",
    "date": "DateType",
    "binary": "BinaryType",
}


def struct_of(schema: Types) -> T.StructType:
    """The schema of a frame of Spark that holds columns of a contract.

    Raises:
        UnsupportedError: Spark has no type for one of them.
    """
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(name, type_of(dtype)) for name, dtype in schema.items()])


def type_of(dtype: DataType) -> T.DataType:
    """The type of Spark in which a contract's type travels."""
    from pyspark.sql import types

    held = carried_type(dtype, "spark")
    if held.kind == "decimal":
        return types.DecimalType(held.precision, held.scale)
    if held.kind == "timestamp":
        return types.TimestampNTZType() if held.time_zone is None else types.TimestampType()
    if held.kind == "list" and held.inner is not None:
        return types.ArrayType(type_of(held.inner))
    if held.kind == "struct":
        return types.StructType([types.StructField(name, type_of(inner)) for name, inner in held.fields])
    found: T.DataType = getattr(types, _SIMPLE[held.kind])()
    return found


def arrow_of(frame: pl.DataFrame, struct: T.StructType) -> pa.Table:
    """Rows in carried dtypes as the Arrow that Spark reads.

    Args:
        frame: with the columns of the struct.
        struct: the schema of Spark.
    """
    from pyspark.sql.pandas.types import to_arrow_schema

    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(to_arrow_schema(struct, timezone="UTC"))
