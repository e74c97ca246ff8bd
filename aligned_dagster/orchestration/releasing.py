"""Rows that left the quarantine, told to Dagster: what is downstream of them is out of date, and runs where it is eager."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository

from aligned_dagster.orchestration.assets import registry_of
from aligned_dagster.orchestration.running import project_instance, use_home
from aligned_dagster.orchestration.source_versions import DATA_VERSION_TAG

if TYPE_CHECKING:
    from aligned_dagster.contracts.quarantine import Release
    from aligned_dagster.orchestration.project import ProjectSettings


def report_release(settings: ProjectSettings, contract: str, run_id: str, release: Release) -> bool:
    """Record that a contract's rows are others now, and say whether it was recorded.

    It is not of a contract with partitions: which of them changed is not known.

    Args:
        settings: the project.
        contract: whose rows were released.
        run_id: the run that had kept them aside.
        release: what became of them.
    """
    repository = ReconstructableRepository.for_module(
        settings.definitions, "defs", str(settings.root)
    ).get_definition()
    found = next(filter(None, map(registry_of, repository.assets_defs_by_key.values())), None)
    if found is None or contract not in found.views or contract in found.partitions:
        return False
    key = found.key_of(contract)
    use_home(settings)
    with project_instance() as instance:
        last = instance.get_latest_materialization_event(key)
        before = last.asset_materialization if last is not None else None
        tags = (before.tags if before is not None else None) or {}
        version = hashlib.sha256(
            f"{tags.get(DATA_VERSION_TAG)}\n{run_id}\n{release.publication.uri}".encode()
        )
        metadata: dict[str, Any] = {
            "dagster/row_count": release.publication.rows,
            "released_rows": release.released,
            "quarantine_run": run_id,
            "dagster/uri": release.publication.uri,
        }
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                key,
                description="Rows left the quarantine.",
                metadata=metadata,
                tags={**tags, DATA_VERSION_TAG: version.hexdigest()},
            )
        )
    return True
