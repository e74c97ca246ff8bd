from __future__ import annotations

import datetime as dt
import json
import os
import threading
import time

import dagster as dg
import pytest

from aligned_dagster import (
    ContractStore,
    EventTimestamp,
    FileSource,
    Float,
    InMemorySource,
    Int32,
    PostgreSQLConfig,
    feature_view,
)
from aligned_dagster.errors import ConfigurationError
from aligned_dagster.orchestration import (
    ContractTranslator,
    TranslatorSettings,
    build_definitions,
    observation,
)
from aligned_dagster.orchestration.looks import Looks
from aligned_dagster.orchestration.observation import Rounds
from aligned_dagster.orchestration.project import ProjectSettings

AIRPORTS, FLIGHTS = dg.AssetKey(["raw", "airports.csv"]), dg.AssetKey(["raw", "flights.csv"])


def sensor_of(defs) -> dg.SensorDefinition:
    return next(sensor for sensor in defs.sensors if sensor.name == observation.SENSOR)


@pytest.fixture
def persistent(tmp_path):
    """An instance whose reference a sensor's context can take."""
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as made:
        yield made


@pytest.fixture
def tick(persistent):
    """Evaluates the sensor as the daemon does: what it found is recorded; every source is due again."""

    def evaluate(defs, cursor=None):
        with dg.build_sensor_context(instance=persistent, cursor=cursor) as context:
            data = sensor_of(defs).evaluate_tick(context)
        for event in data.asset_events:
            persistent.report_runless_asset_event(event)
        assert not data.run_requests
        return data

    return evaluate


@pytest.fixture
def execute(persistent):
    def run(defs, *keys):
        job = defs.resolve_implicit_global_asset_job_def()
        selection = [dg.AssetKey(key) for key in keys] or None
        assert job.execute_in_process(instance=persistent, asset_selection=selection).success

    return run


@pytest.fixture
def eager(airline):
    """A virtual view of the airports, and two contracts that follow the file."""

    def made(**settings):
        @feature_view(source=FileSource.csv_at(str(airline.root / "airports.csv")))
        class Heights:
            height = Int32().as_entity()

        def stored(name):
            return FileSource.parquet_at(str(airline.root / "stored" / f"{name}.parquet"))

        @feature_view(source=Heights, materialized_source=stored("through"), automation="eager")
        class Through:
            height = Int32().as_entity()

        @feature_view(
            source=FileSource.csv_at(str(airline.root / "airports.csv")),
            materialized_source=stored("straight"),
            automation="eager",
        )
        class Straight:
            height = Int32().as_entity()

        translator = ContractTranslator(TranslatorSettings(**settings))
        return build_definitions(ContractStore([Heights, Through, Straight]), translator)

    return made


def observed(data) -> list[str]:
    return [event.asset_key.to_user_string() for event in data.asset_events]


def rewrite(path, text: str | None = None) -> None:
    """Write a file, so that its time of change is another one."""
    path.write_text(path.read_text("utf-8") if text is None else text, "utf-8")
    os.utime(path, (time.time() + 100, time.time() + 100))


