"""From a store of contracts to the definitions of a Dagster code location."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.orchestration.assets import contract_asset
from aligned_dagster.orchestration.automation import automation_sensors, conditions_of
from aligned_dagster.orchestration.code_references import GitLinks, linked_to_git
from aligned_dagster.orchestration.connections import Connected, connection_keys, connection_resources
from aligned_dagster.orchestration.discovery import discovery_sensors
from aligned_dagster.orchestration.freshness_checks import freshness_checks
from aligned_dagster.orchestration.io_manager import contract_io_manager
from aligned_dagster.orchestration.observation import observation_sensors
from aligned_dagster.orchestration.pools import pools_of
from aligned_dagster.orchestration.producing import Recipe, recipe_of
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.schedules import schedules
from aligned_dagster.orchestration.sources import model_assets, read_only_assets, source_assets
from aligned_dagster.orchestration.translator import ContractTranslator

if TYPE_CHECKING:
    from aligned_dagster.contracts.connections import Connection
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
    git: GitLinks | None = None,
) -> dg.Definitions:
    """Everything that Dagster needs to run the contracts of a store.

    Every contract is an asset with its constraints as checks, every raw source and every model an observed asset,
    every cron expression a schedule. One sensor finds stored partitions, one observes the sources, and one evaluates what
    contracts say of `automation`. An IO manager for each kind of storage reads the contracts for whoever takes them as an
    input. Databases, buckets and accounts are resources, by which a deployment replaces them. Contracts that say how old
    their data may be are checked for that, and model contracts for how good their predictions are and for drift.

    Args:
        store: the contracts.
        translator: how they look; override its methods to decide otherwise.
        resources: further resources for the functions in `assets`; and by the name of a connection, such as
            `postgres_PSQL_DB_URL`, what takes its place in all contracts: a config, a resource of
            `aligned_dagster.orchestration` (`PostgreSQLResource(env_var="OTHER")`), or one of dagster-aws or
            dagster-azure. By the name of an IO manager, such as `parquet_io_manager`, another one for its contracts.
        assets: further assets. One made with `@produces(View)` takes the place of that view's own asset,
            one with `key=model_key(Model)` that of the observed model.
        executor: what runs the steps; Dagster's default if not given.
        lock: knows the schema versions that contracts had before, as `ContractsLock.read(directory)` gives it.
        git: the repository to which assets link, in place of files of this machine.

    Raises:
        DuplicateNameError: two contracts have one asset key.
        ContractError: a contract says something that Dagster cannot do.
        ConfigurationError: a resource cannot take the place of a connection, or holds a secret.
    """
    translator = translator or ContractTranslator()
    recipes = {recipe.view.name: recipe for asset in assets if (recipe := recipe_of(asset)) is not None}
    everything = store.with_missing(
        view for recipe in recipes.values() for view in (recipe.view, *recipe.named_views)
    )
    connections = everything.connections
    connected = Connected.of(connections, resources or {})
    if connected.configs:
        everything = everything.with_connections(connected.configs)
        connections = everything.connections
    views = {name: view for name, view in everything.views.items() if name in store.views or name in recipes}
    registry = ContractRegistry.of(
        views.values(),
        translator,
        read_only={name: view for name, view in everything.views.items() if name not in views},
        lock=lock,
        given={key for asset in assets for key in _keys(asset)},
        resource_keys=_resource_keys(everything, connections, translator),
        pools=pools_of(everything.views.values(), connections),
        io_managers=connected.resources,
    )
    readers: dict[str, list[str]] = {}
    for name, view in sorted(registry.views.items()):
        readers.setdefault(translator.get_io_manager_key(view), []).append(name)
    others = [asset for asset in assets if recipe_of(asset) is None]
    running = translator.settings.automation_running
    own = [_asset(view, recipes.get(name), registry, translator) for name, view in views.items()]
    checks = [
        *freshness_checks(views.values(), registry, translator),
        *_model_checks(views.values(), registry, translator),
    ]
    if git is not None:
        own = linked_to_git(own, git)
    return dg.Definitions(
        assets=[
            *own,
            *source_assets(registry, translator),
            *model_assets(registry, translator),
            *read_only_assets(registry, translator),
            *others,
        ],
        asset_checks=checks,
        schedules=schedules(views.values(), registry, running=running),
        sensors=[
            *discovery_sensors(registry),
            *observation_sensors(registry, translator, running=running),
            *automation_sensors(conditions_of([*own, *others, *checks]), running=running),
        ],
        resources={
            **{key: contract_io_manager(registry, names) for key, names in sorted(readers.items())},
            **connection_resources(connections),
            **connected.resources,
        },
        executor=executor,
    )


def _resource_keys(
    store: ContractStore, connections: Mapping[str, Connection], translator: ContractTranslator
) -> dict[str, frozenset[str]]:
    """Contract name to the resources that the UI shows its asset to use: its IO manager and its connections."""
    keys = connection_keys(connections)
    return {
        name: keys.get(name, frozenset()) | {translator.get_io_manager_key(view)}
        for name, view in store.views.items()
    }


def _model_checks(
    views: Iterable[FeatureView[Any]], registry: ContractRegistry, translator: ContractTranslator
) -> list[dg.AssetChecksDefinition]:
    models = [view for view in views if isinstance(view, ModelContract)]
    if not models:
        return []
    from aligned_dagster.orchestration.model_checks import model_checks

    return model_checks(models, registry, translator)


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
