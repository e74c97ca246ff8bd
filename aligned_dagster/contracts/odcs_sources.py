"""Servers of the Open Data Contract Standard as sources in Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from aligned_dagster.contracts.odcs_reading import Part
from aligned_dagster.contracts.odcs_servers import CARRIED, SOURCE
from aligned_dagster.contracts.spelling import quoted
from aligned_dagster.contracts.spelling_values import Imports, model_code, value_code
from aligned_dagster.errors import AlignedError, ContractError, UnsupportedError
from aligned_dagster.sources.file_source import FileDataSource
from aligned_dagster.sources.formats import CsvConfig, ParquetConfig
from aligned_dagster.sources.location import Location
from aligned_dagster.sources.partitioned import PartitionedParquetSource
from aligned_dagster.sources.source import DataSource, source_from_json

_SECRET = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


@dataclass(frozen=True)
class Table:
    """What a source must know of an object of the schema.

    Args:
        name: of the object.
        physical: what it is called where it is stored, if that is told.
        mapping: stored name to name of the column, for those that differ.
        alone: whether the document has no other object.
    """

    name: str
    physical: str | None
    mapping: Mapping[str, str]
    alone: bool = True


def source_code(server: Part, table: Table, imports: Imports) -> str | None:
    """The source that a server is, in Python; None where there is no such source, and nothing is taken then.

    Raises:
        ContractError: the server says something that cannot be.
    """
    whole = server.custom(SOURCE)
    if isinstance(whole, Mapping) and whole.get("type") in CARRIED:
        for name in server.raw:
            server.take(name)
        server.parts("customProperties")
        return own_code(read_source(whole, server.path), imports)
    kind = server.text("type")
    if kind in {"postgres", "postgresql", "redshift"}:
        return _database(server, table, kind, imports)
    if kind in {"local", "s3", "azure"}:
        return _file(server, table, kind, imports)
    return None


def read_source(form: Mapping[str, Any], path: str) -> DataSource:
    """The source that this package wrote down in a document.

    Raises:
        ContractError: it is none that a document may hold, or it is broken.
    """
    try:
        return source_from_json(form)
    except (AlignedError, ValidationError, ValueError, TypeError, KeyError) as error:
        raise ContractError(
            f"{path}: the custom property {SOURCE} is no source: {type(error).__name__}."
        ) from error


def own_code(source: Any, imports: Imports) -> str:
    """A source of files or tables in Python.

    Raises:
        UnsupportedError: it holds what has no text in Python, such as a resource of Dagster.
    """
    if isinstance(source, FileDataSource | PartitionedParquetSource):
        return _file_code(source, imports)
    config = model_code(source.config, imports)
    mapping = {"mapping_values": source.mapping_values}
    if source.type.endswith("query"):
        return _call(f"{config}.fetch", [quoted(source.query)], mapping, imports)
    more = {
        "schema": source.table_schema,
        "partition_keys": source.partition_keys,
        "dist_key": getattr(source, "dist_key", None),
        "sort_keys": getattr(source, "sort_keys", ()),
    }
    return _call(f"{config}.table", [quoted(source.table)], {**mapping, **more}, imports)


def _file_code(source: FileDataSource | PartitionedParquetSource, imports: Imports) -> str:
    place = _place(source.location, imports)
    path = quoted(str(source.location.path))
    form = getattr(source, "format", None)
    config: Any = getattr(form, "config", None) or getattr(source, "config", None)
    is_csv = isinstance(config, CsvConfig)
    default = "iso_8601" if is_csv else "noop"
    dates = None if source.date_formatter.model_dump() == _dates(default) else source.date_formatter
    keywords: dict[str, Any] = {"mapping_keys": source.mapping_keys}
    if isinstance(source, PartitionedParquetSource):
        keywords = {"partition_keys": source.partition_keys, **keywords}
        method = "partitioned_parquet_at"
    else:
        method = "csv_at" if is_csv else "parquet_at"
    plain = config == (CsvConfig() if is_csv else ParquetConfig())
    keywords["csv_config" if is_csv else "config"] = None if plain else config
    return _call(f"{place}.{method}", [path], {**keywords, "date_formatter": dates}, imports)


def _dates(kind: Any) -> dict[str, Any]:
    from aligned_dagster.sources.date_formatter import DateFormatter

    return DateFormatter(kind=kind).model_dump()


def _place(location: Location, imports: Imports) -> str:
    if location.kind == "local":
        return imports.name("FileSource")
    config: Any = getattr(location, "config")  # noqa: B009  # only object locations have one
    if config.resource is not None:
        raise UnsupportedError("A resource of Dagster has no text in Python.")
    public = {"s3": "AwsS3Config", "azure": "AzureBlobConfig"}[location.kind]
    told = {
        name: getattr(config, name)
        for name, field in type(config).model_fields.items()
        if getattr(config, name) != field.default
    }
    said = ", ".join(f"{name}={value_code(value, imports)}" for name, value in told.items())
    return f"{imports.name(public)}({said})"


def _call(function: str, given: list[str], keywords: Mapping[str, Any], imports: Imports) -> str:
    said = [f"{name}={value_code(value, imports)}" for name, value in keywords.items() if value]
    return f"{function}({', '.join([*given, *said])})"


# --- servers of others -----------------------------------------------------------------------------------


def _database(server: Part, table: Table, kind: str, imports: Imports) -> str:
    """A table; where the database is must be in an environment variable, which a document cannot hold."""
    host = server.raw.get("host")
    named = re.fullmatch(r"\$\{(\w+)\}", host) if isinstance(host, str) else None
    label = server.text("server") or kind
    variable = named[1] if named else re.sub(r"\W+", "_", f"{label}_DB_URL").upper()
    if not _SECRET.match(variable):
        variable = f"DB_{variable}"
    config = "RedshiftSQLConfig" if kind == "redshift" else "PostgreSQLConfig"
    schema, _, name = (table.physical or table.name).rpartition(".")
    schema = schema or server.text("schema") or ""
    server.text("schema")
    server.remark("type", f"the environment variable {variable} must hold the address of this database")
    keywords = {"mapping_values": dict(table.mapping), "schema": schema}
    return _call(
        f"{imports.name(config)}(env_var={quoted(variable)}).table", [quoted(name)], keywords, imports
    )


def _file(server: Part, table: Table, kind: str, imports: Imports) -> str | None:
    """A CSV or Parquet file, where the server names one."""
    word = "path" if kind == "local" else "location"
    told = server.need(word)
    path = re.sub(r"\{(model|schema|table|object)\}", lambda _: table.physical or table.name, told)
    last = path.rpartition("/")[2]
    if not (table.alone or path != told or table.physical == last or table.name == last.partition(".")[0]):
        server.remark(word, f"{path} is not said to hold {table.name}")
        return None
    form = server.text("format") or path.rpartition(".")[2].lower()
    server.text("server")
    if form not in {"csv", "parquet"} or re.search(r"[*?{}]", path):
        server.remark(word, f"{path} ({form}) is no single CSV or Parquet file")
        return None
    keywords = {"mapping_keys": dict(table.mapping)}
    if kind == "local":
        return _call(f"{imports.name('FileSource')}.{form}_at", [quoted(path)], keywords, imports)
    parts = urlsplit(path)
    key = parts.path.lstrip("/")
    if kind == "s3":
        given = f"bucket={quoted(parts.netloc)}"
        endpoint = server.text("endpointUrl")
        given += f", endpoint_url={quoted(endpoint)}" if endpoint else ""
        place = f"{imports.name('AwsS3Config')}({given})"
    else:
        container, account = (
            (parts.username, parts.hostname) if parts.username else (key.partition("/")[0], parts.hostname)
        )
        key = key if parts.username else key.partition("/")[2]
        owner = (account or "").partition(".")[0]
        if not (container and owner and key):
            server.remark(word, f"{path} does not name an account, a container and a blob")
            return None
        place = (
            f"{imports.name('AzureBlobConfig')}(container={quoted(container)}, account_name={quoted(owner)})"
        )
    return _call(f"{place}.{form}_at", [quoted(key)], keywords, imports)
