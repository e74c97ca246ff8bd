"""One sensor that looks at raw sources and observed models, and records those that changed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.errors import AlignedError
from aligned_dagster.orchestration.looks import Looks
from aligned_dagster.orchestration.observation_intervals import check_names
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.source_versions import RECORDED, SourceVersion, source_version
from aligned_dagster.orchestration.translator import ContractTranslator
from aligned_dagster.orchestration.versions import Versions

if TYPE_CHECKING:
    from aligned_dagster.sources.exposed.base import ExposedModel
    from aligned_dagster.sources.source import DataSource

SENSOR = "observe_sources"
BUDGET = 20.0
"""Seconds of a tick in which looks are begun; the sources that are left come first in the next one."""
PATIENCE = 10.0
"""Seconds more for what was begun. Dagster ends a tick after 60."""
_MOST_BETWEEN_TICKS = 30
_NAMED = 5


@dataclass(frozen=True)
class Rounds:
    """Where each round stands: sources that are looked at equally often are gone through in the order of their keys.

    Args:
        states: seconds between rounds to when the last one began, and the key where it is to go on, if it is not over.
    """

    states: Mapping[str, tuple[float, str | None]] = field(default_factory=dict)

    @staticmethod
    def read(cursor: str | None) -> Rounds:
        """The rounds of a sensor's cursor; new ones if it cannot be read."""
        try:
            found = json.loads(cursor or "{}")
            return Rounds({every: (float(begun), after) for every, (begun, after) in found.items()})
        except (ValueError, TypeError, AttributeError):
            return Rounds()

    def write(self) -> str:
        """The cursor: a few characters for each length of a round, however many sources there are."""
        return json.dumps(self.states)

    def due(self, groups: Mapping[str, Sequence[str]], now: float) -> list[tuple[str, str]]:
        """What is to be looked at, those that wait longest first: the group's name and the key.

        Args:
            groups: seconds between rounds to the keys, in order.
            now: seconds since 1970.
        """
        waiting: list[tuple[float, str, str | None]] = []
        for every in groups:
            begun, after = self.states.get(every, (0.0, None))
            since = begun if after is not None else begun + float(every)
            if since <= now:
                waiting.append((since, every, after))
        return [
            (every, key)
            for _, every, after in sorted(waiting)
            for key in groups[every]
            if key > (after or "")
        ]

    def after(
        self, groups: Mapping[str, Sequence[str]], due: Sequence[tuple[str, str]], taken: int, now: float
    ) -> Rounds:
        """The rounds once the first few of what is due were looked at.

        Args:
            groups: as for `due`.
            due: what it gave.
            taken: how many of these were looked at.
            now: as for `due`.
        """
        states = {every: state for every, state in self.states.items() if every in groups}
        left = {every for every, _ in due[taken:]}
        for every, key in due[:taken]:
            begun, after = self.states.get(every, (now, None))
            states[every] = (begun if after is not None else now, key if every in left else None)
        for every in groups.keys() - {every for every, _ in due}:
            begun, after = states.get(every, (now, None))
            if after is not None:  # all that was left is gone
                states[every] = (begun, None)
        return Rounds(states)


