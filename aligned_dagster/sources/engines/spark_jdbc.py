"""Rows of PostgreSQL read by Spark itself, where the JDBC driver is on its class path.

What JDBC would hand over as something else than we do (numbers without bounds, arrays, documents, times of day) is left
to polars. Conditions are said in our SQL: Spark would let the server compare texts in an order of its own.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import polars as pl

from aligned_dagster.features.engines.carried import quoted
from aligned_dagster.sources.conform import stored_names
from aligned_dagster.sources.engines.parquet_files import fits
from aligned_dagster.sources.engines.pieces import Reading
from aligned_dagster.sources.engines.spark_conditions import condition_on
from aligned_dagster.sources.engines.spark_parquet import column_of
from aligned_dagster.sources.sql.predicate import comparisons, to_sql
from aligned_dagster.sources.sql.sql_source import SqlSource
from aligned_dagster.sources.sql.types import StoredColumn, refusal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from aligned_dagster.sources.engines.spark_session import SparkRows
    from aligned_dagster.sources.sql.scan import Relation

_DRIVER = "org.postgresql.Driver"
_PLAIN = frozenset({"bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bytea"})
_TIMES = {"date": "{}", "timestamptz": "{}", "timestamp": "{} AT TIME ZONE 'UTC'"}
"""How times are asked for: moments in UTC, which no time zone of Java can shift."""
_OPTIONS = {"connect_timeout": "connectTimeout", "application_name": "ApplicationName"} | {
    name: name for name in ("sslmode", "sslrootcert", "options")
}
"""Options of an address as the driver of Java calls them."""
_SIGNS = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def read_jdbc(session: SparkRows, reading: Reading) -> DataFrame | None:
    """The rows of a reading, read by Spark; None where polars is to read them.

    The password is an option of the reader, so this is for a Spark of this machine only.

    Args:
        session: of Spark.
        reading: what is asked.

    Raises:
        SourceError: the database does not answer, or the table is not there.
    """
    source = reading.source
    if not isinstance(source, SqlSource) or source.config.dialect.kind != "postgres":
        return None
    if not session.is_local or not session.has_class(_DRIVER):
        return None
    request = reading.needed
    conditions = [condition_on(one, request) for one in reading.conditions]
    address = _address(source.config.uri())
    relation, _ = source.described(request)
    names = stored_names(request, source.mapping_values)
    columns = {column.name: relation.by_name.get(names[column.name]) for column in request.wanted}
    asked = {name: None if stored is None else _asked(stored, relation) for name, stored in columns.items()}
    known = all(
        expression is not None and fits(relation.wires[names[name]].dtype, request.schema.column(name).dtype)
        for name, expression in asked.items()
    )
    if address is None or not known or None in conditions:
        return None
    listed = ", ".join(f'{expression} AS "{number}"' for number, expression in enumerate(asked.values()))
    query = f"SELECT {listed} FROM {relation.sql} AS stored{_where(reading, relation, names)}"
    reader = session.spark.read.format("jdbc").options(**address).option("query", query)
    reader = reader.option("driver", _DRIVER).option("fetchsize", 10_000).option("pushDownPredicate", False)
    if relation.only_reads:
        reader = reader.option("sessionInitStatement", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    rows = reader.load().select(
        [column_of(request.schema.column(name), str(number)).alias(name) for number, name in enumerate(asked)]
    )
    for condition in conditions:
        if condition is not None:
            rows = rows.filter(condition())
    return rows.select([quoted(name, "spark") for name in reading.request.columns])


def _asked(column: StoredColumn, relation: Relation) -> str | None:
    """How a column is asked for; None where JDBC has no type that holds its values as ours does."""
    if column.is_array or column.family != "b":
        return None
    if column.base in _PLAIN or (relation.wires[column.name].form == "decimal" and column.base == "numeric"):
        return column.sql
    if column.base not in _TIMES:
        return None
    told = refusal(column, "infinity, or a time outside of the years 1 to 9999", column.sql)
    fine = f"isfinite({column.sql}) AND extract(year FROM {column.sql}) BETWEEN 1 AND 9999"
    value = f"CASE WHEN {fine} OR {column.sql} IS NULL THEN {column.sql} ELSE {told}::{column.base} END"
    return f"({_TIMES[column.base].format(f'({value})')})"


def _where(reading: Reading, relation: Relation, names: dict[str, str]) -> str:
    """What of the conditions the server can decide, for columns without a default for what is missing."""
    found: list[str] = []
    for condition in reading.conditions:
        for name, sign, value in comparisons(condition) or ():
            if reading.request.schema.column(name).has_default:
                continue
            literal = value.item() if value.name == "dyn" else pl.lit(value.item(), dtype=value.dtype)
            said = to_sql(
                _SIGNS[sign](pl.col(names[name]), literal),
                relation.by_name,
                relation.config.dialect,
                relation.wires,
            )
            if said is not None and not said.settings:
                found.append(said.streamed)
    return f" WHERE {' AND '.join(found)}" if found else ""


def _address(uri: str) -> dict[str, str] | None:
    """The options of the reader for an address; None where the driver of Java has no word for a part of it."""
    parts = urlsplit(uri)
    given = dict(parse_qsl(parts.query))
    given.pop("client_encoding", None)
    if parts.hostname is None or "," in parts.netloc or not given.keys() <= _OPTIONS.keys():
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    options = urlencode({_OPTIONS[name]: value for name, value in given.items()}, quote_via=quote)
    found = {"url": f"jdbc:postgresql://{host}:{parts.port or 5432}{parts.path}?{options}"}
    for name, value in (("user", parts.username), ("password", parts.password)):
        if value is not None:
            found[name] = unquote(value)
    return found
