"""Contracts whose columns have names that engines would read as something else, or as one another."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from aligned_dagster import EventTimestamp, FeatureView, FileSource, Float, Int64, List, String, feature_view

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def hostile(directory: Path) -> FeatureView[Any]:
    """Names that no engine would take as they are, in joins and in a condition over groups."""
    stored = directory / "hostile.parquet"
    directory.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(
        {"a.b": [1, 2, 3, 4], "select": ["a", "a", "b", "b"], "left 0": [1.0, 9.0, 3.0, 5.0]}
    ).write_parquet(stored)
    source = FileSource.parquet_at(str(stored))
    fields = {"a.b": Int64().as_entity(), "select": String(), '$"': Int64().is_optional(), "left 0": Float()}
    made = feature_view(name="hostile", source=source)(type("Hostile", (), fields))
    above = made.filter(
        "above",
        lambda row: getattr(row, "left 0") > getattr(row, "left 0").aggregate().over(row.select).mean(),
    )
    again = made.with_entity_renaming({"a.b": "a`b"}, name="again")
    read = {"a.b": Int64().as_entity(), "select": String(), "left 0": Float(), "left 0_again": Float()}
    target = FileSource.parquet_at(str(directory / "out.parquet"))
    joined = above.join(again, left_on="a.b", right_on="a`b")
    return feature_view(name="joined", source=joined, materialized_source=target)(type("Joined", (), read))


def hostile_in_partitions(directory: Path) -> FeatureView[Any]:
    """Hostile keys of partitions, names of what engines have hidden or call their own variables, and texts with such names."""
    raw = directory / "raw"
    pieces = {
        "part.k": "x",
        "_metadata": ["a", "${HOME}"],
        "item": [1, 2],
        "it`ems": [[1, 3], [1, None]],
        "at.time": NOON,
    }
    for key, frame in {"x": pieces, "y=/": pieces | {"part.k": "y=/"}}.items():
        file = raw / f"part.k={quote(key, safe='')}" / "rows.parquet"
        file.parent.mkdir(parents=True)
        pl.DataFrame(frame).drop("part.k").write_parquet(file)

    fields: dict[str, Any] = {
        "part.k": String().as_entity(),
        "_metadata": String().as_entity(),
        "item": Int64(),
        "it`ems": List(Int64()),
        "at.time": EventTimestamp(),
    }
    fields["has.it"] = fields["it`ems"].contains(fields["item"])
    fields["is home"] = fields["_metadata"] == "${HOME}"
    name = "hostile_in_partitions"
    source, target = (
        FileSource.partitioned_parquet_at(str(directory / place), ["part.k"]) for place in ("raw", "out")
    )
    return feature_view(name=name, source=source, materialized_source=target)(type("Parted", (), fields))


def hostile_together(directory: Path) -> FeatureView[Any]:
    """Hostile names where rows are taken together."""
    fields: dict[str, Any] = {
        "_metadata": String().as_entity(),
        "at.time": EventTimestamp(),
        "item": Int64(),
    }
    fields["a.b"] = fields["item"].aggregate().over(days=1).sum()
    fields["from"] = fields["item"].aggregate().over(days=2).mean()
    fields['"'] = fields["a.b"] + fields["from"]
    return feature_view(
        name="hostile_together",
        source=replace(hostile_in_partitions(directory), materialized_source=None),
        materialized_source=FileSource.parquet_at(str(directory / "together.parquet")),
    )(type("Together", (), fields))


def twins(directory: Path, **options: Any) -> FeatureView[Any]:
    """Names that differ only in the case of their letters, stored, derived and joined."""
    stored = directory / "twins.parquet"
    directory.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(
        {"id": [1, 2, 3], "Id": [2, 3, 4], "é": ["a", "b", "c"], "É": ["x", "y", None]}
    ).write_parquet(stored)
    fields: dict[str, Any] = {
        "id": Int64().as_entity(),
        "Id": Int64().upper_bound(3, on_violation="quarantine"),
        "é": String(),
        "É": String().is_optional(),
    }
    fields["iD"] = fields["id"] * 10 + fields["Id"]
    options.setdefault("materialized_source", FileSource.parquet_at(str(directory / "out.parquet")))
    source = FileSource.parquet_at(str(stored))
    return feature_view(name="twins", source=source, **options)(type("Twins", (), fields))


def joined_twins(directory: Path) -> FeatureView[Any]:
    left = twins(directory, materialized_source=None)
    right = left.with_entity_renaming({"id": "Ié"}, name="right")
    fields = {
        "id": Int64().as_entity(),
        "Id": Int64(),
        "É_right": String().is_optional(),
        "iD_right": Int64().is_optional(),
    }
    return feature_view(
        name="joined_twins",
        source=left.join(right, left_on="Id", right_on="Ié", how="left"),
        materialized_source=FileSource.partitioned_parquet_at(str(directory / "joined"), ["Id"]),
    )(type("JoinedTwins", (), fields))
