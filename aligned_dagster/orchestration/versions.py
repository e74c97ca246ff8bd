"""Data versions: what decides whether an asset is stale.

A contract's version says from which code and from which data its rows were computed, so that materialising
twice from the same data gives the same version and leaves everything downstream fresh.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.source_versions import DATA_VERSION_TAG, SourceVersion, source_version

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.sources.exposed.base import ExposedModel
    from aligned_dagster.sources.source import DataSource


class Versions:
    """Data versions as they are at the start of one step; each source is looked at once.

    Args:
        registry: the contracts and raw sources.
        instance: where the versions of stored contracts are recorded.
        limit: the most bytes of a source that are read to tell whether its content changed.
    """

    def __init__(self, registry: ContractRegistry, instance: dg.DagsterInstance, limit: int) -> None:
        self._registry = registry
        self._instance = instance
        self._limit = limit
        self._sources: dict[dg.AssetKey, SourceVersion] = {}
        self._found: dict[dg.AssetKey, str] = {}
        self._models: dict[str, str] = {}

    def of_result(self, view: FeatureView[Any], code_version: str | None) -> dg.DataVersion:
        """The version of what a contract's asset is about to compute."""
        return dg.DataVersion(self._computed(view, code_version))

    def observe(self, context: dg.AssetExecutionContext, view: FeatureView[Any]) -> None:
        """Record the raw sources, and the model, as they are when a contract is about to read them.

        Without this, a file that changed since it was last observed would be read, and the asset would then be shown as
        computed from the old version. A source whose version is already recorded is left alone.
        """
        step = context.get_step_execution_context()
        for key, source in self._registry.observed_parents(view).items():
            now = self._source(key, source)
            if not now.is_recorded:
                context.log_event(now.observation(key))
            known = step.maybe_fetch_and_get_input_asset_version_info(key)
            if known is None or known.data_version != dg.DataVersion(now.version):
                step.wipe_input_asset_version_info(
                    key
                )  # so that the provenance names the version just recorded

    def _source(self, key: dg.AssetKey, source: DataSource | ExposedModel) -> SourceVersion:
        if key not in self._sources:
            self._sources[key] = source_version(source, key, self._instance, self._limit)
        return self._sources[key]

    def _computed(self, view: FeatureView[Any], code_version: str | None) -> str:
        registry = self._registry
        parts = [code_version or "", view.version]
        for key, source in sorted(
            registry.raw_parents(view).items(), key=lambda item: item[0].to_user_string()
        ):
            parts.append(f"{key.to_user_string()}={self._source(key, source).version}")
        parts += self._model(view)
        own = registry.key_of(view.name)
        others = {own, registry.model_keys.get(view.name), *registry.raw_parents(view)}
        for key in registry.parents(view):
            if key not in others:
                parts.append(f"{key.to_user_string()}={self._upstream(registry.view_at(key))}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _model(self, view: FeatureView[Any]) -> list[str]:
        """The model that predicts for a contract, as it is now: also one that is no asset of its own."""
        exposed = view.exposed_model if isinstance(view, ModelContract) else None
        if exposed is None:
            return []
        key = self._registry.model_keys.get(view.name)
        if key is not None and key in self._registry.models:
            return [f"model {exposed.uri}={self._source(key, exposed).version}"]
        if exposed.uri not in self._models:
            self._models[exposed.uri] = exposed.fingerprint().data_version
        return [f"model {exposed.uri}={self._models[exposed.uri]}"]

    def _upstream(self, view: FeatureView[Any]) -> str:
        key = self._registry.key_of(view.name)
        if key not in self._found:
            self._found[key] = (
                self._computed(view, view.code_version) if view.is_virtual else self._recorded(view, key)
            )
        return self._found[key]

    def _recorded(self, view: FeatureView[Any], key: dg.AssetKey) -> str:
        """The version at the last materialisation; of rows that Dagster did not write, their fingerprint."""
        if view.name in self._registry.partitions:
            return self._recorded_by_partition(view, key)
        event = self._instance.get_latest_materialization_event(key)
        materialization = event.asset_materialization if event else None
        tag = (materialization.tags or {}).get(DATA_VERSION_TAG) if materialization else None
        return tag if tag is not None else view.storage.fingerprint().data_version

    def _recorded_by_partition(self, view: FeatureView[Any], key: dg.AssetKey) -> str:
        """One version over those of all partitions."""
        found = self._instance.event_log_storage.get_latest_tags_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION_TAG]
        )
        versions = sorted((name, tags.get(DATA_VERSION_TAG, "")) for name, tags in found.items())
        if not versions:
            return view.storage.fingerprint().data_version
        return hashlib.sha256(repr(versions).encode()).hexdigest()
