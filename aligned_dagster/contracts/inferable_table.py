"""A table of PostgreSQL on the command line, as what can be read and as what Python says."""

from __future__ import annotations

from aligned_dagster.contracts.inferable import Inferable
from aligned_dagster.contracts.inferring import SourceCode, class_name
from aligned_dagster.contracts.spelling import feature_code, quoted, with_known_zone
from aligned_dagster.errors import ContractError, SourceNotFoundError, UnsupportedError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.postgresql import PostgreSQLConfig


def table(target: str) -> Inferable:
    """What `postgresql:ENV_VAR:schema.table` stands for; the schema may be left out.

    Raises:
        UnsupportedError: the text is not like that.
        SourceNotFoundError: there is no such table.
        ConfigurationError: the environment variable is not set.
    """
    from aligned_dagster.sources.sql.catalog import similar_table, table_shape
    from aligned_dagster.sources.sql.connection import explained_sql, session
    from aligned_dagster.sources.sql.types import contract_type

    parts = target.split(":", 2)
    if len(parts) != 3 or not parts[1].isidentifier() or not parts[2].strip("."):
        raise UnsupportedError(
            "A table is named postgresql:ENV_VAR:schema.table, where ENV_VAR is the environment variable that holds the "
            "address of the database, which is never given itself."
        )
    variable, (schema, _, name) = parts[1], parts[2].rpartition(".")
    config = PostgreSQLConfig(env_var=variable)
    source = config.table(name, schema=schema or None)
    with explained_sql(source.label, source.uri, config), session(config) as opened:
        shape = table_shape(opened, source.table_name)
        if shape is None:
            raise SourceNotFoundError(
                f"There is no table {source.label!r} in {config.place}.{similar_table(opened, source.table_name)} "
                "Names are taken as they are stored, upper and lower case."
            )
    stored: dict[str, DataType | str] = {}
    for column in shape.columns:
        try:
            dtype = with_known_zone(contract_type(column))
            feature_code(dtype)
            stored[column.name] = dtype
        except ContractError as error:
            stored[column.name] = str(error).splitlines()[0]
    arguments = (quoted(name), *([f"schema={quoted(schema)}"] if schema else []))
    return Inferable(
        SourceCode(
            f"PostgreSQLConfig(env_var={quoted(variable)}).table",
            arguments,
            ("PostgreSQLConfig",),
            "mapping_values",
            source.label,
        ),
        lambda names: config.table(name, mapping_values=names, schema=schema or None),
        stored,
        frozenset(),
        class_name(name),
    )
