from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aligned_dagster import (
    Bool,
    EventTimestamp,
    FeatureView,
    FileSource,
    Float,
    InMemorySource,
    Int32,
    String,
    feature_view,
    rule,
)
from aligned_dagster.contracts.lock import LOCK_FILE, ContractsLock, known_versions
from aligned_dagster.contracts.locked import LockedContract
from aligned_dagster.contracts.partitioning import VersionDimension, WindowDimension, scheme_of
from aligned_dagster.errors import ConfigurationError, RequestError

DAY, NEXT = dt.date(2026, 11, 23), dt.date(2026, 11, 24)


def person(*, wide: bool = False, optional: bool = False) -> FeatureView[Any]:
    source = InMemorySource.empty()
    if wide:

        @feature_view(name="person", source=source)
        class Wide:
            id = Int32().as_entity()
            age = Float().lower_bound(0)
            name = String()

        return Wide
    if optional:

        @feature_view(name="person", source=source)
        class Optional:
            id = Int32().as_entity()
            age = Float().lower_bound(0)
            nick = String().is_optional()
            alive = Bool().default_value(True)
            double = age * 2

        return Optional

    @feature_view(name="person", source=source)
    class Person:
        id = Int32().as_entity()
        age = Float().lower_bound(0)

    return Person


def everything() -> list[FeatureView[Any]]:
    """Contracts with all that a lock has to keep."""

    @feature_view(name="reading", source=InMemorySource.empty())
    class Reading:
        station = String().as_entity()
        time = EventTimestamp()
        level = Float().lower_bound(0).upper_bound(9.5, on_violation="warn")
        kind = String().accepted_values(["a", "b"]).is_optional()
        since = Int32().default_value(3)
        double = level * 2
        sane = rule(double < 100, "not too high", on_violation="quarantine")

    @feature_view(name="weekly", source=Reading)
    class Weekly:
        station = String().as_entity()
        time = EventTimestamp()
        level = Float()
        mean = level.aggregate().over(days=7).mean()

    return [Reading, Weekly]


def test_history_is_kept(tmp_path: Path) -> None:
    first = ContractsLock().with_contracts([person()], DAY)
    second = first.with_contracts([person(wide=True)], NEXT)
    entry = second.entries["person"]
    assert [(one.version, one.date) for one in entry.versions] == [
        (person().version, DAY),
        (person(wide=True).version, NEXT),
    ]
    assert entry.versions[0].columns == {"id": "int32", "age": "float64"}
    assert entry.versions[0].entities == ("id",)
    assert entry.contract.version == person(wide=True).version
    # Back to the first: it keeps its date and its place.
    back = second.with_contracts([person()], NEXT)
    assert [one.date for one in back.entries["person"].versions] == [DAY, NEXT]
    assert back.entries["person"].contract.version == person().version
    # Columns that do not change the version are noted with it.
    more = first.with_contracts([person(optional=True)], NEXT).entries["person"].versions
    assert [one.date for one in more] == [DAY]
    assert more[0].columns == {"id": "int32", "age": "float64", "nick": "string", "alive": "bool"}


def test_a_contract_that_is_gone_and_comes_back() -> None:
    lock = ContractsLock().with_contracts([person(), *everything()], DAY)
    gone = lock.with_contracts([person()], NEXT)
    assert gone.entries["weekly"].removed == NEXT
    assert set(gone.contracts) == {"person"}
    assert gone.with_contracts([person()], dt.date(2027, 1, 1)).text == gone.text
    back = gone.with_contracts([person(), *everything()], NEXT)
    assert back.text == lock.text


def test_the_file_is_read_back_equal_and_stable(tmp_path: Path) -> None:
    lock = ContractsLock().with_contracts(everything(), DAY)
    file = lock.write(tmp_path)
    assert file == tmp_path / LOCK_FILE
    again = ContractsLock.read(tmp_path)
    assert again == lock
    assert again.text == file.read_text("utf-8") == lock.with_contracts(reversed(everything()), NEXT).text
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]
    form = json.loads(again.text)
    mean = form["contracts"]["weekly"]["columns"]["mean"]
    assert mean["reads"] == ["reading.level"]
    assert "7 days" in mean["derivation"]
    assert len(form["contracts"]["weekly"]["digest"]) == 32
    assert [LockedContract.of(view) for view in everything()] == list(again.contracts.values())