def test_what_changed_is_recorded_and_nothing_else(airline, execute, tick, persistent):
    defs = build_definitions(airline.store())
    execute(defs)
    quiet = tick(defs)
    assert observed(quiet) == [] and quiet.skip_message == "Looked at 2 sources; none changed."

    airline.add_flight("4,BGO,2024-01-03T08:00:00Z,1,2")
    found = tick(defs)

    assert observed(found) == ["raw/flights.csv"]
    assert found.skip_message == "Looked at 2 sources; 1 changed: raw/flights.csv."
    event = persistent.fetch_observations(FLIGHTS, limit=1).records[0].asset_observation
    assert event.metadata["dagster/size_bytes"].value == (airline.root / "flights.csv").stat().st_size
    assert observed(tick(defs)) == []
    rewrite(airline.root / "flights.csv")
    assert observed(tick(defs)) == []


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # dg.evaluate_automation_conditions is stable
def test_what_a_run_has_read_is_not_read_again_also_through_a_virtual_view(
    airline, eager, execute, tick, persistent
):
    defs = eager()
    execute(defs)
    seen = dg.evaluate_automation_conditions(defs, persistent)
    rewrite(airline.root / "airports.csv", "code,name,height\nOSL,Oslo,1\n")
    execute(defs, "through")

    assert observed(tick(defs)) == []  # the run has recorded it
    seen = dg.evaluate_automation_conditions(defs, persistent, cursor=seen.cursor)
    assert {key.to_user_string() for key in seen._requested_partitions_by_asset_key} == {"straight"}


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # dg.evaluate_automation_conditions is stable
def test_the_first_look_at_a_source_starts_nothing_that_is_of_its_version(
    airline, eager, execute, tick, persistent
):
    defs = eager()
    execute(defs)
    persistent.wipe_assets([AIRPORTS])
    seen = dg.evaluate_automation_conditions(defs, persistent)

    assert observed(tick(defs)) == ["raw/airports.csv"]
    seen = dg.evaluate_automation_conditions(defs, persistent, cursor=seen.cursor)
    assert seen.total_requested == 0
    assert observed(tick(defs)) == []
    execute(defs, "straight")
    seen = dg.evaluate_automation_conditions(defs, persistent, cursor=seen.cursor)
    assert seen.total_requested == 0

    rewrite(airline.root / "airports.csv", "code,name,height\nOSL,Oslo,1\n")
    assert observed(tick(defs)) == ["raw/airports.csv"]
    seen = dg.evaluate_automation_conditions(defs, persistent, cursor=seen.cursor)
    assert seen.total_requested == 2


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # dg.evaluate_automation_conditions is stable
def test_the_first_look_at_a_source_that_has_changed_since_starts_what_follows_it(
    airline, eager, execute, tick, persistent
):
    defs = eager()
    execute(defs)
    persistent.wipe_assets([AIRPORTS])
    seen = dg.evaluate_automation_conditions(defs, persistent)
    rewrite(airline.root / "airports.csv", "code,name,height\nOSL,Oslo,1\n")

    tick(defs)
    seen = dg.evaluate_automation_conditions(defs, persistent, cursor=seen.cursor)
    assert seen.total_requested == 2


def test_a_source_that_fails_is_a_warning_without_a_secret_and_stops_no_other(
    airline, tick, monkeypatch, capfd
):
    monkeypatch.setenv("NOWHERE", "postgresql://ada:s3cr3t-pw@127.0.0.1:1/shop")

    @feature_view(source=PostgreSQLConfig(env_var="NOWHERE").table("aaa"))
    class Unreachable:
        id = Int32().as_entity()

    (airline.root / "airports.csv").unlink()
    defs = build_definitions(airline.store().add(Unreachable))

    found, told = tick(defs), capfd.readouterr().err

    assert observed(found) == ["raw/flights.csv"]
    assert "2 cannot be looked at (see the log): raw/aaa, raw/airports.csv" in found.skip_message
    assert "raw/airports.csv" in told and "does not exist" in told
    assert "NOWHERE" in told and "s3cr3t-pw" not in told + found.skip_message


def test_an_error_that_is_not_ours_is_told_by_its_type_alone(airline, tick, monkeypatch, capfd):
    def fail(self):
        raise RuntimeError("s3cr3t-pw")

    monkeypatch.setattr(type(FileSource.csv_at("a.csv")), "fingerprint", fail)
    tick(build_definitions(airline.store()))
    told = capfd.readouterr().err
    assert "RuntimeError" in told and "s3cr3t-pw" not in told


def test_a_source_is_due_again_when_its_time_has_passed(airline, tick):
    defs = build_definitions(
        airline.store(),
        ContractTranslator(TranslatorSettings(observe_every={"default": 1000, "raw/fl*": 10})),
    )
    cursor = tick(defs).cursor
    assert set(json.loads(cursor)) == {"1000.0", "10.0"}
    assert tick(defs, cursor).skip_message == "No source is to be looked at yet."
    later = {every: [begun - 20, after] for every, (begun, after) in json.loads(cursor).items()}
    assert tick(defs, json.dumps(later)).skip_message.startswith("Looked at 1 source;")
    assert tick(defs, "no cursor of ours").skip_message.startswith("Looked at 2 sources;")


@pytest.mark.parametrize("each", [1, 3, 7, 1000])
def test_a_round_goes_on_where_the_budget_ended_and_nobody_is_passed_over(each):
    groups = {"10.0": [f"a{n:04}" for n in range(23)], "60.0": [f"b{n:04}" for n in range(31)]}
    rounds, seen, now = Rounds(), [], 1000.0
    while due := rounds.due(groups, now):
        seen += [key for _, key in due[:each]]
        rounds = Rounds.read(rounds.after(groups, due, min(each, len(due)), now).write())
        assert len(rounds.write()) < 100
        now += 0.001
    assert sorted(seen) == sorted(groups["10.0"] + groups["60.0"])
    assert [key for _, key in rounds.due(groups, now + 11)] == groups["10.0"]
    assert len(rounds.due(groups, now + 61)) == 54


