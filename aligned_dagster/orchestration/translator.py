"""Every decision about how a contract looks in Dagster, one overridable method each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.contracts.engines import engine_of
from aligned_dagster.contracts.model import ModelContract
from aligned_dagster.orchestration.automation import automation_condition
from aligned_dagster.orchestration.images import docker_config, image_tags
from aligned_dagster.orchestration.observation_intervals import observation_interval
from aligned_dagster.orchestration.partitions import partitions_definition
from aligned_dagster.orchestration.translator_settings import TranslatorSettings

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.partitioning import PartitionScheme
    from aligned_dagster.quality.checks import CheckSpec
    from aligned_dagster.sources.exposed.base import ExposedModel
    from aligned_dagster.sources.source import DataSource

_ICONS = {"function": "python", "sklearn": "scikitlearn"}
"""Kinds of models under the names for which the UI has icons."""
_NEVER = timedelta(days=36_500)
_SHORTEST_WINDOW = timedelta(minutes=1)


class ContractTranslator:
    """Says how contracts and raw sources look in Dagster. Override a method to decide otherwise.

    >>> class ByTeam(ContractTranslator):
    ...     def get_group_name(self, view):
    ...         return next(iter(view.tags), "contracts")
    """

    def __init__(self, settings: TranslatorSettings | None = None) -> None:
        self.settings = settings or TranslatorSettings()

    def get_asset_key(self, view: FeatureView[Any]) -> dg.AssetKey:
        """The asset of a contract: the prefix and its name."""
        return dg.AssetKey([*self.settings.key_prefix, view.name])

    def get_source_key(self, source: DataSource) -> dg.AssetKey:
        """The asset of a raw source: the prefix, the kind, and the last part of its address.

        Two sources that would share a key get a digest of their addresses added to it.
        """
        last = re.split(r"[/\\:]", source.uri.rstrip("/"))[-1] or source.label
        return dg.AssetKey([*self.settings.source_prefix, re.sub(r"[^A-Za-z0-9_.-]+", "_", last)])

    def get_model_key(self, model: ModelContract[Any]) -> dg.AssetKey:
        """The asset of the model that predicts for a contract: the prefix, the contract's name, and the file or address.

        Contracts that are predicted by one model share the asset of the first of them.
        """
        exposed = model.exposed_model
        last = "model" if exposed is None else model_file_name(exposed)
        return dg.AssetKey([*self.settings.model_prefix, model.name, last])

    def get_group_name(self, view: FeatureView[Any]) -> str | None:
        """The group of a contract's asset."""
        return self.settings.group_name

    def get_source_group_name(self, source: DataSource) -> str | None:
        """The group of a raw source's asset."""
        return self.settings.source_group_name

    def get_model_group_name(self, exposed: ExposedModel) -> str | None:
        """The group of a model's asset."""
        return self.settings.model_group_name

    def get_description(self, view: FeatureView[Any]) -> str | None:
        """The text on the asset's page: the contract's description."""
        return view.description or None

    def get_tags(self, view: FeatureView[Any]) -> Mapping[str, str]:
        """Tags of the asset: the contract's tags, characters that Dagster refuses replaced by `_`."""
        return {slug: "" for tag in view.tags if (slug := re.sub(r"[^A-Za-z0-9_.-]", "_", tag)[:63])}

    def get_kinds(self, view: FeatureView[Any]) -> set[str]:
        """Kinds of the asset: its engine and those of its storage, such as parquet and s3, or "view" where nothing is stored.

        Of a model contract "model" and the kind of its model stand in the place of the engine.
        """
        storage = {"view"} if view.is_virtual else _kinds(view.storage)
        if not isinstance(view, ModelContract):
            return {engine_of(view)} | storage
        exposed = view.exposed_model
        return {"model"} | storage | (set() if exposed is None else self.get_model_kinds(exposed))

    def get_source_kinds(self, source: DataSource) -> set[str]:
        """Kinds of a raw source's asset."""
        return {"source"} | _kinds(source)

    def get_model_kinds(self, exposed: ExposedModel) -> set[str]:
        """Kinds of a model's asset: "model", and what the model is."""
        kind = re.sub(r"[^a-z0-9_.-]", "_", exposed.kind.lower())
        return {"model", _ICONS.get(kind, kind)}

    def get_owners(self, view: FeatureView[Any]) -> Sequence[str]:
        """Owners of the asset: those contacts that are an e-mail address or `team:...`, as Dagster demands.

        The others are shown in the metadata as they are.
        """
        return [contact for contact in view.contacts if is_owner(contact)]

    def get_metadata(self, view: FeatureView[Any]) -> Mapping[str, Any]:
        """Metadata of the definition beside the usual: schema, lineage, address, code reference."""
        others = [contact for contact in view.contacts if not is_owner(contact)]
        return {"contacts": ", ".join(others)} if others else {}

    def get_io_manager_key(self, view: FeatureView[Any]) -> str:
        """The resource that reads the contract's rows for whoever takes it as an input: one for each kind of storage.

        `parquet_io_manager`, `s3_parquet_io_manager`, `postgres_io_manager`; `view_io_manager` where nothing is stored.
        """
        if self.settings.io_manager_key is not None:
            return self.settings.io_manager_key
        if view.is_virtual:
            return "view_io_manager"
        place = getattr(getattr(view.storage, "location", None), "kind", "local")
        words = [] if place == "local" else [place]
        return re.sub(r"[^a-z0-9_]", "_", "_".join([*words, view.storage.kind.lower(), "io_manager"]))

    def get_code_version(self, view: FeatureView[Any]) -> str | None:
        """Changes when the derivations or the constraints change, which shows the asset as stale."""
        return view.code_version

    def get_automation_condition(self, view: FeatureView[Any]) -> dg.AutomationCondition[Any] | None:
        """When Dagster materialises the asset by itself: the contract's `automation`."""
        return automation_condition(view)

    def get_observation_interval(
        self, source: DataSource | ExposedModel, key: dg.AssetKey
    ) -> timedelta | None:
        """How often a raw source or an observed model is looked at: as `observe_every` says; None is never."""
        return observation_interval(key.to_user_string(), self.settings.observe_every)

    def get_freshness_policy(self, view: FeatureView[Any]) -> dg.FreshnessPolicy | None:
        """Warns after `acceptable_freshness`, fails after `unacceptable_freshness`.

        It goes by the last materialisation, and the check `freshness` by the data. With only the first one it never
        fails: Dagster wants a second window, which is then a century. Windows of less than a minute it does not take:
        there is no policy then.
        """
        warn, fail = view.acceptable_freshness, view.unacceptable_freshness
        shortest = min((limit for limit in (warn, fail) if limit is not None), default=None)
        if shortest is None or shortest < _SHORTEST_WINDOW:
            return None
        if fail is None:
            return dg.FreshnessPolicy.time_window(fail_window=_NEVER, warn_window=warn)
        return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=warn)

    def get_partitions_def(
        self, view: FeatureView[Any], scheme: PartitionScheme
    ) -> dg.PartitionsDefinition[Any] | None:
        """The partitions of a contract that has some; None makes it one whole. The dimensions keep their names."""
        return partitions_definition(scheme, self.get_asset_key(view))

    def get_partition_mapping(
        self, view: FeatureView[Any], upstream: FeatureView[Any], inferred: dg.PartitionMapping | None
    ) -> dg.PartitionMapping | None:
        """The partitions of an upstream contract that those of a contract depend on: those that are inferred.

        It decides what is shown as missing or stale and what starts before what. The rows that a contract reads
        are those that its own rows are made of in any case.
        """
        return inferred

    def get_backfill_policy(self, view: FeatureView[Any]) -> dg.BackfillPolicy | None:
        """How many partitions go into one run: all of a range, so that the source is asked once."""
        return dg.BackfillPolicy.single_run()

    def get_op_tags(self, view: FeatureView[Any]) -> Mapping[str, Any]:
        """Tags of the op, which launchers and executors read: the image that a custom source asks for."""
        image = docker_config(view)
        return {} if image is None else image_tags(image)

    def get_pool(self, view: FeatureView[Any], inferred: str | None) -> str | None:
        """The pool of the asset, of which Dagster lets so many run at once: that of the database or bucket at which it works.

        It has the name of that connection, such as `postgres_PSQL_DB_URL`; what is in files alone has none. Its limit is
        `concurrency.pools.default_limit` of dagster.yaml, or is set in the UI.
        """
        return inferred

    def get_check_name(self, view: FeatureView[Any], check: CheckSpec) -> str:
        """The asset check of a rule."""
        return check.name


