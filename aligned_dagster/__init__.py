"""Typed contracts for data that become a running Dagster project.

>>> from aligned_dagster import Float, InMemorySource, Int32, feature_view
>>> @feature_view(source=InMemorySource.from_values({"passenger_id": [1, 2], "age": [40.0, 0.5]}))
... class Titanic:
...     passenger_id = Int32().as_entity()
...     age = Float().lower_bound(0)
...     is_child = age < 13
>>> Titanic.query().all().collect()["is_child"].to_list()
[False, True]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligned_dagster.contracts.defining import data_contract, feature_view
    from aligned_dagster.contracts.defining_models import model_contract
    from aligned_dagster.contracts.defining_training_sets import training_set
    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.model import FeatureInputVersions, ModelContract
    from aligned_dagster.contracts.publish import Publication, publish
    from aligned_dagster.contracts.splits import split_at_random, split_by_entity, split_by_time
    from aligned_dagster.contracts.store import ContractStore, FeatureStore
    from aligned_dagster.contracts.training_set import TrainingSet
    from aligned_dagster.features.compiling import rule
    from aligned_dagster.features.escape import transform_polars
    from aligned_dagster.features.truth import coalesce, concat_str, max_of, min_of, when
    from aligned_dagster.features.types import (
        UUID,
        Bool,
        CreatedTimestamp,
        Date,
        Decimal,
        Duration,
        Embedding,
        EventTimestamp,
        Float,
        Float32,
        Float64,
        Int8,
        Int16,
        Int32,
        Int64,
        Json,
        List,
        String,
        Struct,
        Time,
        Timestamp,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        ValidFrom,
    )
    from aligned_dagster.orchestration.component import AlignedComponent as AlignedComponent
    from aligned_dagster.request.job import RetrievalJob
    from aligned_dagster.request.retrieval_request import RetrievalRequest
    from aligned_dagster.sources.aws_s3 import AwsConfig, AwsS3Config
    from aligned_dagster.sources.azure_blob_storage import AzureBlobConfig
    from aligned_dagster.sources.custom import CustomMethodDataSource
    from aligned_dagster.sources.docker_config import DockerConfig
    from aligned_dagster.sources.engines.spark_config import SparkConfig
    from aligned_dagster.sources.exposed import ExposedModel
    from aligned_dagster.sources.in_memory_source import InMemorySource
    from aligned_dagster.sources.local import CsvConfig, DateFormatter, Directory, FileSource, ParquetConfig
    from aligned_dagster.sources.postgresql import PostgreSQLConfig
    from aligned_dagster.sources.random_source import RandomDataSource
    from aligned_dagster.sources.redshift import RedshiftSQLConfig

__all__ = [
    "UUID",
    "AwsConfig",
    "AwsS3Config",
    "AzureBlobConfig",
    "Bool",
    "ContractStore",
    "CreatedTimestamp",
    "CsvConfig",
    "CustomMethodDataSource",
    "Date",
    "DateFormatter",
    "Decimal",
    "Directory",
    "DockerConfig",
    "Duration",
    "Embedding",
    "EventTimestamp",
    "ExposedModel",
    "FeatureInputVersions",
    "FeatureStore",
    "FeatureView",
    "FileSource",
    "Float",
    "Float32",
    "Float64",
    "InMemorySource",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Json",
    "List",
    "ModelContract",
    "ParquetConfig",
    "PostgreSQLConfig",
    "Publication",
    "RandomDataSource",
    "RedshiftSQLConfig",
    "RetrievalJob",
    "RetrievalRequest",
    "SparkConfig",
    "String",
    "Struct",
    "Time",
    "Timestamp",
    "TrainingSet",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "ValidFrom",
    "coalesce",
    "concat_str",
    "data_contract",
    "feature_view",
    "max_of",
    "min_of",
    "model_contract",
    "publish",
    "rule",
    "split_at_random",
    "split_by_entity",
    "split_by_time",
    "training_set",
    "transform_polars",
    "when",
]  # fmt: skip

_NAMES = {
    "contracts.defining": "data_contract feature_view",
    "contracts.defining_models": "model_contract",
    "contracts.defining_training_sets": "training_set",
    "contracts.feature_view": "FeatureView",
    "contracts.model": "FeatureInputVersions ModelContract",
    "contracts.publish": "Publication publish",
    "contracts.splits": "split_at_random split_by_entity split_by_time",
    "contracts.store": "ContractStore FeatureStore",
    "contracts.training_set": "TrainingSet",
    "features.compiling": "rule",
    "features.escape": "transform_polars",
    "features.truth": "coalesce concat_str max_of min_of when",
    "features.types": (
        "UUID Bool CreatedTimestamp Date Decimal Duration Embedding EventTimestamp Float Float32 Float64 Int8 "
        "Int16 Int32 Int64 Json List String Struct Time Timestamp UInt8 UInt16 UInt32 UInt64 ValidFrom"
    ),
    "orchestration.component": "AlignedComponent",  # what `dg` looks for; no part of `import *`, as it imports Dagster
    "request.job": "RetrievalJob",
    "request.retrieval_request": "RetrievalRequest",
    "sources.aws_s3": "AwsConfig AwsS3Config",
    "sources.azure_blob_storage": "AzureBlobConfig",
    "sources.custom": "CustomMethodDataSource",
    "sources.docker_config": "DockerConfig",
    "sources.engines.spark_config": "SparkConfig",
    "sources.exposed": "ExposedModel",
    "sources.in_memory_source": "InMemorySource",
    "sources.local": "CsvConfig DateFormatter Directory FileSource ParquetConfig",
    "sources.postgresql": "PostgreSQLConfig",
    "sources.random_source": "RandomDataSource",
    "sources.redshift": "RedshiftSQLConfig",
}
"""The names of each module: it is imported when one of them is first used."""
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


if not TYPE_CHECKING:  # to a type checker the names are those that are imported above, and no others

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
