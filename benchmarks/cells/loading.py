"""Bare Dagster assets, of a file each, as a code location: from the imports to the snapshot for the host."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value

from benchmarks.cell import Task


def told_to_host(made: dg.Definitions, task: Task) -> None:
    """What a code server does when the host asks: resolve the repository, describe it, serialise that."""
    repository = made.get_repository_def()
    told = serialize_value(RepositorySnap.from_def(repository, defer_snapshots=True))
    graph = repository.asset_graph
    task.figures["assets"] = len(graph.get_all_asset_keys())
    task.figures["checks"] = len(graph.asset_check_keys)
    task.figures["snapshot MB"] = round(len(told) / 1e6, 2)


def bare(task: Task) -> Callable[[], Any]:
    """Import the files, and take the assets."""

    def run() -> Any:
        assets: list[Any] = []
        for file in sorted((task.data / task.args["files"]).glob("*.py")):
            assets += _imported(file).assets
        told_to_host(dg.Definitions(assets), task)

    return run


def contracts(task: Task) -> Callable[[], Any]:
    """Discover the contracts, and build their definitions."""
    from aligned_dagster import ContractStore, EventTimestamp, FileSource, Float, Int64, String, feature_view
    from aligned_dagster.orchestration import build_definitions

    assert all((EventTimestamp, FileSource, Float, Int64, String, feature_view))  # imported, as Dagster is

    def run() -> Any:
        store = ContractStore.discover(str(task.data / "contracts" / "*.py"))
        told_to_host(build_definitions(store), task)

    return run


def _imported(file: Path) -> Any:
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