def test_the_file_is_the_same_in_every_process(tmp_path: Path) -> None:
    script = (
        "import datetime as dt\n"
        "from tests.contracts.test_lock import DAY, everything\n"
        "from aligned_dagster.contracts.lock import ContractsLock\n"
        "print(ContractsLock().with_contracts(everything(), DAY).text)\n"
    )
    root = Path(__file__).parents[2]
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {ContractsLock().with_contracts(everything(), DAY).text + "\n"}


@pytest.mark.parametrize(
    "text", ["<<<<<<< ours\n{}", "[]", "{}", '{"format": 1, "contracts": {"a": {}}}', ""]
)
def test_what_is_no_lock(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK_FILE).write_text(text)
    with pytest.raises(ConfigurationError, match=r"contracts\.lock cannot be read as a lock"):
        ContractsLock.read(tmp_path)


def test_a_later_format(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text('{"format": 2}')
    with pytest.raises(ConfigurationError, match="Upgrade"):
        ContractsLock.read(tmp_path)


def test_words_are_not_locked() -> None:
    def told(words: str) -> FeatureView[Any]:
        @feature_view(name="person", source=InMemorySource.empty(), description=words, tags=[words])
        class Person:
            id = Int32().as_entity().description(words)

        return Person

    assert LockedContract.of(told("one")) == LockedContract.of(told("two"))


def test_known_versions(tmp_path: Path) -> None:
    assert ContractsLock.read(tmp_path) == ContractsLock()
    assert known_versions(person(), ContractsLock()) == (person().version,)
    lock = ContractsLock().with_contracts([person()], DAY)
    assert known_versions(person(wide=True), lock) == (person().version, person(wide=True).version)


# --- versions as partitions ------------------------------------------------------------------------------


def readings(keys: list[str], windows: bool, versioned: bool = True) -> FeatureView[Any]:
    directory: Any = FileSource.directory("data")
    if versioned:
        directory = directory.with_schema_version()
    target = directory.partitioned_parquet_at("rows", keys) if keys else directory.parquet_at("rows.parquet")
    every: dict[str, Any] = {"materialize_from": dt.date(2024, 1, 1), "every": "daily"} if windows else {}

    @feature_view(name="reading", source=InMemorySource.empty(), materialized_source=target, **every)
    class Reading:
        station = String().as_entity()
        time = EventTimestamp()
        country = String().accepted_values(["no", "uk"])

    return Reading


@pytest.mark.parametrize(
    ("keys", "windows", "names"),
    [
        ([], False, ["schema_version"]),
        (["country"], False, ["schema_version", "country"]),
        (["country", "station"], False, ["schema_version", "country_station"]),
        ([], True, ["schema_version", "time"]),
        (["country"], True, ["schema_version", "time"]),
    ],
)
def test_the_version_is_the_first_of_two_dimensions(keys: list[str], windows: bool, names: list[str]) -> None:
    view = readings(keys, windows)
    old = "0" * 32
    scheme = scheme_of(view, known_versions=(old,))
    assert scheme is not None
    assert [dimension.name for dimension in scheme.dimensions] == names
    assert scheme.version == VersionDimension(view.version, (old, view.version))
    assert isinstance(scheme.dimensions[-1], WindowDimension) == windows


def test_versions_are_no_dimension_unless_they_are_known_and_kept_apart() -> None:
    for view in (readings(["country"], False), readings(["country"], False, versioned=False)):
        known = () if view.materialized_source.type == "schema_versioned" else ("0" * 32,)  # type: ignore[union-attr]  # both are materialized
        scheme = scheme_of(view, known_versions=known)
        assert scheme is not None
        assert [dimension.name for dimension in scheme.dimensions] == ["country"]
    assert scheme_of(readings([], False)) is None


def test_only_the_current_version_is_produced() -> None:
    view = readings(["country"], False)
    scheme = scheme_of(view, known_versions=("0" * 32,))
    assert scheme is not None
    part = scheme.part({"schema_version": view.version, "country": "no"})
    assert part.keys == ((("country", "no"),),)
    with pytest.raises(RequestError, match="an older schema version"):
        scheme.part({"schema_version": "0" * 32, "country": "no"})
    with pytest.raises(RequestError, match="none of its schema versions"):
        scheme.part({"schema_version": "latest", "country": "no"})