def is_owner(contact: str) -> bool:
    """Whether Dagster takes the text as an owner.

    >>> is_owner("ada@example.org"), is_owner("team:data"), is_owner("Ada")
    (True, True, False)
    """
    return bool(re.fullmatch(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}|team:.+", contact))


def model_key(model: ModelContract[Any], translator: ContractTranslator | None = None) -> dg.AssetKey:
    """The asset key of the model that predicts for a contract.

    An asset of this key that is given to `build_definitions(store, assets=[...])`, such as one that trains the model and
    writes the file, takes the place of the observed one: the predictions are downstream of it.

    Args:
        model: the contract.
        translator: the one that `build_definitions` gets, if any.

    >>> from aligned_dagster import ExposedModel, Float, InMemorySource, Int32, feature_view, model_contract
    >>> @feature_view(source=InMemorySource.from_values({"id": [1], "wind": [3.0]}))
    ... class Weather:
    ...     id = Int32().as_entity()
    ...     wind = Float()
    >>> @model_contract(
    ...     input_features=[Weather().wind], exposed_model=ExposedModel.sklearn_at("models/delay.joblib")
    ... )
    ... class Delay:
    ...     id = Int32().as_entity()
    ...     minutes = Float()
    >>> @dg.asset(key=model_key(Delay))
    ... def train() -> None: ...
    >>> train.key.to_user_string()
    'models/delay/delay.joblib'
    """
    return (translator or ContractTranslator()).get_model_key(model)


def model_file_name(exposed: ExposedModel) -> str:
    """A model's file, or its address without what is the same for all, as a part of an asset key.

    >>> from aligned_dagster import ExposedModel
    >>> models = ExposedModel.sklearn_at("out/m.pkl"), ExposedModel.mlflow("models:/delay/3")
    >>> [model_file_name(model) for model in models]
    ['m.pkl', 'models_delay_3']
    >>> model_file_name(ExposedModel.mlflow_server("http://localhost:5000"))
    'localhost_5000'
    """
    text = exposed.uri.rstrip("/")
    if exposed.type in ("sklearn", "python"):
        text = re.split(r"[/\\]", text)[-1]
    text = re.sub(r"^[a-z0-9+]+://", "", text).removesuffix("/invocations")
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)


def _kinds(source: DataSource) -> set[str]:
    """What a source is and, of files, which store they are in: parquet and s3."""
    store = getattr(getattr(source, "location", None), "kind", "local")
    return {re.sub(r"[^a-z0-9_.-]", "_", source.kind.lower())} | ({store} - {"local"})
