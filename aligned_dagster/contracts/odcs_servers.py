"""Sources as servers of the Open Data Contract Standard, without secrets."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from aligned_dagster.errors import UnsupportedError
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.location import Location
from aligned_dagster.sources.partitioned import PartitionedParquetSource
from aligned_dagster.sources.source import DataSource, source_to_json

SOURCE = "alignedSource"
"""The custom property of a server with the whole form of a source, from which it is made again."""

CARRIED = frozenset(
    {"file", "partitioned_parquet", "postgres_table", "postgres_query", "redshift_table", "redshift_query"}
)
"""The types of sources that servers stand for."""


def server(source: DataSource, name: str) -> dict[str, Any] | None:
    """The server that a source is; None for one that the standard has no words for, such as a function.

    Args:
        source: where rows are.
        name: of the server.
    """
    if source.type not in CARRIED:
        return None
    if isinstance(source, FileDataSource | PartitionedParquetSource):
        form = _files(source.location, source.kind)
    else:
        form = _database(source)
    made = {"server": name, **form}
    try:
        whole = source_to_json(source)
    except UnsupportedError:  # a resource of Dagster was handed over
        return made
    return made | {"customProperties": [{"property": SOURCE, "value": _pruned(whole)}]}


def physical_name(source: DataSource) -> str | None:
    """What the rows are called where they are: a table, or a path in a bucket or on this machine."""
    if isinstance(source, FileDataSource | PartitionedParquetSource):
        return str(source.location.path)
    table = getattr(source, "table", None)
    return table if isinstance(table, str) else None


def _files(location: Location, kind: str) -> dict[str, Any]:
    form = "csv" if kind == "csv" else "parquet"
    if location.kind == "local":
        return {"type": "local", "path": str(location.path), "format": form}
    config: Any = getattr(location, "config")  # noqa: B009  # only object locations have one
    path = str(location.path).lstrip("/")
    if location.kind == "s3":
        place = config.bucket or _variable(config.bucket_env)
        told = {"endpointUrl": config.endpoint_url} if config.endpoint_url else {}
        return {"type": "s3", "location": f"s3://{place}/{path}", **told, "format": form}
    account = config.account_name or _variable(config.account_name_env)
    container = config.container or _variable(config.container_env)
    return {
        "type": "azure",
        "location": f"az://{account}.blob.core.windows.net/{container}/{path}",
        "format": form,
    }


def _database(source: Any) -> dict[str, Any]:
    config = source.config
    kind = "redshift" if source.type.startswith("redshift") else "postgres"
    schema = getattr(source, "table_schema", None) or config.schema_name or "public"
    if not config.address:
        there = _variable(config.env_var)
        place: dict[str, Any] = {"host": there, "port": there, "database": there, "schema": schema}
    else:
        parts = urlsplit(config.address)
        default = 5439 if kind == "redshift" else 5432
        database = parts.path.lstrip("/") or "postgres"
        place = {"host": parts.hostname or "", "port": parts.port or default, "database": database}
        place["schema"] = schema
    if kind == "redshift":
        del place["port"]
    return {"type": kind, **place}


def _variable(name: str | None) -> str:
    return f"${{{name}}}" if name else "unknown"


def _pruned(form: Any) -> Any:
    """The form without what is not set, which reading puts back."""
    if isinstance(form, dict):
        return {name: _pruned(value) for name, value in form.items() if value is not None}
    return [_pruned(item) for item in form] if isinstance(form, list) else form
