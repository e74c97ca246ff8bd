"""Contracts as a component of `dg`: `type: aligned_dagster.AlignedComponent` in a defs.yaml."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from dataclasses import Field as DataclassField
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import dagster as dg
from pydantic import BaseModel, Field, create_model

from aligned_dagster.contracts.lock import ContractsLock
from aligned_dagster.errors import AlignedError, ConfigurationError
from aligned_dagster.orchestration.component_scaffold import AlignedScaffolder
from aligned_dagster.orchestration.definitions import build_definitions
from aligned_dagster.orchestration.engine_settings import checked_engine, spark_settings
from aligned_dagster.orchestration.profiles import checked_profiles
from aligned_dagster.orchestration.project import ProjectSettings
from aligned_dagster.orchestration.translator import ContractTranslator
from aligned_dagster.orchestration.translator_settings import TranslatorSettings
from aligned_dagster.sources.import_path import imported


def _settings_model() -> type[BaseModel]:
    """The fields of `TranslatorSettings` as a part of defs.yaml, each with what its docstring says."""
    said = _arguments(TranslatorSettings.__doc__ or "")
    hints = get_type_hints(TranslatorSettings)
    columns: dict[str, Any] = {
        one.name: (hints[one.name], Field(**_default(one), description=said.get(one.name)))
        for one in fields(TranslatorSettings)
    }
    made: type[BaseModel] = create_model(
        "TranslationModel",
        __base__=dg.Model,
        __doc__="How contracts look in Dagster; see `TranslatorSettings`.",
        **columns,
    )
    return made


def _default(one: DataclassField[Any]) -> dict[str, Any]:
    if one.default_factory is not MISSING:
        return {"default_factory": one.default_factory}
    return {"default": one.default}


def _arguments(docstring: str) -> dict[str, str]:
    """The `Args:` of a docstring, each on one line."""
    told = docstring.partition("Args:\n")[2]
    parts = re.findall(r"^ {8}(\w+): (.*(?:\n {9,}.*)*)", told, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", words) for name, words in parts}


def _translation(context: dg.ResolutionContext, given: Any) -> TranslatorSettings:
    told = {
        name: context.resolve_value(value) for name, value in given.model_dump(exclude_unset=True).items()
    }
    return TranslatorSettings(**told)


Patterns = Annotated[
    list[str] | str,
    dg.Resolver.default(
        description="Globs of the files with contracts, relative to the directory of this defs.yaml.",
        examples=["contracts.py", ["contracts/**/*.py"]],
    ),
]
Assets = Annotated[
    list[str] | str,
    dg.Resolver.default(
        description="Globs of the files with further assets: those made by `@produces`, those that train models.",
        examples=["training.py"],
    ),
]
Translator = Annotated[
    str | None,
    dg.Resolver.default(
        description="Dotted path of a subclass of `ContractTranslator` that decides how contracts look.",
        examples=["shop.translator.ByTeam"],
    ),
]
Translation = Annotated[
    TranslatorSettings | None,
    dg.Resolver(
        _translation,
        model_field_type=_settings_model(),
        description="What is often changed of how contracts look, without a translator: prefixes, groups, previews.",
    ),
]
ProfileTables = Annotated[
    dict[str, dict[str, dict[str, Any]]],
    dg.Resolver.default(
        description="Name of a deployment to the connections that it replaces, with the fields of what takes their place.",
        examples=[{"production": {"postgres_PSQL_DB_URL": {"env_var": "PROD_DB_URL"}}}],
    ),
]
Profile = Annotated[
    str | None,
    dg.Resolver.default(
        description="The profile that is used, unless the environment variable ALIGNED_PROFILE names another one.",
        examples=["production", "{{ env.DEPLOYMENT }}"],
    ),
]
EngineName = Annotated[
    str | None,
    dg.Resolver.default(
        description="What computes and audits contracts that state no engine themselves, unless the environment variable "
        "ALIGNED_ENGINE names another one: polars, spark or duckdb.",
        examples=["spark", "{{ env.ENGINE }}"],
    ),
]
SparkTable = Annotated[
    dict[str, Any] | None,
    dg.Resolver.default(
        description="How Spark is reached, as far as no environment variable says it: fields of SparkConfig.",
        examples=[{"master": "spark://host:7077", "config": {"spark.executor.memory": "4g"}}],
    ),
]


@dg.scaffold_with(AlignedScaffolder)
class AlignedComponent(dg.Component, dg.Resolvable, dg.Model):
    """Typed data contracts as assets, with their rules as checks, their storage as IO managers and their connections as
    resources.

    Paths are relative to the directory of the defs.yaml; `{{ context.project_root }}/...` is one from the project's root.
    A project has one of these components: `contracts` takes the globs of all its contracts. `contracts.lock` is looked for in
    the project's root.

    Args:
        contracts: globs of the files with contracts.
        assets: globs of the files with further assets.
        translator: dotted path of a `ContractTranslator`.
        translation: settings of the translator.
        profiles: name of a deployment to the connections that it replaces.
        profile: the one that is used, unless `ALIGNED_PROFILE` names another one.
        engine: what computes and audits contracts, unless `ALIGNED_ENGINE` names another one.
        spark: how Spark is reached.
    """

    contracts: Patterns
    assets: Assets = Field(default_factory=list)
    translator: Translator = None
    translation: Translation = None
    profiles: ProfileTables = Field(default_factory=dict)
    profile: Profile = None
    engine: EngineName = None
    spark: SparkTable = None

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg list components` and the UI tell of it."""
        return dg.ComponentTypeSpec(
            description="Typed data contracts as assets with checks.",
            produces=["asset", "asset_check", "resource", "schedule", "sensor", "job"],
            tags=["data-contracts", "polars"],
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of the contracts.

        Raises:
            ConfigurationError: the project has another such component, a glob names no file, or a profile or the engine is
                wrong.
        """
        if len(context.component_tree.get_all_components(AlignedComponent)) > 1:
            raise ConfigurationError(
                "This project has several components of the type aligned_dagster.AlignedComponent, of which each would take "
                "the contracts of the others for foreign ones. Keep one, and list the globs of all contracts in it: "
                "contracts: [contracts.py, ../other/contracts.py]."
            )
        root = Path(context.path)
        root = root if root.is_dir() else root.parent
        place = root / "defs.yaml"
        settings = ProjectSettings(
            root=root,
            contracts=_listed(self.contracts),
            assets=_listed(self.assets),
            profiles=checked_profiles(self.profiles, str(place)),
            profile=self.profile,
            engine=checked_engine(self.engine, f"engine of {place}"),
            spark=spark_settings(self.spark, str(place)),
            file=place,
        )
        return build_definitions(
            settings.load_store(),
            self._translator(place),
            assets=settings.load_assets(),
            lock=ContractsLock.read(Path(context.project_root)),
        )

    def _translator(self, place: Path) -> ContractTranslator:
        if self.translator is None:
            return ContractTranslator(self.translation)
        try:
            path = self.translator if ":" in self.translator else ":".join(self.translator.rsplit(".", 1))
            found = imported(path)
        except AlignedError as error:
            raise ConfigurationError(f"translator of {place}: {error}") from error
        if not (isinstance(found, type) and issubclass(found, ContractTranslator)):
            raise ConfigurationError(
                f"translator of {place} is {self.translator!r}, which is no ContractTranslator."
            )
        return found(self.translation)


def _listed(patterns: list[str] | str) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)
