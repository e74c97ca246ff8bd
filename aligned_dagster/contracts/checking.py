"""Whether contracts can be used as they are: files, schemas, sources and credentials, before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from aligned_dagster.contracts.discovery import contract_files, views_in
from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.contracts.store import ContractStore
from aligned_dagster.contracts.view_source import ContractSource
from aligned_dagster.errors import AlignedError, SourceNotFoundError
from aligned_dagster.sources.custom import CustomMethodDataSource
from aligned_dagster.sources.source import DataSource

Aspect = Literal["file", "profile", "engine", "definitions", "credential", "source", "storage"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        aspect: "file" (contracts load and fit each other), "profile" (it replaces what contracts use), "engine" (it is
            installed and can compute them), "definitions" (Dagster can load them), "credential" (an environment variable is
            set), "source" (it is there and has the columns) or "storage" (the materialized rows can be reached).
        subject: the file, the variable or the place.
        contracts: names of the contracts that need it.
        ok: whether it is as it should be.
        words: what was found.
        warns: whether it is worth a look although nothing is wrong now.
    """

    aspect: Aspect
    subject: str
    contracts: tuple[str, ...]
    ok: bool
    words: str
    warns: bool = False

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""
        return {
            "aspect": self.aspect,
            "subject": self.subject,
            "contracts": list(self.contracts),
            "ok": self.ok,
            "words": self.words,
            "warns": self.warns,
        }


def check_files(patterns: Iterable[str]) -> tuple[ContractStore, list[Finding]]:
    """Load every file of contracts by itself, so that one that is broken hides no other.

    Args:
        patterns: globs.

    Returns:
        The contracts that load, and a finding for each file.
    """
    store = ContractStore()
    found: list[Finding] = []
    for file in sorted({file for pattern in patterns for file in contract_files(pattern)}):
        try:
            views = views_in(file)
            for view in views:
                store.add(view)
        except AlignedError as error:
            found.append(Finding("file", _short(file), (), False, str(error)))
        else:
            names = tuple(view.name for view in views)
            words = f"{len(names)} {'contract' if len(names) == 1 else 'contracts'}"
            found.append(Finding("file", _short(file), names, True, words))
    return store, found


def check_places(store: ContractStore) -> Iterator[Finding]:
    """Look for the credentials and the sources of all contracts; each is told once, or as soon as it is known.

    A secret is never read or shown: that its variable is set is all that is told. A function as a source is not called,
    and no row is read.

    Args:
        store: the contracts.
    """
    needed: dict[str, list[str]] = {}
    for view in store.views.values():
        for source in _places(view):
            for variable in variables(source):
                needed.setdefault(variable, []).append(view.name)
    for variable, names in sorted(needed.items()):
        is_set = bool(os.environ.get(variable, "").strip())
        words = "is set" if is_set else "is not set, or empty"
        yield Finding("credential", variable, tuple(dict.fromkeys(names)), is_set, words)
    for view in store.views.values():
        if not isinstance(view.source, ContractSource):
            yield _source(view)
        else:
            for source in view.raw_sources:
                yield _reached("source", view, source)
        if view.materialized_source is not None:
            yield _reached("storage", view, view.materialized_source)


def variables(setting: Any) -> set[str]:
    """Names of the environment variables that a source, or a setting of it, names.

    >>> from aligned_dagster import AwsS3Config, PostgreSQLConfig
    >>> sorted(variables(PostgreSQLConfig("SHOP_URL").table("orders")))
    ['SHOP_URL']
    >>> sorted(variables(AwsS3Config(bucket_env="LAKE", region="eu-north-1").csv_at("a.csv")))
    ['LAKE']
    """
    if isinstance(setting, ContractSource) or not isinstance(setting, BaseModel):
        return set()
    found: set[str] = set()
    for name, value in setting:
        if isinstance(value, str) and (name.endswith("_env") or name == "env_var"):
            found.add(value)
        elif isinstance(value, BaseModel):
            found |= variables(value)
    return found


def _places(view: FeatureView[Any]) -> list[DataSource]:
    return [*view.raw_sources, *([view.materialized_source] if view.materialized_source else [])]


def _source(view: FeatureView[Any]) -> Finding:
    """Whether the source of a view is there and has its columns, by the header, footer or catalog."""
    if isinstance(view.source, CustomMethodDataSource):
        return Finding("source", view.source.label, (view.name,), True, "is a function, which is not called")
    try:
        view.source.all_data(view.request).collect_schema()
    except AlignedError as error:
        return Finding("source", view.source.label, (view.name,), False, str(error))
    return Finding("source", view.source.label, (view.name,), True, "is there, with the columns")


def _reached(aspect: Aspect, view: FeatureView[Any], source: DataSource) -> Finding:
    """Whether a place can be asked what is there; storage may still be empty."""
    try:
        source.fingerprint()
    except SourceNotFoundError as error:
        empty = aspect == "storage"
        words = "nothing is stored yet" if empty else str(error)
        return Finding(aspect, source.label, (view.name,), empty, words)
    except AlignedError as error:
        return Finding(aspect, source.label, (view.name,), False, str(error))
    return Finding(aspect, source.label, (view.name,), True, "can be reached")


def _short(file: Path) -> str:
    """The file from the working directory, where it is below it."""
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)
