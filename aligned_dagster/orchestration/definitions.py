"""From a store of contracts to the definitions of a Dagster code location."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.orchestration.assets import contract_asset
from aligned_dagster.orchestration.automation import schedules
from aligned_dagster.orchestration.discovery import discovery_sensors
from aligned_dagster.orchestration.freshness_checks import freshness_checks
from aligned_dagster.orchestration.io_manager import contract_io_manager
from aligned_dagster.orchestration.model_checks import model_checks
from aligned_dagster.orchestration.producing import Recipe, recipe_of
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.sources import model_assets, read_only_assets, source_assets
from aligned_dagster.orchestration.translator import ContractTranslator

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.lock import ContractsLock
    from aligned_dagster.contracts.store import ContractStore


def build_definitions(
    store: ContractStore,
    translator: ContractTranslator | None = None,
    resources: Mapping[str, Any] | None = None,
    *,
    assets: Sequence[Any] = (),
    executor: dg.ExecutorDefinition | None = None,
    lock: ContractsLock | None = None,
) -> dg.Definitions:
    """Everything that Dagster needs to run the contracts of a store.

    Every contract is an asset with its constraints as checks, every raw source and every model an observed asset,
    every cron expression a schedule, one sensor finds stored partitions, and one IO manager reads the contracts for
    whoever takes them as an input. Contracts that say how old their data may be are checked for that, and model
    contracts for how good their predictions are and for drift.

    Args:
        store: the contracts.
        translator: how they look; override its methods to decide otherwise.
        resources: further resources, for the functions in `assets` or in place of the IO manager.
        assets: further assets. One made with `@produces(View)` takes the place of that view's own asset,
            one with `key=model_key(Model)` that of the observed model.
        executor: what runs the steps; Dagster's default if not given.
        lock: knows the schema versions that contracts had before, as `ContractsLock.read(directory)` gives it.

    Raises:
        DuplicateNameError: two contracts have one asset key.
        ContractError: a contract says something that Dagster cannot do.
    """
    translator = translator or ContractTranslator()
    views = dict(store.views)
    recipes = {recipe.view.name: recipe for asset in assets if (recipe := recipe_of(asset)) is not None}
    for name, recipe in recipes.items():
        views.setdefault(name, recipe.view)
    read = {view.name: view for recipe in recipes.values() for view in recipe.named_views}
    given = {key for asset in assets for key in _keys(asset)}
    registry = ContractRegistry.of(views.values(), translator, read_only=read, lock=lock, given=given)
    own = [_asset(view, recipes.get(name), registry, translator) for name, view in views.items()]
    keys = {translator.get_io_manager_key(view) for view in registry.views.values()}
    manager = contract_io_manager(registry)
    return dg.Definitions(
        assets=[
            *own,
            *source_assets(registry, translator),
            *model_assets(registry, translator),
            *read_only_assets(registry, translator),
            *(asset for asset in assets if recipe_of(asset) is None),
        ],
        asset_checks=[
            *freshness_checks(views.values(), registry, translator),
            *model_checks(views.values(), registry, translator),
        ],
        schedules=schedules(views.values(), registry),
        sensors=discovery_sensors(registry),
        resources={**dict.fromkeys(sorted(keys), manager), **(resources or {})},
        executor=executor,
    )


def _keys(asset: Any) -> list[dg.AssetKey]:
    """The keys of whatever `dagster.Definitions` takes as an asset."""
    several = getattr(asset, "keys", None)
    if several is not None and not callable(several):
        return list(several)
    key = getattr(asset, "key", None)
    return [key] if isinstance(key, dg.AssetKey) else []


def _asset(
    view: FeatureView[Any],
    recipe: Recipe | None,
    registry: ContractRegistry,
    translator: ContractTranslator,
) -> dg.AssetsDefinition:
    if recipe is not None:
        return recipe.build(registry, translator)
    return contract_asset(view, registry, translator)
