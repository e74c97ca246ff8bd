"""Which asset is which contract or raw source: the one place where asset keys are looked up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from aligned_dagster.contracts.lock import ContractsLock
from aligned_dagster.errors import UnknownContractError, did_you_mean
from aligned_dagster.orchestration.asset_keys import distinct, exposed_models, refuse_shared_keys, stored_as
from aligned_dagster.orchestration.partitions import Partitions

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.orchestration.translator import ContractTranslator
    from aligned_dagster.sources.exposed.base import ExposedModel
    from aligned_dagster.sources.source import DataSource


@dataclass(frozen=True)
class ContractRegistry:
    """The contracts and raw sources of one set of definitions, by asset key. Build it with `of`.

    Args:
        views: every contract by its name, those that are only read included.
        read_only: names of the contracts that others read but that are not defined here.
        view_keys: contract name to asset key.
        sources: address to raw source; sources with one address are one asset.
        source_keys: address to asset key.
        addresses: contract name to the addresses that it reads itself.
        readers: address to the names of the contracts that read it themselves.
        partitions: contract name to its partitions, where it has any.
        model_keys: model contract's name to the asset of the model that predicts for it, where that is one.
        models: asset key to model, of those that are observed; the others are written by an asset of the user.
        resource_keys: contract name to the resources of the connections that it uses itself.
        pools: contract name to the connection of which its asset takes a place while it runs.
        read_by_others: names of the contracts whose rows an IO manager reads that is none of ours.
    """

    views: Mapping[str, FeatureView[Any]]
    read_only: frozenset[str]
    view_keys: Mapping[str, dg.AssetKey]
    sources: Mapping[str, DataSource]
    source_keys: Mapping[str, dg.AssetKey]
    addresses: Mapping[str, Sequence[str]]
    readers: Mapping[str, Sequence[str]]
    partitions: Mapping[str, Partitions]
    model_keys: Mapping[str, dg.AssetKey] = field(default_factory=dict)
    models: Mapping[dg.AssetKey, ExposedModel] = field(default_factory=dict)
    resource_keys: Mapping[str, Collection[str]] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)
    read_by_others: Collection[str] = ()

    @staticmethod
    def of(
        views: Iterable[FeatureView[Any]],
        translator: ContractTranslator,
        read_only: Mapping[str, FeatureView[Any]] | None = None,
        lock: ContractsLock | None = None,
        given: Collection[dg.AssetKey] = (),
        resource_keys: Mapping[str, Collection[str]] | None = None,
        pools: Mapping[str, str] | None = None,
        io_managers: Collection[str] = (),
    ) -> ContractRegistry:
        """The registry of these contracts, of the contracts that they read, and of their raw sources.

        Args:
            views: the contracts that are defined here.
            translator: says their asset keys.
            read_only: further contracts that are read and not defined here.
            lock: knows the schema versions that they had; only those of now if not given.
            given: keys of assets that the user writes, which may be those of models.
            resource_keys: contract name to the resources that its asset is shown to use.
            pools: contract name to the connection of which its asset takes a place.
            io_managers: names of the resources that the user gives, among them those that take the place of IO managers.

        Raises:
            DuplicateNameError: two contracts have one asset key.
        """
        own = {view.name: view for view in views}
        known = {**(read_only or {}), **own}
        waiting = list(known.values())
        while waiting:
            for name, upstream in waiting.pop().upstream_views.items():
                if name not in known:
                    known[name] = upstream
                    waiting.append(upstream)
        view_keys = {name: translator.get_asset_key(view) for name, view in known.items()}
        refuse_shared_keys(known, view_keys)
        read = {
            name: {source.uri: source for source in view.raw_sources}
            for name, view in known.items()
            if name in own or view.is_virtual
        }
        readers: dict[str, list[str]] = {}
        for name, found in read.items():
            for uri in found:
                readers.setdefault(uri, []).append(name)
        sources = {uri: source for found in read.values() for uri, source in found.items()}
        stored = stored_as(known, view_keys)
        raw = {uri: source for uri, source in sources.items() if uri not in stored}
        source_keys = distinct({uri: translator.get_source_key(source) for uri, source in raw.items()})
        model_keys, models = exposed_models(
            [view for name, view in known.items() if name in own or view.is_virtual], translator, given
        )
        return ContractRegistry(
            views=known,
            read_only=frozenset(known.keys() - own.keys()),
            view_keys=view_keys,
            sources=raw,
            source_keys={**source_keys, **stored},
            addresses={name: tuple(found) for name, found in read.items()},
            readers=readers,
            partitions={
                name: divided
                for name, view in known.items()
                if (divided := Partitions.of(view, translator, lock or ContractsLock()))
            },
            model_keys=model_keys,
            models=models,
            resource_keys=resource_keys or {},
            pools=pools or {},
            read_by_others=frozenset(
                name for name, view in known.items() if translator.get_io_manager_key(view) in io_managers
            ),
        )

    def view_at(self, key: dg.AssetKey) -> FeatureView[Any]:
        """The contract behind an asset key.

        Raises:
            UnknownContractError: no contract is.
        """
        if key in self.names:
            return self.views[self.names[key]]
        names = [known.to_user_string() for known in self.view_keys.values()]
        shown = key.to_user_string()
        if key in self.source_keys.values():
            uri = next(uri for uri, known in self.source_keys.items() if known == key)
            raise UnknownContractError(
                f"{shown!r} is the raw source {uri}, which has no schema of its own. "
                f"Take a contract that reads it as the input: {', '.join(self.readers[uri])}."
            )
        predicted = [name for name, known in self.model_keys.items() if known == key]
        if predicted:
            raise UnknownContractError(
                f"{shown!r} is the model behind {', '.join(predicted)}, which has no rows. Take that contract as the input."
            )
        raise UnknownContractError(
            f"No contract is behind the asset {shown!r}.{did_you_mean(shown, names)} "
            f"Contracts: {', '.join(names)}."
        )

    def key_of(self, name: str) -> dg.AssetKey:
        """The asset key of a contract.

        Raises:
            UnknownContractError: there is no contract of that name.
        """
        if name not in self.view_keys:
            raise UnknownContractError(f"There is no contract {name!r}.{did_you_mean(name, self.view_keys)}")
        return self.view_keys[name]

    def partitions_def(self, view: FeatureView[Any]) -> dg.PartitionsDefinition[Any] | None:
        """What Dagster is told of a contract's partitions; None where it has none."""
        found = self.partitions.get(view.name)
        return None if found is None else found.definition

    def partitions_at(self, key: dg.AssetKey) -> Partitions | None:
        """The partitions of the contract behind an asset key, where there is one and it has some."""
        return self.partitions.get(self.names.get(key, ""))

    @cached_property
    def names(self) -> Mapping[dg.AssetKey, str]:
        """Asset key to contract name."""
        return {key: name for name, key in self.view_keys.items()}

    def raw_parents(self, view: FeatureView[Any]) -> dict[dg.AssetKey, DataSource]:
        """The raw sources that a contract reads itself, by asset key; what another one stores is not raw."""
        raw = (uri for uri in self.addresses.get(view.name, ()) if uri in self.sources)
        return {self.source_keys[uri]: self.sources[uri] for uri in raw}

    def observed(self) -> dict[dg.AssetKey, DataSource | ExposedModel]:
        """Every raw source and every model that is observed, by asset key."""
        return {**{self.source_keys[uri]: source for uri, source in self.sources.items()}, **self.models}

    def observed_parents(self, view: FeatureView[Any]) -> dict[dg.AssetKey, DataSource | ExposedModel]:
        """The raw sources that a contract reads, and the models that predict for it if those are observed.

        What it reads through virtual contracts is among them: its rows are computed from that.
        """
        found: dict[dg.AssetKey, DataSource | ExposedModel] = {}
        seen: set[str] = set()
        waiting = [view]
        while waiting:
            one = waiting.pop()
            found |= self.raw_parents(one)
            key = self.model_keys.get(one.name)
            if key is not None and key in self.models:
                found[key] = self.models[key]
            virtual = [name for name in sorted(one.depends_on() - seen) if self.views[name].is_virtual]
            seen.update(virtual)
            waiting += [self.views[name] for name in virtual]
        return found

    @cached_property
    def stored_readers(self) -> Mapping[dg.AssetKey, Sequence[str]]:
        """Asset key of what is observed to the stored contracts that are defined here and read it; see `observed_parents`."""
        readers: dict[dg.AssetKey, list[str]] = {}
        for name, view in self.views.items():
            if not view.is_virtual and name not in self.read_only:
                for key in self.observed_parents(view):
                    readers.setdefault(key, []).append(name)
        return readers

    def parents(self, view: FeatureView[Any]) -> list[dg.AssetKey]:
        """Every asset upstream of a contract: contracts that it reads or refers to, raw sources, and its model.

        A contract that is defined elsewhere is not audited here, so its references count for nothing.
        """
        own = self.key_of(view.name)
        referred = frozenset() if view.name in self.read_only else view.references()
        keys = [self.key_of(name) for name in sorted(view.depends_on() | referred)]
        keys += [self.source_keys[uri] for uri in self.addresses.get(view.name, ())]
        keys += [self.model_keys[view.name]] if view.name in self.model_keys else []
        return [key for key in dict.fromkeys(keys) if key != own]

    def rows(self, view: FeatureView[Any]) -> pl.LazyFrame:
        """The rows of a contract as a consumer sees them, not read yet.

        Stored rows are scanned. Those of a virtual contract are computed from its raw sources and from the
        rows of the contracts that it reads, all in one lazy plan.
        """
        if not view.is_virtual:
            return view.read()
        return view.read({name: self.rows(self.views[name]) for name in sorted(view.depends_on())})
