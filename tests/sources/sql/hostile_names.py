"""Names that try to be more than names, and what must hold of a table that bears them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.sql.config import SqlConfig
from aligned_dagster.sources.sql.connection import session
from aligned_dagster.sources.sql.identifiers import LONGEST, quote
from aligned_dagster.sources.sql.sql_source import SqlTableSource

from ..behaviours import same

HOSTILE = [
    *[
        '"',
        "'",
        '""',
        "''",
        '";--',
        "'; DROP TABLE bystander; --",
        "--",
        "/*",
        "*/",
        "$$",
        "$1",
        ";",
        "\\",
        "\\'",
    ],
    *[
        "%",
        "%s",
        "%(a)s",
        "{0}",
        "{",
        "}",
        "?",
        ":a",
        ".",
        "..",
        "/",
        "*",
        "(",
        ")",
        ",",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
    ],
    *[
        "select",
        "user",
        "A",
        "a",
        "é",
        "e\u0301",
        "ß",
        "İ",
        "😀",
        "\u202e",
        "\u200b",
        "\ufeff",
        "\x7f",
        "\x01",
        "x" * 40,
    ],
]
"""Parts of names."""

some = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def _cut(text: str) -> str:
    return text.encode()[:LONGEST].decode(errors="ignore")


texts = st.one_of(
    st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=6).map("".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20),
)
names = texts.map(_cut)


@dataclass(frozen=True)
class Names:
    """What a table, its columns, its contract and its values are called."""

    schema: str
    table: str
    columns: tuple[str, ...]
    contract: str
    value: str


hostile_names = st.builds(
    Names,
    schema=names.filter(lambda name: not name.startswith("pg_")),  # the servers keep those for themselves
    table=names,
    columns=st.lists(names, min_size=3, max_size=3, unique_by=str.lower).map(tuple),
    contract=texts,
    value=texts,
)


def stay_names(
    config: SqlConfig, names: Names, table: Callable[[str, Mapping[str, str], str], SqlTableSource]
) -> None:
    """Write and read a table in every way: its rows come back, and nothing else is touched.

    Args:
        config: the database.
        names: of the table.
        table: makes the source of a table, its columns' stored names and its schema.
    """
    request = RetrievalRequest(
        names.contract,
        Schema(
            (
                Column("id", DataType("int64"), "entity", description=names.value),
                Column("state", DataType("int64")),
                Column("text", DataType("string")),
            )
        ),
    )
    source = table(names.table, dict(zip(names.columns, request.columns, strict=True)), names.schema)
    rows = pl.DataFrame({"id": range(4), "state": [0] * 4, "text": [names.value, "plain", names.table, None]})
    with session(config) as opened:
        opened.execute("CREATE TABLE IF NOT EXISTS bystander (id bigint)")
        opened.commit()
    try:
        source.overwrite(rows.lazy(), request)
        same(source.all_data(request), rows)
        source.upsert(rows.lazy().filter(pl.col("id") > 1).with_columns(state=pl.lit(1)), request)
        source.insert(rows.lazy().with_columns(pl.col("id") + 4), request)
        where = pl.col("text") == names.value
        chosen = rows.filter(where)
        source.replace(chosen.lazy().with_columns(state=pl.lit(2)), request, where)
        found = source.all_data(request).collect()
        assert found.filter(where)["state"].unique().to_list() == [2]
        same(source.all_data(request).filter(where), found.filter(where))
        same(
            found.filter(~where & (pl.col("id") < 4)).select("id", "text"),
            rows.filter(~where).select("id", "text"),
        )
        source.quarantine(rows.lazy(), request, names.value)
        kept = source.read_quarantine(names.value)
        assert kept is not None
        same(kept, rows)
        assert source.fingerprint() == source.fingerprint()
        with session(config) as opened:
            listed = "SELECT nspname::varchar(99) FROM pg_namespace WHERE nspname = $1::varchar(99)"
            assert opened.rows(listed, (names.schema,)) == [(names.schema,)]
            assert opened.rows("SELECT count(*) FROM bystander") == [(0,)]
    finally:
        with session(config) as opened:
            opened.execute(f"DROP SCHEMA IF EXISTS {quote(names.schema)} CASCADE")
            opened.execute("CREATE SCHEMA IF NOT EXISTS public")
            opened.commit()
