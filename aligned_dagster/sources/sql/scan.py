"""A table or a query as a lazy frame: what polars can tell of the wanted rows goes to the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import polars as pl
from polars.io.plugins import register_io_source

from aligned_dagster.errors import CastError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.sources.casting import Place
from aligned_dagster.sources.sql.bound import Sql, sql
from aligned_dagster.sources.sql.config import SqlConfig
from aligned_dagster.sources.sql.connection import explained_sql, session
from aligned_dagster.sources.sql.identifiers import quote
from aligned_dagster.sources.sql.predicate import split
from aligned_dagster.sources.sql.types import OUT_OF_TIME, StoredColumn, Wire, arrived, misfits, wire

_TIMES = frozenset({"timestamptz", "timestamp", "date"})
_NO_DECIMAL = "A frame has no decimal for NaN, infinity or that many digits: read it as Float64 or String."


@dataclass(frozen=True)
class Relation:
    """What stands behind FROM.

    Args:
        config: the database.
        sql: the quoted name of a table, or a query in parentheses.
        columns: what it has.
        contract: the contract that reads it, for messages.
        uri: the place, for messages.
        wanted: stored name to the contract's name and type, for the columns that the contract reads.
        zone: the contract's time zone.
        only_reads: whether the server is to refuse whatever would change something.
    """

    config: SqlConfig
    sql: str
    columns: tuple[StoredColumn, ...]
    contract: str
    uri: str
    wanted: Mapping[str, tuple[str, DataType]]
    zone: str = "UTC"
    only_reads: bool = False

    @property
    def by_name(self) -> dict[str, StoredColumn]:
        """Stored name to column."""
        return {column.name: column for column in self.columns}

    @property
    def wires(self) -> dict[str, Wire]:
        """Stored name to how it is asked for."""
        return {
            column.name: wire(column, self.wanted[column.name][1] if column.name in self.wanted else None)
            for column in self.columns
        }

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Stored name to the dtype that a scan gives."""
        return {name: asked.dtype for name, asked in self.wires.items()}

    def finished(self, frame: pl.DataFrame, wires: Mapping[str, Wire]) -> pl.DataFrame:
        """A batch with its values as the scan's dtypes; columns that are not the relation's stay as they are.

        Raises:
            CastError: one of them cannot be that.
        """
        changed = []
        for values in frame:
            asked = wires.get(values.name)
            if asked is None or (asked.form == "plain" and values.dtype == asked.dtype):
                continue
            converted = arrived(values, asked)
            if converted is not values:
                if converted.null_count() != values.null_count() or isinstance(converted.dtype, pl.List):
                    self._refuse(values, converted, asked)
                changed.append(converted.alias(values.name))
        return frame.with_columns(changed) if changed else frame

    def _refuse(self, values: pl.Series, converted: pl.Series, asked: Wire) -> None:
        bad = misfits(values, converted)
        if bad.is_empty():
            return
        dtype = DataType.from_polars(asked.dtype)
        name, wanted = self.wanted.get(values.name, (values.name, dtype))
        place = Place(self.contract, self.uri, name, values.name, wanted, self.zone)
        if asked.form in {"moment", "day"}:
            raise CastError(f"The {place.words} is no {wanted.text} everywhere. {OUT_OF_TIME}")
        hint = {
            "duration": "Months and years have no fixed length: count in days, or read it as text.",
            "decimal": _NO_DECIMAL,
            "fitted": _NO_DECIMAL,
        }.get(asked.form, "")
        raise place.misfit(bad[0], hint)


def greatest_of(relation: Relation, column: str) -> Relation | None:
    """The relation of one row with the greatest value of a column; None where that is not stored as a time.

    Args:
        relation: the rows.
        column: its stored name.
    """
    stored = relation.by_name.get(column)
    if stored is None or stored.is_array or stored.family != "b" or stored.base not in _TIMES:
        return None
    name = quote(column)
    query = f"(SELECT max({name}) AS {name} FROM {relation.sql} AS stored)"
    return replace(relation, sql=query, columns=(replace(stored, not_null=False),))


def scan(relation: Relation) -> pl.LazyFrame:
    """All rows and columns of a relation, under their stored names; nothing is read before it is collected.

    Projection, limit and every condition that means the same to the server are the server's work; the rest of the
    conditions is applied to the batches as they come.
    """
    wires = relation.wires

    def read(
        wanted: list[str] | None, condition: pl.Expr | None, limit: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        names = list(wires) if wanted is None else wanted or list(wires)[:1]
        query, is_whole = select(relation, wires, names, condition, limit)
        rest = None if is_whole else condition
        needed = names
        if rest is not None:
            needed = [*names, *(name for name in dict.fromkeys(rest.meta.root_names()) if name not in names)]
            query, _ = select(relation, wires, needed, condition, limit)
        with (
            explained_sql(relation.contract, relation.uri, relation.config),
            session(relation.config) as opened,
        ):
            if relation.only_reads and opened.dialect.read_only:
                opened.execute(opened.dialect.read_only)
            for batch in opened.batches(query):
                frame = relation.finished(batch, wires)
                if rest is not None:
                    frame = frame.filter(rest).select(names)
                yield frame

    return register_io_source(
        read, schema=relation.schema, is_pure=True, explain_name=relation.config.dialect.name
    )


def select(
    relation: Relation,
    wires: Mapping[str, Wire],
    names: list[str],
    condition: pl.Expr | None,
    limit: int | None,
) -> tuple[Sql, bool]:
    """The query for some columns of a relation, and whether it says all of the condition.

    Args:
        relation: what is read.
        wires: how its columns are asked for.
        names: stored names of the columns.
        condition: what must hold, on stored names.
        limit: rows of the relation to look at, before the condition.
    """
    dialect = relation.config.dialect
    listed = ", ".join(
        wires[name].select if wires[name].is_stored else f"{wires[name].select} AS {quote(name)}"
        for name in names
    )
    where, is_whole = None, True
    if condition is not None:
        where, is_whole = split(condition, relation.by_name, dialect, wires)
    end = "" if limit is None else f" LIMIT {int(limit)}"
    if where is None:
        return sql(f"SELECT {listed} FROM {relation.sql} AS stored{end}", dialect=dialect), is_whole
    source = (
        f"(SELECT * FROM {relation.sql} AS stored{end}) AS stored" if end else f"{relation.sql} AS stored"
    )
    return sql(f"SELECT {listed} FROM {source} WHERE ", where, dialect=dialect), is_whole
