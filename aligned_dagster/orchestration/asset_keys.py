"""The asset keys of contracts, raw sources and models: one each, whatever the translator says."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.errors import DuplicateNameError

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.orchestration.translator import ContractTranslator
    from aligned_dagster.sources.exposed.base import ExposedModel


def refuse_shared_keys(views: Mapping[str, FeatureView[Any]], keys: Mapping[str, dg.AssetKey]) -> None:
    """Refuse contracts that would be one asset.

    Raises:
        DuplicateNameError: names them, and where they are.
    """
    first: dict[dg.AssetKey, str] = {}
    for name, key in keys.items():
        if key in first:
            one, other = views[first[key]], views[name]
            raise DuplicateNameError(
                f"The contracts {one.name!r} ({one.location}) and {other.name!r} ({other.location}) both "
                f"have the asset key {key.to_user_string()!r}. Let get_asset_key tell them apart."
            )
        first[key] = name


def exposed_models(
    views: Iterable[FeatureView[Any]], translator: ContractTranslator, given: Collection[dg.AssetKey]
) -> tuple[dict[str, dg.AssetKey], dict[dg.AssetKey, ExposedModel]]:
    """Model contract's name to the key of its model, and key to model of those that no asset of the user is.

    Contracts with one model have one asset for it, under the key that the user's asset has, if there is one. A Python
    function is no asset of its own, unless the user has one under its key.
    """
    keys: dict[str, dg.AssetKey] = {}
    models: dict[dg.AssetKey, ExposedModel] = {}
    of_address: dict[str, dg.AssetKey] = {}
    contracts = sorted(
        (view for view in views if isinstance(view, ModelContract)), key=lambda view: view.name
    )
    named = [(view, view.exposed_model, translator.get_model_key(view)) for view in contracts]
    for _, exposed, key in named:
        if exposed is not None and key in given:
            of_address.setdefault(exposed.uri, key)
    for view, exposed, key in named:
        if exposed is None or (exposed.type == "python" and exposed.uri not in of_address):
            continue
        found = keys[view.name] = key if key in given else of_address.setdefault(exposed.uri, key)
        if found not in given:
            models[found] = exposed
    return keys, models


def stored_as(
    views: Mapping[str, FeatureView[Any]], keys: Mapping[str, dg.AssetKey]
) -> dict[str, dg.AssetKey]:
    """Addresses at which a contract is materialised: who reads them reads that contract."""
    return {view.storage.uri: keys[name] for name, view in views.items() if not view.is_virtual}


def distinct(keys: Mapping[str, dg.AssetKey]) -> dict[str, dg.AssetKey]:
    """The same keys, with a digest of the address added to those that Dagster would take for one another."""
    owners: dict[str, list[str]] = {}
    for uri, key in keys.items():
        owners.setdefault(key.to_python_identifier(), []).append(uri)
    return {
        uri: key if len(owners[key.to_python_identifier()]) == 1 else _with_digest(key, uri)
        for uri, key in keys.items()
    }


def _with_digest(key: dg.AssetKey, uri: str) -> dg.AssetKey:
    digest = hashlib.sha256(uri.encode()).hexdigest()[:8]
    return dg.AssetKey([*key.path[:-1], f"{key.path[-1]}_{digest}"])
