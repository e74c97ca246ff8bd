"""The columns of a training set, and what must hold of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from aligned_dagster.contracts.immutable import window_start
from aligned_dagster.contracts.retrieval import Wanted
from aligned_dagster.contracts.splits import PARTS, SPLIT, Split
from aligned_dagster.contracts.truth import Truth
from aligned_dagster.errors import ContractError, DuplicateNameError, did_you_mean
from aligned_dagster.features.constraints import AcceptedValues, Constraint, NotNull, Rule
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Call, ColumnRef, Expression
from aligned_dagster.features.location import at, caller
from aligned_dagster.features.schema import Column, Role, Schema
from aligned_dagster.request.features_report import Provenance

WINDOW = "window"
"""The first day of a row's window of time, by which the files of a set in a directory are divided."""


def plain(
    column: Column, name: str | None = None, role: Role = "feature", constraints: tuple[Constraint, ...] = ()
) -> Column:
    """A column of another contract as one of a set: stored, and without the promises that were made there.

    Args:
        column: of the other contract.
        name: in the set; the same if not given.
        role: in the set.
        constraints: that hold in the set.
    """
    return Column(
        name or column.name,
        column.dtype,
        role,
        description=column.description,
        tags=column.tags,
        constraints=constraints,
        location=column.location,
    )


def target_column(truth: Truth, facts: Schema) -> Column:
    """The column that is to be predicted; null where it is not known yet.

    Args:
        truth: where it stands.
        facts: the columns of the facts.
    """
    if truth.of == "row" or truth.view is None:
        return plain(facts.column(truth.column), truth.name)
    return plain(truth.view.schema.column(truth.column), truth.name)


def split_column(split: Split) -> Column:
    """The column that says in which part a row is."""
    constraints = (NotNull(), AcceptedValues(PARTS))
    return Column(SPLIT, DataType("string"), constraints=constraints, description=f"Split {split.words()}.")


def time_columns(want: Wanted, told: Provenance) -> Iterator[Column]:
    """The columns that say which row of a view a fact got."""
    view, schema = want.view.name, want.view.schema
    for name, stored, what in (
        (told.event, schema.event_timestamp, "became true"),
        (told.created, schema.created_timestamp, "was written"),
    ):
        if name is not None and stored is not None:
            words = f"When the row of {view} that is used {what}."
            yield Column(name, schema.column(stored).dtype, description=words)
    if told.event is None:
        words = f"Whether {view} has a row for the fact."
        yield Column(told.found, DataType("bool"), constraints=(NotNull(),), description=words)


def window_column(time: Column, every: str, zone: str) -> Column:
    """The first day of a row's window of time.

    Args:
        time: the event timestamp.
        every: the length of the windows.
        zone: in whose days, weeks and months they are.
    """
    day = Call("cast", window_start(time.name, time.dtype, every, zone), "date")
    words = f"The first day of the {every} window of {time.name}."
    return Column(WINDOW, DataType("date"), derivation=day, description=words)


def check_once(name: str, columns: Iterable[Column]) -> None:
    """Raise where two columns of a set would have one name.

    Raises:
        DuplicateNameError: they would.
    """
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            raise DuplicateNameError(
                f"{name} would have two columns {column.name!r}. Name the feature otherwise: "
                f"features={{'known_{column.name}': View().{column.name}, ...}}.{at(caller())}"
            )
        seen.add(column.name)


def leak_rules(told: Sequence[Provenance], columns: Sequence[Column], time: str | None) -> Iterator[Rule]:
    """For each view: no row that was used happened or was written after the fact. It blocks, whatever else does.

    Args:
        told: of each view.
        columns: of the set.
        time: that of the fact; no rule where it has none.
    """
    if time is None:
        return
    dtypes = {column.name: column.dtype for column in columns}
    now = _moment(time, dtypes[time])
    for one in told:
        known = [name for name in (one.event, one.created) if name is not None]
        kept = [Call("le", _moment(name, dtypes[name]), now) for name in known]
        if kept:
            words = f"no row of {one.view} that is used may be later than its fact"
            predicate = kept[0] if len(kept) == 1 else Call("and_", *kept)
            yield Rule(f"leaked_{one.view}", predicate, words, "block")


def match_rules(
    told: Sequence[Provenance], columns: Sequence[Column], least: float | Mapping[str, float]
) -> Iterator[Rule]:
    """For each view: enough facts got a row.

    Args:
        told: of each view.
        columns: of the set.
        least: the share of facts, for all views or by the view's name; 0 for no rule.

    Raises:
        ContractError: it names a view that is not asked, or is no share.
    """
    views = [one.view for one in told]
    by_view = least if isinstance(least, Mapping) else dict.fromkeys(views, least)
    for view, share in by_view.items():
        if view not in views:
            raise ContractError(
                f"min_match_rate names {view!r}, of which nothing is asked.{did_you_mean(view, views)}{at(caller())}"
            )
        if not 0 <= share <= 1:
            raise ContractError(f"min_match_rate={share} is no share; it lies between 0 and 1.{at(caller())}")
    names = {column.name for column in columns}
    for one in told:
        share = by_view.get(one.view, 0)
        if share == 0:
            continue
        found: Expression = ColumnRef(one.found)
        if one.found not in names and one.event is not None:
            found = Call("is_not_null", ColumnRef(one.event))
        yield Rule(f"matched_{one.view}", found, f"{one.view} has a row for the fact", mostly=float(share))


def _moment(name: str, dtype: DataType) -> Expression:
    """A time in UTC, so that any two can be compared; one without a zone is one of UTC, a date its midnight."""
    column: Expression = ColumnRef(name)
    if dtype.kind == "date":
        column = Call("cast", column, "timestamp(us,)")
    elif dtype.time_zone:
        return column if dtype.time_zone == "UTC" else Call("dt.convert_time_zone", column, "UTC")
    return Call("dt.replace_time_zone", column, "UTC")
