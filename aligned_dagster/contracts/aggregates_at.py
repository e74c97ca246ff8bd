"""Aggregations over windows of time that end at each fact's time, and not at the last row before it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.features.expression import replay
from aligned_dagster.features.plan import needed, with_derived
from aligned_dagster.request.join_keys import common_dtype, moment

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

_NOW, _ROWS, _CREATED = (f"__at {name}" for name in ("now", "rows", "created"))
_EARLIEST = -(2**63)
_ALWAYS = 2**62
"""Microseconds that reach back before any time."""


class _Usable:
    """polars' namespace, whose columns are those rows of a window that were known at its end.

    Rows of one entity and time stand together in lists, so that a window moves over times and not over rows.
    """

    rows = pl.col(_ROWS).explode(empty_as_null=False, keep_nulls=False)
    created = pl.col(_CREATED).explode(empty_as_null=False, keep_nulls=False)
    known = rows & (created <= pl.col(_NOW).last())

    def col(self, name: str) -> pl.Expr:
        """The column's values in the usable rows."""
        return pl.col(name).explode(empty_as_null=False, keep_nulls=False).filter(self.known)

    def __getattr__(self, name: str) -> Any:
        return getattr(pl, name)


def aggregated_at(
    view: FeatureView[Any],
    facts: pl.LazyFrame,
    columns: tuple[str, ...],
    fact_timestamp: str,
    found: str | None = None,
    max_age: timedelta | None = None,
) -> pl.LazyFrame:
    """The facts with aggregated columns of a virtual view, over the rows that were known at each fact's time.

    A window that holds no row of the fact's entity is no match: its features are null.

    Args:
        view: has an event timestamp and aggregates the rows of its entities.
        facts: has the view's entity columns.
        columns: the wanted columns of the view; its event timestamp is that of the last row in the window.
        fact_timestamp: column of the facts with the time.
        found: name of a further boolean column that says whether any row was in a window; none if not given.
        max_age: how old the last row in a window may be at most, inclusive.

    Raises:
        RequestError: the entities or times of the two cannot be compared.
    """
    compiled, entities = view.compiled, view.schema.entities
    time = view.need_event_timestamp()
    created = compiled.inputs.created_timestamp
    asked = facts.collect_schema()
    derivations = {**compiled.inputs.derivations, **compiled.schema.derivations}
    wanted = needed({*columns, *entities, time, *([created] if created else [])}, derivations)
    groupings = {name: grouping for name, grouping in compiled.groupings if name in wanted}
    stored = tuple(column.name for column in compiled.inputs.stored if column.name in wanted)
    rows = view.source.all_data(view.request.project(stored))
    rows = with_derived(rows, {n: t for n, t in compiled.inputs.derivations.items() if n in wanted})
    known = rows.collect_schema()
    zone = view.time_zone
    keys = {name: common_dtype(name, asked[name], name, known[name]) for name in entities}
    now = moment(fact_timestamp, asked[fact_timestamp], zone=zone, unit="us")
    numbered = facts.with_columns(
        now.alias(_NOW), *(pl.col(n).cast(t).alias(f"__key {n}") for n, t in keys.items())
    )
    by = [f"__key {name}" for name in entities]
    points = numbered.select(*by, _NOW).drop_nulls().unique()
    written = (
        pl.lit(_EARLIEST, dtype=pl.Int64)
        if created is None
        else moment(created, known[created], zone=zone, unit="us", ambiguous="latest").fill_null(_EARLIEST)
    )
    events = rows.select(
        pl.all(),
        *(pl.col(name).cast(dtype).alias(f"__key {name}") for name, dtype in keys.items()),
        moment(time, known[time], zone=zone, unit="us", ambiguous="latest").alias(_NOW),
        written.alias(_CREATED),
    ).filter(pl.col(_NOW).is_not_null())
    events = events.join(points.select(by).unique(), on=by, how="semi")
    together = (
        events.with_columns(pl.lit(True).alias(_ROWS)).group_by(*by, _NOW, maintain_order=True).agg(pl.all())
    )
    moments = together.select(*by, _NOW)
    line = pl.concat([together, points.join(moments, on=[*by, _NOW], how="anti")], how="diagonal").sort(
        *by, _NOW
    )
    space = _Usable()
    windows: dict[int, list[str]] = {}
    for name, grouping in groupings.items():
        length = _ALWAYS if grouping.window is None else grouping.window // timedelta(microseconds=1)
        windows.setdefault(length, []).append(name)
    answered = points
    for number, (length, names) in enumerate(windows.items() or [(_ALWAYS, [])]):
        values = [replay(compiled.schema.derivations[name], space).alias(name) for name in names]
        rolled = line.rolling(index_column=_NOW, period=f"{length}i", group_by=by, closed="right").agg(
            space.known.sum().alias(f"{_ROWS} {number}"),
            space.col(time).max().alias(f"{time} {number}"),
            *values,
        )
        matched = pl.col(f"{_ROWS} {number}") > 0
        if max_age is not None:
            last = moment(f"{time} {number}", known[time], zone=zone, unit="us", ambiguous="latest")
            matched &= pl.col(_NOW) - last <= max_age // timedelta(microseconds=1)
        rolled = rolled.with_columns(matched.alias(f"{_ROWS} {number}")).with_columns(
            pl.when(f"{_ROWS} {number}").then(pl.col(name)).alias(name)
            for name in [*names, f"{time} {number}"]
        )
        answered = answered.join(rolled, on=[*by, _NOW], how="left")
    numbers = range(max(len(windows), 1))
    answered = answered.with_columns(
        pl.max_horizontal(f"{time} {number}" for number in numbers).alias(time),
        pl.any_horizontal(f"{_ROWS} {number}" for number in numbers).alias(_ROWS),
    )
    after = {
        name: tree
        for name, tree in compiled.schema.derivations.items()
        if name in wanted and name not in compiled.inputs.derivations and name not in groupings
    }
    aside = {name: f"__was {number}" for number, name in enumerate(asked) if name not in entities}
    beside = numbered.rename(aside).join(answered, on=[*by, _NOW], how="left", maintain_order="left")
    derived = with_derived(beside, after)
    told = [] if found is None else [pl.col(_ROWS).fill_null(False).alias(found)]
    given = [pl.col(aside.get(name, name)).alias(name) for name in asked]
    return derived.select(*given, *columns, *told)
