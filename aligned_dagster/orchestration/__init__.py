"""Dagster: contracts as assets, their storage as IO manager, their constraints as checks.

Only this package, `aligned_dagster.definitions` and `aligned_dagster.cli` know Dagster. The names are loaded
when they are asked for, so that the settings of a project can be read without importing Dagster.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligned_dagster.orchestration.code_references import GitLinks
    from aligned_dagster.orchestration.connection_resources import (
        AzureContainerResource,
        PostgreSQLResource,
        RedshiftResource,
        S3BucketResource,
    )
    from aligned_dagster.orchestration.definitions import build_definitions
    from aligned_dagster.orchestration.io_manager import ContractIOManager
    from aligned_dagster.orchestration.producing import produces
    from aligned_dagster.orchestration.translator import ContractTranslator, model_key
    from aligned_dagster.orchestration.translator_settings import TranslatorSettings

__all__ = [
    "AzureContainerResource",
    "ContractIOManager",
    "ContractTranslator",
    "GitLinks",
    "PostgreSQLResource",
    "RedshiftResource",
    "S3BucketResource",
    "TranslatorSettings",
    "build_definitions",
    "model_key",
    "produces",
]

_HOMES = {
    "AzureContainerResource": "connection_resources",
    "PostgreSQLResource": "connection_resources",
    "RedshiftResource": "connection_resources",
    "S3BucketResource": "connection_resources",
    "GitLinks": "code_references",
    "build_definitions": "definitions",
    "ContractIOManager": "io_manager",
    "ContractTranslator": "translator",
    "TranslatorSettings": "translator_settings",
    "model_key": "translator",
    "produces": "producing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
