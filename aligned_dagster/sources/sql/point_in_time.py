"""The point-in-time join on the server: the keys and times of the facts go there, one row for each comes back.

The facts become a temporary table, and each looks up its row: by an index on the entities (LATERAL ... LIMIT 1) where
there is one, else by numbering the rows of one join. What comes back is the row that `request.point_in_time` finds,
also for ties, late rows and nulls. That module does the join itself, over all rows, where it is the cheaper way, where
the server lets nobody create a temporary table, and where the two might compare keys or times differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl
from polars.io.plugins import register_io_source

from aligned_dagster.features.plan import needed
from aligned_dagster.request.explain import explained
from aligned_dagster.request.join_keys import moment
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.conform import stored_names
from aligned_dagster.sources.sql.catalog import TableShape
from aligned_dagster.sources.sql.connection import Session, explained_sql, session
from aligned_dagster.sources.sql.identifiers import quote
from aligned_dagster.sources.sql.scan import Relation
from aligned_dagster.sources.sql.sql_errors import sql_state
from aligned_dagster.sources.sql.statistics import estimated_rows
from aligned_dagster.sources.sql.types import Wire

FEW_ROWS = 2_000
"""A table of no more rows than this is fetched."""

ROWS_PER_FACT = 8
"""Fetching is cheaper where the table has fewer rows than this for each fact, and an index serves the lookups."""

ROWS_PER_FACT_WITHOUT_INDEX = 20
"""The same where the server has to read the whole table too."""

_ROW = "aligned row"
_FACTS = "aligned facts"
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
_REFUSED = {"42501", "25006", "0A000"}

Conformed = Callable[[pl.LazyFrame, str], pl.LazyFrame]
"""Brings stored columns to the contract's, beside a further column that is kept."""


@dataclass(frozen=True)
class Key:
    """How an entity column is compared with what is sent of it.

    Args:
        select: the column, or what is made of it.
        dtype: of what is sent.
        sql_type: what the sent value is cast to, where that is another type.
    """

    select: str
    dtype: pl.DataType
    sql_type: str = ""


@dataclass(frozen=True)
class Lookup:
    """How facts find their rows on the server.

    Args:
        relation: where the rows are.
        keys: columns of the facts to what they are compared with.
        event: the event timestamp; None where there is none.
        created: the time of creation; None where there is none.
        fact_timestamp: column of the facts with the time; None for the latest row.
        wanted: contract's names of the columns to add.
        stored: stored names of what they are made of.
        by_index: whether an index serves each lookup.
        has_place: whether the rows have a place, which decides between rows of the same time.
        zone: the contract's time zone.
    """

    relation: Relation
    keys: Mapping[str, Key]
    event: Wire | None
    created: Wire | None
    fact_timestamp: str | None
    wanted: tuple[str, ...]
    stored: tuple[str, ...]
    by_index: bool
    has_place: bool
    zone: str


def lookup(
    relation: Relation,
    shape: TableShape | None,
    request: RetrievalRequest,
    facts: pl.LazyFrame,
    fact_timestamp: str | None,
) -> Lookup | None:
    """How facts find their rows on the server; None where the server might find others than polars.

    Args:
        relation: where the rows are.
        shape: what the server knows of the table, where it is one.
        request: the contract and the wanted columns.
        facts: a frame that has the entities.
        fact_timestamp: the column of `facts` with the time; None for the latest row per entity.
    """
    names = stored_names(request, {stored: name for stored, (name, _) in relation.wanted.items()})
    wires = relation.wires
    asked = facts.collect_schema()
    keys: dict[str, Key] = {}
    for name in request.entities:
        key = _key(relation, wires, names[name], request, name, asked[name])
        if key is None:
            return None
        keys[name] = key
    times: list[Wire | None] = []
    for time in (request.event_timestamp, request.created_timestamp):
        found = None if time is None else _time(wires, names[time], request, time)
        if time is not None and found is None:
            return None
        times.append(found)
    timed = fact_timestamp if fact_timestamp is not None and any(times) else None
    if timed is not None and not _is_moment(asked[timed]):
        return None
    wanted = tuple(name for name in request.columns if name not in request.entities)
    absent = {name: tree for name, tree in request.derivations if names[name] not in wires}
    made_of = needed(wanted, absent)
    stored = tuple(name for name in wires if name in {names.get(part, part) for part in made_of})
    event = request.event_timestamp
    entities = {names[name] for name in request.entities}
    return Lookup(
        relation=relation,
        keys=keys,
        event=times[0],
        created=times[1],
        fact_timestamp=timed,
        wanted=wanted,
        stored=stored,
        by_index=shape is not None
        and relation.config.dialect.has_lateral
        and (
            shape.has_index_on(entities) or (event is not None and shape.has_index_on(entities, names[event]))
        ),
        has_place=shape is not None and shape.kind == "table" and relation.config.dialect.has_row_place,
        zone=request.zone,
    )


