from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligned_dagster import (
    EventTimestamp,
    FeatureView,
    FileSource,
    Float,
    InMemorySource,
    Int32,
    Int64,
    String,
    Timestamp,
    feature_view,
    publish,
    rule,
)
from aligned_dagster.contracts.changes import Change, changes
from aligned_dagster.contracts.diff import diff
from aligned_dagster.contracts.lock import ContractsLock
from aligned_dagster.contracts.locked import LockedContract
from aligned_dagster.features.feature import Feature

EMPTY = InMemorySource.empty()


def contract(
    columns: dict[str, Any], source: Any = EMPTY, target: Any = None, **facts: Any
) -> FeatureView[Any]:
    """A contract of these columns, besides an entity called id."""
    body = {"id": Int32().as_entity(), **columns}
    return feature_view(name="thing", source=source, materialized_source=target, **facts)(
        type("Thing", (), body)
    )


def found(before: dict[str, Any], after: dict[str, Any], **facts: Any) -> tuple[Change, ...]:
    old, new = contract(before, **facts), contract(after, **facts)
    return changes(LockedContract.of(old), LockedContract.of(new))


def age(make: Callable[[Float], Feature] = lambda age: age) -> dict[str, Any]:
    return {"age": make(Float())}


def twice(factor: int) -> dict[str, Any]:
    x = Float()
    return {"x": x, "twice": x * factor}


COMPATIBLE: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, age(lambda a: a.is_optional()), "age is added, null where it is missing"),
    ({}, age(lambda a: a.default_value(1.5)), "age is added, 1.5 where it is missing"),
    ({"x": Float()}, twice(2), "twice is added, computed as x * 2"),
    (twice(2), twice(3), "twice is computed as x * 3 and was x * 2"),
    (age(), age(lambda a: a.is_optional()), "age is optional and was required"),
    (age(lambda a: a.lower_bound(3)), age(), "age is loosened: no longer must be at least 3"),
    (
        age(lambda a: a.lower_bound(3)),
        age(lambda a: a.lower_bound(2)),
        "age is loosened: must be at least 2, was must be at least 3",
    ),
    (
        age(lambda a: a.upper_bound(3)),
        age(lambda a: a.upper_bound(3, on_violation="warn")),
        "age is loosened: must be at most 3 (a broken one warns now)",
    ),
    (
        {"s": String().accepted_values(["a"])},
        {"s": String().accepted_values(["b", "a"])},
        "s is loosened: must be one of 'b', 'a', was must be one of 'a'",
    ),
    (
        {"s": String().max_length(2)},
        {"s": String().max_length(3)},
        "s is loosened: the length of s must be at most 3, was the length of s must be at most 2",
    ),
    (
        age(lambda a: a.default_value(1.5)),
        age(lambda a: a.default_value(2.5)),
        "age has the default 2.5 and was 1.5",
    ),
]

BREAKING: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (age(), {}, "age is removed"),
    (twice(2), {"x": Float()}, "twice is removed"),
    ({}, age(), "age is a new required column, which rows stored before lack"),
    (age(lambda a: a.is_optional()), age(), "age is required and was optional"),
    (age(lambda a: a.default_value(1.5)), age(), "age is required and had a default"),
    ({"n": Int32()}, {"n": Int64()}, "n is int64 and was int32 (stored values can be cast)"),
    ({"n": String()}, {"n": Int64()}, "n is int64 and was string (stored values cannot be cast)"),
    ({"s": String()}, {"s": String().as_entity()}, "s is an entity and was a plain column"),
    ({}, {"s": String().as_entity()}, "s is added as an entity"),
    ({}, {"t": EventTimestamp()}, "t is added as the event timestamp"),
    ({"t": Timestamp()}, {"t": EventTimestamp()}, "t is the event timestamp and was a plain column"),
    (age(), age(lambda a: a.lower_bound(0)), "age is narrowed: must be at least 0"),
    (
        age(lambda a: a.lower_bound(0)),
        age(lambda a: a.lower_bound(0, is_inclusive=False)),
        "age is narrowed: must be greater than 0, was must be at least 0",
    ),
    (
        age(lambda a: a.upper_bound(0, on_violation="warn")),
        age(lambda a: a.upper_bound(0)),
        "age is narrowed: must be at most 0 (a broken one blocks now)",
    ),
    (
        {"s": String().accepted_values(["a", "b"])},
        {"s": String().accepted_values(["a", "c"])},
        "s is narrowed: must be one of 'a', 'c', was must be one of 'a', 'b'",
    ),
    (
        {"s": String().regex("a+")},
        {"s": String().regex("a*")},
        "s is narrowed: must match the pattern 'a*', was must match the pattern 'a+'",
    ),
    (
        {"x": Float(), "twice": Float()},
        {**twice(2), "y": Float()},
        "y is a new required column, which rows stored before lack",
    ),
    (
        twice(2),
        {"x": Float(), "twice": Float()},
        "twice is stored now and was computed: a new required column, which rows stored before may lack",
    ),
]


