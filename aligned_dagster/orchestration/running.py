"""Materialise the assets of a project in runs that the UI knows too."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.dependency import NodeHandle
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.api import execute_run_iterator
from dagster._core.instance.ref import InstanceRef
from sqlalchemy import event
from sqlalchemy.engine import Engine

from aligned_dagster.errors import AlignedError, ConfigurationError, did_you_mean
from aligned_dagster.orchestration.assets import registry_of
from aligned_dagster.orchestration.batches import Batch, in_batches
from aligned_dagster.orchestration.discovery import register_computed, register_found
from aligned_dagster.orchestration.home import use_home as use_home
from aligned_dagster.orchestration.partition_ranges import PartitionRange, every_partition
from aligned_dagster.orchestration.producing import recipe_of
from aligned_dagster.orchestration.project import ProjectSettings
from aligned_dagster.orchestration.run_launcher import on_this_machine
from aligned_dagster.orchestration.summary import RunSummary

if TYPE_CHECKING:
    from dagster import DagsterEvent, RepositoryDefinition

Observer = Callable[["DagsterEvent", RunSummary], None]


def materialize(
    settings: ProjectSettings, select: str | None, *, begin: Callable[[RunSummary], None], observe: Observer
) -> RunSummary:
    """Run the assets of a project, one step after another in this process, on its persistent storage.

    Assets without partitions run together, those with the same partitions in a run over all of them, each after
    what it depends on. What depends on something that failed is left out; the others run.

    Args:
        settings: the project.
        select: an asset selection such as "flights" or "+flights"; everything if None.
        begin: called with the still empty summary before the first event.
        observe: called with every event, after the summary took note of it.

    Raises:
        ConfigurationError: the selection holds no asset.
        KeyboardInterrupt: a run was interrupted; it is recorded as failed.
        AlignedError: a contract is wrong.
    """
    recon = ReconstructableRepository.for_module(settings.definitions, "defs", str(settings.root))
    repository = recon.get_definition()
    batches = in_batches(repository.asset_graph, _selected(repository, select))
    jobs = [_job(recon, repository, batch.keys) for batch in batches]
    result = RunSummary()
    for job in jobs:
        definition = job.get_definition()
        for node in definition.nodes:
            result.expect(node.name, _assets_of(definition, node.name))
    begin(result)
    with project_instance() as instance:
        for batch, job in zip(batches, jobs, strict=True):
            ready = _ready(batch, repository.asset_graph, result)
            ready = [key for key in ready if _registered(key, repository, instance, result)]
            if len(ready) < len(batch.keys):
                job = _job(recon, repository, ready) if ready else job
            registry = registry_of(repository.assets_defs_by_key[ready[0]]) if ready else None
            partitions = registry.partitions_at(ready[0]) if registry is not None else None
            for part in batch.ranges(partitions, instance) if ready else ():
                _execute(job, ready, part, instance, result, observe)
    return result


def _execute(
    job: ReconstructableJob,
    keys: Sequence[dg.AssetKey],
    part: PartitionRange | None,
    instance: dg.DagsterInstance,
    result: RunSummary,
    observe: Observer,
) -> None:
    definition = job.get_definition()
    run = instance.create_run_for_job(
        job_def=definition,
        run_config=_quiet_in_process(definition),
        tags={
            "dagster/from": "aligned-dagster",
            **on_this_machine(),
            **(part.tags if part is not None else {}),
        },
        job_code_origin=job.get_python_origin(),
        asset_selection=frozenset(keys),
    )
    result.runs.append(run.run_id)
    try:
        for found in execute_run_iterator(job, run, instance):
            result.record(found)
            observe(found, result)
    except DagsterExecutionInterruptedError:
        raise KeyboardInterrupt from None
    if result.interrupted:  # Dagster turned Ctrl-C into the failure of a step
        raise KeyboardInterrupt


def _job(
    recon: ReconstructableRepository, repository: RepositoryDefinition, keys: Sequence[dg.AssetKey]
) -> ReconstructableJob:
    name = repository.get_implicit_job_def_for_assets(keys).name  # type: ignore[union-attr]  # keys are those of assets
    return recon.get_reconstructable_job(name).get_subset(asset_selection=frozenset(keys))


def _ready(batch: Batch, graph: BaseAssetGraph[Any], result: RunSummary) -> list[dg.AssetKey]:
    """The assets of a batch that depend on nothing that failed or was left out."""
    stuck = {name for name, asset in result.assets.items() if asset.state in ("failed", "not run")}
    for key in batch.keys:
        waiting, seen = [key], {key}
        blocked = False
        while waiting and not blocked:
            for parent in graph.get(waiting.pop()).parent_keys - seen:
                seen.add(parent)
                name = parent.to_user_string()
                blocked = blocked or name in stuck
                if name not in result.assets:
                    waiting.append(parent)
        if not blocked:
            stuck.discard(key.to_user_string())
    return [key for key in batch.keys if key.to_user_string() not in stuck]


def _registered(
    key: dg.AssetKey, repository: RepositoryDefinition, instance: dg.DagsterInstance, result: RunSummary
) -> bool:
    """Register the partitions that an asset would have; false where that fails or there are none."""
    asset = repository.assets_defs_by_key[key]
    registry = registry_of(asset)
    partitions = registry.partitions_at(key) if registry is not None else None
    if registry is None or partitions is None:
        return True
    view = registry.view_at(key)
    try:
        register_found(registry, instance, view)
        if recipe_of(asset) is None:
            register_computed(view, registry, instance)
    except AlignedError as error:
        result.fail(key.to_user_string(), str(error))
        return False
    if every_partition(partitions, instance) is None:
        result.assets[key.to_user_string()].state = "empty"
        return False
    return True


def _selected(repository: RepositoryDefinition, select: str | None) -> set[dg.AssetKey]:
    graph = repository.asset_graph
    runnable = set(graph.executable_asset_keys)
    keys = runnable if select is None else runnable & _resolved(graph, select)
    if not keys:
        raise ConfigurationError(
            f"The selection {select!r} holds no asset."
            if select
            else "The project has no contract. "
            "A contract is a class below @feature_view(source=...), in a file that `contracts` of [tool.aligned_dagster] names."
        )
    return keys


def _resolved(graph: BaseAssetGraph[Any], select: str) -> set[dg.AssetKey]:
    known = [key.to_user_string() for key in graph.get_all_asset_keys()]
    parts = [part.strip() for part in select.split(",") if part.strip()]
    for part in parts:
        if re.fullmatch(r"[\w./-]+", part) and part not in known:
            raise ConfigurationError(
                f"There is no asset {part!r}.{did_you_mean(part, known)} Assets: {', '.join(sorted(known))}."
            )
    try:
        return set(dg.AssetSelection.from_coercible(parts).resolve(graph))
    except dg.DagsterError as error:
        raise ConfigurationError(f"The selection {select!r} cannot be used: {error}") from error


def _assets_of(job: dg.JobDefinition, step: str) -> list[str]:
    handle = NodeHandle(step, parent=None)
    found = job.asset_layer.get_selected_entity_keys_for_node(handle)
    return sorted(key.to_user_string() for key in found if isinstance(key, dg.AssetKey))


def _quiet_in_process(job: dg.JobDefinition) -> dict[str, Any]:
    """Run config that keeps Dagster's log off the terminal (the UI has it) and starts no processes."""
    config: dict[str, Any] = {}
    if not job.loggers or "console" in job.loggers:
        config["loggers"] = {"console": {"config": {"log_level": "CRITICAL"}}}
    if job.executor_def.name == "multi_or_in_process_executor":
        config["execution"] = {"config": {"in_process": {}}}
    return config


def _without_waiting_for_the_disk(connection: object, _record: object) -> None:
    """Let SQLite commit an event without waiting for the disk, for there are thousands and each is a commit.

    Dagster keeps its database in WAL mode, in which a process that is killed loses nothing by this; after a
    power cut the last events may be missing.
    """
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = NORMAL").close()


def project_instance() -> dg.DagsterInstance:
    """The persistent instance, without the processes that copy this one's output into the UI.

    The output of the run goes to the terminal, where somebody is looking.
    """
    home = os.environ["DAGSTER_HOME"]
    if not event.contains(Engine, "connect", _without_waiting_for_the_disk):
        event.listen(Engine, "connect", _without_waiting_for_the_disk)
    quiet = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(home, overrides={"compute_logs": quiet}))
