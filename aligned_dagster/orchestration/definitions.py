"""From a store of contracts to the definitions of a Dagster code location."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.orchestration.assets import contract_asset
from aligned_dagster.orchestration.automation import schedules
from aligned_dagster.orchestration.discovery import discovery_sensors
from aligned_dagster.orchestration.io_manager import contract_io_manager
from aligned_dagster.orchestration.producing import Recipe, recipe_of
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.sources import read_only_assets, source_assets
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

    Every contract is an asset with its constraints as checks, every raw source an observed asset, every cron
    expression a schedule, one sensor finds stored partitions, and one IO manager reads the contracts for whoever
    takes them as an input.

    Args:
        store: the contracts.
        translator: how they look; override its methods to decide otherwise.
        resources: further resources, for the functions in `assets` or in place of the IO manager.
        assets: further assets. One made with `@produces(View)` takes the place of that view's own asset.
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
    registry = ContractRegistry.of(views.values(), translator, read_only=read, lock=lock)
    own = [_asset(view, recipes.get(name), registry, translator) for name, view in views.items()]
    keys = {translator.get_io_manager_key(view) for view in registry.views.values()}
    manager = contract_io_manager(registry)
    return dg.Definitions(
        assets=[
            *own,
            *source_assets(registry, translator),
            *read_only_assets(registry, translator),
            *(asset for asset in assets if recipe_of(asset) is None),
        ],
        schedules=schedules(views.values(), registry),
        sensors=discovery_sensors(registry),
        resources={**dict.fromkeys(sorted(keys), manager), **(resources or {})},
        executor=executor,
    )


def _asset(
    view: FeatureView[Any],
    recipe: Recipe | None,
    registry: ContractRegistry,
    translator: ContractTranslator,
) -> dg.AssetsDefinition:
    if recipe is not None:
        return recipe.build(registry, translator)
    return contract_asset(view, registry, translator)