@pytest.mark.parametrize(("before", "after", "words"), COMPATIBLE, ids=[c[2] for c in COMPATIBLE])
def test_compatible(before: dict[str, Any], after: dict[str, Any], words: str) -> None:
    differences = found(before, after)
    assert words in [str(change) for change in differences]
    assert not any(change.breaking for change in differences)


@pytest.mark.parametrize(("before", "after", "words"), BREAKING, ids=[c[2] for c in BREAKING])
def test_breaking(before: dict[str, Any], after: dict[str, Any], words: str) -> None:
    differences = found(before, after)
    broken = [str(change) for change in differences if change.breaking]
    assert words in broken
    assert len({change.column for change in differences if change.breaking}) == 1


def test_the_same() -> None:
    assert found(twice(2), twice(2)) == ()


def test_rules() -> None:
    def ruled(limit: int | None, **facts: Any) -> FeatureView[Any]:
        x = Float()
        return contract({"x": x, **({} if limit is None else {"sane": rule(x < limit)})}, **facts)

    def between(old: FeatureView[Any], new: FeatureView[Any]) -> list[tuple[str, bool]]:
        both = changes(LockedContract.of(old), LockedContract.of(new))
        return [(str(change), change.breaking) for change in both]

    assert between(ruled(None), ruled(3)) == [("sane is narrowed: x < 3", True)]
    assert between(ruled(3), ruled(None)) == [("sane is loosened: no longer x < 3", False)]
    assert between(ruled(3), ruled(4)) == [("sane is another rule: x < 4, was x < 3", True)]
    assert ("sane is loosened: x < 3 (a broken one warns now)", False) in between(
        ruled(3), ruled(3, on_violation="warn")
    )


def test_what_a_grouped_contract_reads() -> None:
    def grouped(extra: bool) -> FeatureView[Any]:
        amount, more = Float(), Float()
        columns: dict[str, Any] = {"amount": amount, "total": amount.aggregate().sum()}
        return contract({**columns, "more": more, "most": more.aggregate().max()} if extra else columns)

    before, after = LockedContract.of(grouped(False)), LockedContract.of(grouped(True))
    (added,) = (change for change in changes(before, after) if change.column == "more")
    assert added.breaking and "new required column" in added.words
    (removed,) = (change for change in changes(after, before) if change.column == "more")
    assert not removed.breaking and removed.words == "is no longer read from the source"


# --- over a store ----------------------------------------------------------------------------------------


def three(
    tmp_path: Path, *, unit: str = "float", factor: int = 2, drop: bool = False
) -> list[FeatureView[Any]]:
    """A stored contract, a virtual one that reads it and a stored one that reads that."""
    directory = FileSource.directory(tmp_path)
    types: dict[str, Callable[[], Any]] = {"float": Float, "int": Int32}

    @feature_view(
        source=InMemorySource.from_values({"station": ["a", "b"], "level": [1, 2], "extra": [1, 2]}),
        materialized_source=directory.with_schema_version("reading").parquet_at("rows.parquet"),
    )
    class Reading:
        station = String().as_entity()
        level = types[unit]()
        if not drop:
            extra = Int32()
        double = level * factor

    @feature_view(source=Reading)
    class Level:
        station = String().as_entity()
        double = Float()

    @feature_view(
        source=Level,
        materialized_source=directory.partitioned_parquet_at("mean", ["station"]),
    )
    class Mean:
        station = String().as_entity()
        double = Float()
        mean = double.aggregate().mean()

    return [Reading, Level, Mean]


def test_versions_downstream_and_what_to_materialise(tmp_path: Path) -> None:
    views = three(tmp_path)
    for view in (views[0], views[2]):
        publish(view)
    lock = ContractsLock().with_contracts(views)
    assert diff(views, lock).is_unchanged
    assert diff(views, lock).materialize == ()

    changed = diff(three(tmp_path, unit="int"), lock)
    assert changed.is_breaking
    reading = next(one for one in changed.contracts if one.name == "reading")
    assert reading.verdict == "breaking"
    assert reading.locked == views[0].version != reading.version
    (part,) = reading.stored
    assert (part.name, part.words) == (views[0].version, "fits, and is read until the current one is written")
    assert {(one.contract, one.column) for one in reading.downstream} == {
        ("level", "double"),
        ("mean", "mean"),
    }
    assert changed.materialize == ("reading", "mean")
    verdicts = {one.name: one.verdict for one in changed.contracts}
    assert verdicts == {"reading": "breaking", "level": "unchanged", "mean": "unchanged"}