def observation_sensors(
    registry: ContractRegistry, translator: ContractTranslator, *, running: bool = False
) -> list[dg.SensorDefinition]:
    """The sensor over all raw sources and observed models; none where nothing is to be looked at.

    It takes the fingerprints itself and starts no run. Of a source that changed it records the new data version, on which
    contracts with `automation="eager"` downstream are materialised. One that cannot be reached is a warning in the log of
    the tick, and no other waits for it.

    Args:
        registry: the sources and models.
        translator: says how often each is looked at.
        running: whether it is on from the start.

    Raises:
        ConfigurationError: a setting names no source, or is no span of time.
    """
    sources: dict[str, tuple[dg.AssetKey, DataSource | ExposedModel]] = {
        key.to_user_string(): (key, source) for key, source in registry.observed().items()
    }
    check_names(translator.settings.observe_every, sources)
    groups: dict[str, list[str]] = {}
    for name, (key, source) in sorted(sources.items()):
        every = translator.get_observation_interval(source, key)
        if every is not None:
            groups.setdefault(str(every.total_seconds()), []).append(name)
    if not groups:
        return []
    limit = translator.settings.content_limit

    looks = Looks()
    known: dict[str, SourceVersion] = {}

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=int(min([_MOST_BETWEEN_TICKS, *map(float, groups)])),
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Looks at raw sources and models, and records the data versions of those that changed. It starts no run.",
    )
    def observe(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = time.time()
        rounds = Rounds.read(context.cursor)
        due = rounds.due(groups, now)
        instance = context.instance

        def look(name: str) -> tuple[SourceVersion, dg.AssetObservation | None]:
            key, source = sources[name]
            now = known[name] = source_version(source, key, instance, limit, known.get(name))
            return now, None if now.is_recorded else _observation(now, key, registry, translator, instance)

        looked = looks.at([name for _, name in due], look, budget=BUDGET, patience=PATIENCE)
        events: list[dg.AssetObservation] = []
        changed: list[str] = []
        failed: list[str] = []
        for number, (_, name) in enumerate(due[: looked.taken]):
            found = looked.answers.get(number)
            if not isinstance(found, tuple):
                failed.append(name)
                context.log.warning(f"{name} ({sources[name][1].uri}) cannot be looked at: {_told(found)}")
            elif found[1] is not None:
                changed.append(name)
                events.append(found[1])
        return dg.SensorResult(
            asset_events=events,
            cursor=rounds.after(groups, due, looked.taken, now).write(),
            skip_reason=_summary(looked.taken, changed, failed, len(due) - looked.taken),
        )

    return [observe]


def _told(problem: Exception | None) -> str:
    """What is wrong. Only errors of ours are known to hold no secret."""
    if problem is None:
        return f"no answer within {BUDGET + PATIENCE:.0f} s."
    return str(problem) if isinstance(problem, AlignedError) else f"{type(problem).__name__}."


def _summary(looked: int, changed: Sequence[str], failed: Sequence[str], left: int) -> str:
    if not looked:
        return "No source is to be looked at yet."
    parts = [f"Looked at {looked} source{'s' * (looked != 1)}"]
    parts += [f"{len(changed)} changed: {_some(changed)}"] if changed else ["none changed"]
    parts += [f"{len(failed)} cannot be looked at (see the log): {_some(failed)}"] if failed else []
    parts += [f"{left} are left for the next tick"] if left else []
    return "; ".join(parts) + "."


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _observation(
    found: SourceVersion,
    key: dg.AssetKey,
    registry: ContractRegistry,
    translator: ContractTranslator,
    instance: dg.DagsterInstance,
) -> dg.AssetObservation:
    """The event that records a version.

    A source that was never observed has changed for Dagster whatever its version is. So the first event has it as
    metadata alone where all that was materialised from the source is of this version, and nothing is computed again.
    """
    first = not instance.fetch_observations(key, limit=1).records
    if not first or not _is_behind(key, registry, translator, instance):
        return found.observation(key)
    metadata: dict[str, Any] = {**found.metadata, RECORDED: found.version}
    return dg.AssetObservation(key, metadata=metadata)


def _is_behind(
    key: dg.AssetKey, registry: ContractRegistry, translator: ContractTranslator, instance: dg.DagsterInstance
) -> bool:
    """Whether contracts are materialised from a source, all from the version that it has now."""
    versions = Versions(registry, instance, translator.settings.content_limit)
    found = False
    for name in registry.stored_readers.get(key, ()):
        view = registry.views[name]
        event = instance.get_latest_materialization_event(registry.key_of(name))
        materialization = event.asset_materialization if event is not None else None
        if materialization is None:
            continue
        try:
            now = versions.of_result(view, translator.get_code_version(view))
        except AlignedError:  # nothing can be computed from it as it is
            continue
        if (materialization.tags or {}).get("dagster/data_version") != now.value:
            return False
        found = True
    return found
