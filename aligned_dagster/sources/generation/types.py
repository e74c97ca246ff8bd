"""Values of a type, without regard to any rule but bounds and lengths."""

from __future__ import annotations

import math
from dataclasses import replace

import polars as pl

from aligned_dagster.features.constraints import Constraint, LowerBound, UpperBound
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.generation.bits import Draw, mixed, numbered, salt
from aligned_dagster.sources.generation.numbers import range_of, whole_values
from aligned_dagster.sources.generation.text import TextRules, documents, uuids, words


def of_type(draw: Draw, dtype: DataType) -> pl.Series:
    """A value of a type a row, without any rule."""
    if dtype.is_integer or dtype.is_temporal or dtype.kind == "decimal":
        return whole_values(draw, dtype, range_of(dtype, ()))
    if dtype.is_float:
        return floats(draw, dtype, ())
    if dtype.kind == "bool":
        return (draw.bits("truth") % 2).cast(pl.Boolean)
    if dtype.kind == "uuid":
        return uuids(draw)
    if dtype.kind == "json":
        return documents(draw)
    if dtype.kind == "string":
        return words(draw, TextRules())
    if dtype.kind == "binary":
        return words(draw, TextRules()).cast(pl.Binary)
    if dtype.kind == "struct":
        fields = [of_type(draw.called(name), inner).rename(name) for name, inner in dtype.fields]
        return pl.DataFrame(fields).to_struct("") if fields else pl.Series([{}] * draw.rows)
    assert dtype.inner is not None
    if dtype.kind == "list":
        return lists(draw, dtype.inner, TextRules())
    return _arrays(draw, dtype.inner, dtype.size)


def floats(draw: Draw, dtype: DataType, constraints: tuple[Constraint, ...]) -> pl.Series:
    """Numbers between the bounds, of three digits after the point where the range is wide."""
    lows = [float(rule.value) for rule in constraints if isinstance(rule, LowerBound)]
    highs = [float(rule.value) for rule in constraints if isinstance(rule, UpperBound)]
    most = 3.4e38 if dtype.kind == "float32" else 1.7e308
    low, high = max(lows, default=None), min(highs, default=None)
    wide = float(draw.window) * max(1.0, abs(low or 0.0) / 1_000, abs(high or 0.0) / 1_000)
    if low is None:
        low = 0.0 if high is None else high - wide
    if high is None:
        high = low + wide
    low, high = max(low, -most), min(high, most)
    share = draw.share("share")
    made = share * high + (1.0 - share) * low
    if high - low > 10 and draw.level == 0 and max(abs(low), abs(high)) < 1e9:
        made = made.round(3)
    if math.isfinite(low) and math.isfinite(high):
        made = made.clip(low, high)
    return made.cast(dtype.polars)


def _arrays(draw: Draw, inner: DataType, size: int) -> pl.Series:
    """A fixed number of values a row; floating point ones lie between -1 and 1, as those of embeddings do."""
    keys = (draw.keys * size).new_from_index(0, 0) if not draw.rows else _repeated(draw.keys, size)
    items = replace(draw, keys=keys).called("items")
    flat = (items.share("share") * 2.0 - 1.0).cast(inner.polars) if inner.is_float else of_type(items, inner)
    return flat.reshape((draw.rows, size)).cast(pl.Array(inner.polars, size))


def lists(draw: Draw, inner: DataType, rules: TextRules) -> pl.Series:
    """A list of as many values a row as the rules on its length allow, of up to 3 where they say nothing."""
    most = rules.longest if rules.longest is not None else rules.shortest + 3
    if most == 0 or not draw.rows:
        return pl.Series([[]], dtype=pl.List(inner.polars)).new_from_index(0, draw.rows)
    items = replace(draw, keys=_repeated(draw.keys, most)).called("items")
    full = of_type(items, inner).reshape((draw.rows, most)).cast(pl.List(inner.polars))
    lengths = draw.whole("length", min(rules.shortest, most), most)
    frame = pl.DataFrame({"full": full, "length": lengths})
    return frame.select(pl.col("full").list.head(pl.col("length"))).to_series()


def _repeated(keys: pl.Series, times: int) -> pl.Series:
    """Each key so many times in a row, and different each time."""
    rows = pl.int_range(len(keys), dtype=pl.UInt32, eager=True)
    places = pl.DataFrame({"row": rows}).select(pl.col("row").repeat_by(times).explode()).to_series()
    return mixed(keys.gather(places) + numbered(len(places)) % times * 0x9E3779B97F4A7C15, salt("item"))