def joined_by_server(
    lookup: Lookup, facts: pl.LazyFrame, fetched: pl.LazyFrame, conformed: Conformed
) -> pl.LazyFrame:
    """The facts with their features, found by the server where that is the cheaper way.

    Args:
        lookup: how facts find their rows.
        facts: the rows that are asked about.
        fetched: the same answer, made of all rows.
        conformed: brings stored columns to the contract's.
    """
    relation = lookup.relation

    def read(
        names: list[str] | None, condition: pl.Expr | None, limit: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        with explained(relation.contract, relation.uri):
            asked = (facts if limit is None else facts.head(limit)).collect(engine="streaming")
            answer = _answered(lookup, asked, conformed)
            rows = (fetched if limit is None else fetched.head(limit)) if answer is None else answer
            rows = rows if condition is None else rows.filter(condition)
            yield (rows if names is None else rows.select(names)).collect(engine="streaming")

    return register_io_source(
        read,
        schema=dict(fetched.collect_schema()),
        explain_name=f"{relation.config.dialect.name} point in time",
    )


def _answered(lookup: Lookup, asked: pl.DataFrame, conformed: Conformed) -> pl.LazyFrame | None:
    """The facts with what the server finds for them; None where all rows should be fetched."""
    from adbc_driver_manager import Error

    relation = lookup.relation
    numbered = asked.with_row_index(_ROW).with_columns(pl.col(_ROW).cast(pl.Int64))
    sent = numbered.select(_ROW, **_sent(lookup, asked.schema)).drop_nulls()
    with (
        explained_sql(relation.contract, relation.uri, relation.config),
        session(relation.config) as opened,
    ):
        if not _is_cheaper(lookup, opened, sent.height):
            return None
        try:
            _send(opened, sent)
        except Error as error:
            if sql_state(str(error), error.sqlstate) in _REFUSED:
                opened.rollback()
                return None
            raise
        wires = relation.wires
        batches = [relation.finished(batch, wires) for batch in opened.batches(_query(lookup))]
    schema = {_ROW: pl.Int64(), **{name: wires[name].dtype for name in lookup.stored}}
    found = pl.concat(batches) if batches else pl.DataFrame(schema=schema)
    rows = conformed(found.lazy(), _ROW) if lookup.wanted else found.lazy()
    return numbered.lazy().join(rows, on=_ROW, how="left", maintain_order="left").drop(_ROW)


def _is_cheaper(lookup: Lookup, opened: Session, facts: int) -> bool:
    rows = estimated_rows(opened, lookup.relation.sql)
    per_fact = ROWS_PER_FACT if lookup.by_index else ROWS_PER_FACT_WITHOUT_INDEX
    return rows > FEW_ROWS and rows >= per_fact * facts


def _send(opened: Session, sent: pl.DataFrame) -> None:
    opened.ingest(_FACTS, sent, temporary=True, create=True)
    opened.execute(f"ANALYZE {quote(_FACTS)}")


def _query(lookup: Lookup) -> str:
    relation, wires = lookup.relation, lookup.relation.wires
    fact = quote(_FACTS)
    listed = [f"{wires[name].select} AS {quote(name)}" for name in lookup.stored]
    conditions = [
        f"{key.select} = {fact}.{quote(f'aligned key {number}')}{key.sql_type and f'::{key.sql_type}'}"
        for number, key in enumerate(lookup.keys.values())
    ]
    order = []
    if lookup.event is not None:
        conditions.append(f"{lookup.event.select} IS NOT NULL")
        order.append(f"{lookup.event.select} DESC")
        if lookup.fact_timestamp is not None:
            conditions.append(f"{lookup.event.select} <= {fact}.{quote('aligned event')}")
    if lookup.created is not None:
        order.append(f"{lookup.created.select} DESC NULLS LAST")
        if lookup.fact_timestamp is not None:
            created = lookup.created.select
            conditions.append(f"({created} IS NULL OR {created} <= {fact}.{quote('aligned created')})")
    if lookup.has_place:
        order.append("stored.ctid DESC")
    ordered = f" ORDER BY {', '.join(order)}" if order else ""
    where = " AND ".join(conditions)
    source = f"{relation.sql} AS stored"
    if lookup.by_index:
        inner = f"SELECT {', '.join(listed) or '1 AS found'} FROM {source} WHERE {where}{ordered} LIMIT 1"
        names = "".join(f", found.{quote(name)}" for name in lookup.stored)
        return f"SELECT {fact}.{quote(_ROW)}{names} FROM {fact} CROSS JOIN LATERAL ({inner}) AS found"
    number = f"row_number() OVER (PARTITION BY {fact}.{quote(_ROW)}{ordered})"
    inner_list = ", ".join([f"{fact}.{quote(_ROW)}", *listed, f"{number} AS {quote('aligned place')}"])
    names = ", ".join(quote(name) for name in (_ROW, *lookup.stored))
    return (
        f"SELECT {names} FROM (SELECT {inner_list} FROM {fact} JOIN {source} ON {where}) AS ranked "
        f"WHERE {quote('aligned place')} = 1"
    )


def _sent(lookup: Lookup, asked: Mapping[str, pl.DataType]) -> dict[str, pl.Expr]:
    """What the server is told of each fact, null where it can have no row."""
    columns: dict[str, pl.Expr] = {}
    for number, (name, key) in enumerate(lookup.keys.items()):
        column = pl.col(name)
        if isinstance(asked[name], pl.Categorical | pl.Enum):
            column = column.cast(pl.String)
        column = column.cast(key.dtype, strict=False)
        if key.dtype == pl.String:
            fits = (
                column.str.contains(_UUID)
                if key.sql_type == "uuid"
                else ~column.str.contains("\0", literal=True)
            )
            column = pl.when(fits).then(column)
        columns[f"aligned key {number}"] = column
    timed = lookup.fact_timestamp
    if timed is not None:
        now = moment(timed, asked[timed], zone=lookup.zone, unit="us").clip(_FIRST, _LAST)
        for role, time in (("event", lookup.event), ("created", lookup.created)):
            if time is not None:
                at = now.cast(pl.Datetime("us"))
                zone = "UTC" if isinstance(time.dtype, pl.Datetime) and time.dtype.time_zone else None
                columns[f"aligned {role}"] = (
                    at.dt.date() if time.dtype == pl.Date() else at.dt.replace_time_zone(zone)
                )
    return columns


def _key(
    relation: Relation,
    wires: Mapping[str, Wire],
    stored: str,
    request: RetrievalRequest,
    name: str,
    asked: pl.DataType,
) -> Key | None:
    """How an entity column is compared; None where polars might compare it otherwise."""
    column = request.schema.column(name)
    found = wires.get(stored)
    if found is None or column.has_default:
        return None
    source, key = relation.by_name[stored], Key(found.select, found.dtype)
    if found.dtype.is_integer() and column.dtype.is_integer and asked.is_integer():
        return key
    if found.dtype != column.dtype.polars:
        return None
    if found.dtype == pl.String and isinstance(asked, pl.String | pl.Categorical | pl.Enum):
        if source.base == "uuid":
            return Key(source.sql, pl.String(), "uuid")
        return key if source.bytewise else Key(relation.config.dialect.byte_order(key.select), key.dtype)
    return key if found.dtype == asked == pl.Date else None


def _time(wires: Mapping[str, Wire], stored: str, request: RetrievalRequest, name: str) -> Wire | None:
    """How a timestamp is compared; None where it is stored in another form than the contract's."""
    column = request.schema.column(name)
    found = wires.get(stored)
    if found is None or column.has_default:
        return None
    wanted = column.dtype.polars
    if isinstance(found.dtype, pl.Datetime) and isinstance(wanted, pl.Datetime):
        if found.dtype.time_zone is not None and wanted.time_zone is not None:
            return found
        naive = found.dtype.time_zone is None and wanted.time_zone is None
        return found if naive and request.zone == "UTC" else None
    return found if found.dtype == wanted == pl.Date and request.zone == "UTC" else None


def _is_moment(dtype: pl.DataType) -> bool:
    return dtype == pl.Date or (isinstance(dtype, pl.Datetime) and dtype.time_unit != "ns")