def test_another_derivation_is_compatible_and_touches_what_is_stored(tmp_path: Path) -> None:
    views = three(tmp_path)
    for view in (views[0], views[2]):
        publish(view)
    changed = diff(three(tmp_path, factor=3), ContractsLock().with_contracts(views))
    assert not changed.is_breaking
    reading = next(one for one in changed.contracts if one.name == "reading")
    assert reading.verdict == "compatible"
    assert [part.words for part in reading.stored] == [
        "is the current one, and is out of date until it is written again"
    ]
    assert [one.of for one in reading.downstream] == [("double",), ("double",)]
    assert changed.materialize == ("reading", "mean")


def test_columns_and_contracts_that_are_gone(tmp_path: Path) -> None:
    lock = ContractsLock().with_contracts(three(tmp_path))
    views = three(tmp_path, drop=True)
    changed = diff(views, lock)
    reading = next(one for one in changed.contracts if one.name == "reading")
    assert [str(change) for change in reading.changes] == ["extra is removed"]
    assert reading.downstream == ()

    gone = diff([views[0]], lock)
    assert {one.name: one.verdict for one in gone.contracts} == {
        "reading": "breaking",
        "level": "removed",
        "mean": "removed",
    }
    level = next(one for one in gone.contracts if one.name == "level")
    assert {(one.contract, one.column) for one in level.downstream} == {
        ("mean", "mean"),
        ("mean", "station"),
    }
    assert gone.materialize == ("reading",)
    added = diff(views, ContractsLock())
    assert {one.verdict for one in added.contracts} == {"added"}
    assert not added.is_breaking
    json.dumps(changed.to_json())


def test_partitions_and_files(tmp_path: Path) -> None:
    rows = InMemorySource.from_values({"id": [1, 2], "x": [1.0, 2.0]})
    for target, names in (
        (FileSource.partitioned_parquet_at(tmp_path / "parts", ["id"]), ["id=1", "id=2"]),
        (FileSource.csv_at(tmp_path / "rows.csv"), ["rows.csv"]),
    ):
        view = contract(twice(2), rows, target)
        lock = ContractsLock().with_contracts([view])
        publish(view)
        (changed,) = diff([contract(twice(3), rows, target)], lock).contracts
        assert [part.name for part in changed.stored] == names
        assert all("out of date" in part.words and part.modified for part in changed.stored)


# --- the command line ------------------------------------------------------------------------------------

CONTRACT = """
from aligned_dagster import FileSource, Float, Int32, String, feature_view

@feature_view(
    source=FileSource.csv_at("vendors.csv"),
    materialized_source=FileSource.directory("stored").with_schema_version("vendors").parquet_at("rows.parquet"),
)
class Vendor:
    vendor_id = Int32().as_entity()
    passengers = {passengers}

@feature_view(source=Vendor)
class Crowd:
    vendor_id = Int32().as_entity()
    passengers = {passengers}
"""


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    (tmp_path / "pyproject.toml").write_text('[tool.aligned_dagster]\ncontracts = "contracts.py"\n')

    def run(*arguments: str, passengers: str | None = None) -> tuple[int, str]:
        if passengers:
            (tmp_path / "contracts.py").write_text(CONTRACT.format(passengers=passengers))
        kept = {
            name: value for name, value in os.environ.items() if name not in {"ALIGNED_PROJECT", "COLUMNS"}
        }
        root = str(Path(__file__).parents[2])
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "aligned_dagster.cli", *arguments],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert " dagster._core" not in done.stderr, "a diff needs no Dagster"
        return done.returncode, done.stdout

    return run


def test_lock_and_diff(call: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    code, output = call("diff", passengers="String()")
    assert code == 0 and "added" in output and "aligned-dagster lock" in output
    code, output = call("lock")
    assert code == 0 and "contracts.lock is written" in output
    assert "is up to date" in call("lock")[1]
    code, output = call("diff")
    assert code == 0 and "2 unchanged contracts." in output

    code, output = call("diff", passengers="Int32()")
    assert code == 1
    assert "passengers is int32 and was string" in " ".join(output.replace("│", " ").split())
    assert "Breaking, and not acknowledged: crowd, vendor" in output
    assert "To materialise, in this order: vendor" in output
    code, output = call("diff", "--json")
    form = json.loads(output)
    assert code == 1 and form["breaking"] and form["materialize"] == ["vendor"]
    vendor = next(one for one in form["contracts"] if one["name"] == "vendor")
    assert vendor["changes"][0]["column"] == "passengers" and vendor["changes"][0]["breaking"]
    assert vendor["downstream"] == [{"contract": "crowd", "column": "passengers", "of": ["passengers"]}]

    code, output = call("lock")
    assert code == 0 and "passengers is int32" in " ".join(output.replace("│", " ").split())
    assert call("diff")[0] == 0
    versions = json.loads((tmp_path / "contracts.lock").read_text())["contracts"]["vendor"]["versions"]
    assert [one["columns"]["passengers"] for one in versions] == ["string", "int32"]


def test_an_error_as_json(call: Callable[..., tuple[int, str]]) -> None:
    code, output = call("diff", "--json", passengers="Unknown()")
    assert code == 1 and "Unknown" in json.loads(output)["error"]