def test_a_round_goes_on_after_sources_came_and_went():
    rounds = Rounds({"10.0": (1000.0, "b")})
    assert rounds.due({"10.0": ["a", "c"]}, 1001) == [("10.0", "c")]
    gone = rounds.due({"10.0": ["a"]}, 1001)
    assert gone == []
    after = rounds.after({"10.0": ["a"]}, gone, 0, 1001)
    assert after.states == {"10.0": (1000.0, None)}
    assert after.after({"60.0": ["a"]}, [], 0, 1001).states == {}


def test_a_look_that_hangs_holds_up_nobody_and_is_not_begun_twice():
    looks, release, begun = Looks(workers=2), threading.Event(), []

    def look(name: str) -> str:
        begun.append(name)
        if name == "hangs":
            release.wait()
        return name.upper()

    first = looks.at(["hangs", "a", "b"], look, budget=0.5, patience=0)
    assert (first.taken, first.answers) == (3, {1: "A", 2: "B"})
    second = looks.at(["hangs", "a"], look, budget=0.5, patience=30)
    assert second.answers == {1: "A"}
    release.set()
    while not (late := looks.at(["hangs"], look, budget=0.5, patience=30).answers):
        time.sleep(0.01)  # until the answer of the first look is there
    assert late == {0: "HANGS"}
    assert begun.count("hangs") == 1


def test_only_what_is_begun_within_the_budget_is_taken():
    looked = Looks(workers=1).at(["a", "b"], lambda name: time.sleep(0.01), budget=0, patience=30)
    assert (looked.taken, looked.answers) == (1, {0: None})


def test_never_is_never(airline):
    never = TranslatorSettings(observe_every={"default": False})
    names = [s.name for s in build_definitions(airline.store(), ContractTranslator(never)).sensors]
    assert "observe_sources" not in names


@pytest.mark.parametrize(
    ("every", "words"),
    [
        ({"raw/flight.csv": 60}, r"'raw/flight.csv'.*Did you mean 'raw/flights.csv'\?"),
        ({"lake/*": 60}, r"'lake/\*'.*Sources: raw/airports.csv, raw/flights.csv"),
        ({"raw/*": 0}, r"'raw/\*' = 0; give a number of seconds"),
        ({"default": True}, "'default' = True"),
        ({"default": "5 minutes"}, "'default' = '5 minutes'"),
    ],
)
def test_a_wrong_setting_is_named(airline, every, words):
    with pytest.raises(ConfigurationError, match=words):
        build_definitions(airline.store(), ContractTranslator(TranslatorSettings(observe_every=every)))


def test_a_translator_may_decide_by_the_source(airline, tick):
    class ByKind(ContractTranslator):
        def get_observation_interval(self, source, key):
            return dt.timedelta(seconds=7) if source.uri.endswith("flights.csv") else None

    defs = build_definitions(airline.store(), ByKind())
    assert sensor_of(defs).minimum_interval_seconds == 7
    assert json.loads(tick(defs).cursor).keys() == {"7.0"}


def test_the_settings_of_a_project(tmp_path):
    def settings(text: str) -> ProjectSettings:
        (tmp_path / "pyproject.toml").write_text(
            f'[tool.aligned_dagster]\ncontracts = "c.py"\n{text}', "utf-8"
        )
        return ProjectSettings.find(tmp_path, environ={})

    assert (settings("").automation, settings("").observe_every) == ("stopped", {})
    table = '[tool.aligned_dagster.observe_every]\ndefault = 60\n"raw/logs*" = false\n'
    found = settings(f'automation = "running"\n{table}')
    assert (found.automation, found.observe_every) == ("running", {"default": 60, "raw/logs*": False})
    for wrong, words in [
        ('automation = "on"', "automation = 'on'; use 'running' or 'stopped'"),
        ("observe_every = 3", "make it a table"),
        ("[tool.aligned_dagster.observe_every]\ndefault = 0.5", "'default' = 0.5"),
    ]:
        with pytest.raises(ConfigurationError, match=r"pyproject\.toml") as caught:
            settings(wrong)
        assert words in str(caught.value)


def test_sources_without_a_place_are_observed_too(tick):
    @feature_view(source=InMemorySource.from_values({"id": [1], "at": [dt.datetime(2024, 1, 1)], "x": [1.0]}))
    class Memory:
        id = Int32().as_entity()
        at = EventTimestamp()
        x = Float()

    defs = build_definitions(ContractStore([Memory]))
    assert len(observed(tick(defs))) == 1
    assert observed(tick(defs)) == []
