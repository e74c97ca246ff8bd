"""The audit: every check of a contract in one streaming pass over its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from aligned_dagster.features.constraints import OnViolation, Reference
from aligned_dagster.features.schema import Schema
from aligned_dagster.quality.checks import CheckSpec, expected_checks, told_apart
from aligned_dagster.quality.probes import Around, Probe, plan, require_probes, wrong_columns
from aligned_dagster.quality.report import SAMPLE_ROWS, AuditReport, CheckOutcome, ColumnStatistics

MOST_STATISTICS = 256
"""How many numeric columns get min, max, mean and std; those after them only get their nulls counted."""

BROKEN_RULES = "broken_rules"
"""The column of bad rows that names the checks they break."""

FIGURES = ("min", "max", "mean", "std")
"""What is told of a column of numbers."""


def audit(
    frame: pl.LazyFrame,
    schema: Schema,
    *,
    contract: str,
    on_violation: OnViolation = "block",
    references: Mapping[str, pl.LazyFrame] | None = None,
    around: Around | None = None,
) -> AuditReport:
    """Check every promise of a contract: columns, dtypes, entity key, constraints, references, rules.

    One streaming pass computes all counts and figures. Only where something is broken a second one fetches
    samples. NaN breaks bounds, a null only what forbids nulls, and no rows break nothing.

    Args:
        frame: the rows.
        schema: the contract's columns and rules.
        contract: its name.
        on_violation: what a broken rule does that says nothing itself.
        references: view name to a frame with the referenced column; the contract itself needs none.
        around: all rows, where `frame` has only those of what changed: the rules that others can break as well, such
            as one that a column is unique, are checked on the columns that they need of all rows.

    Raises:
        UnknownContractError: a referenced view is not in `references`.
        UnknownFeatureError: a referenced view lacks the column.

    >>> from aligned_dagster.features.constraints import LowerBound
    >>> from aligned_dagster.features.dtypes import DataType
    >>> from aligned_dagster.features.schema import Column
    >>> age = Column("age", DataType("int64"), constraints=(LowerBound(0),))
    >>> schema = Schema((Column("id", DataType("int64"), "entity"), age))
    >>> print(audit(pl.LazyFrame({"id": [1, 2, 2], "age": [-1, None, 7]}), schema, contract="person"))
    person: 3 rows, 2 of 3 checks failed
      passed   schema            0  columns and dtypes must be those of the contract
      blocked  entity_key        2  id must be unique and not null
      blocked  age__lower_bound  1  age must be at least 0
    """
    found = frame.collect_schema()
    checks = expected_checks(schema, on_violation)
    to_itself = any(isinstance(c.constraint, Reference) and c.constraint.view == contract for c in checks)
    known = {contract: around.rows if around is not None and to_itself else frame, **(references or {})}
    probes, unchecked = plan(found, schema, contract=contract, on_violation=on_violation, references=known)
    measured = _measured(found, schema)
    beyond: set[str] = set()
    everything = frame
    if around is not None:
        beyond = {probe.check.name for probe in probes if around.must_be_seen(probe, contract)}
        everything = around.rows if beyond else frame
    frames = {p.check.name: everything if p.check.name in beyond else frame for p in probes}

    counts = {p.check.name: p.count for p in probes if p.count is not None}
    here = {f"count {name}": count for name, count in counts.items() if name not in beyond}
    there = {f"count {name}": count for name, count in counts.items() if name in beyond}
    passes = [frame.select(pl.len().alias("rows"), **here, **measured)]
    if beyond:
        passes.append(everything.select(pl.len().alias("all rows"), **there))
    others = [probe for probe in probes if probe.count is None]
    collected = pl.collect_all(
        [*passes, *(probe.broken(frames[probe.check.name]).select(pl.len()) for probe in others)],
        engine="streaming",
    )
    row = {name: value for one in collected[: len(passes)] for name, value in one.row(0, named=True).items()}
    broken = {name: int(row[f"count {name}"]) for name in counts}
    for probe, count in zip(others, collected[len(passes) :], strict=True):
        broken[probe.check.name] = count.item()

    exact, samples = _second_pass(frames, schema, [p for p in probes if broken[p.check.name]])
    broken |= exact
    rows: int = row["rows"]
    wrong = wrong_columns(found, schema)

    return AuditReport(
        contract=contract,
        rows=rows,
        outcomes=tuple(
            outcome(
                check,
                rows=row["all rows"] if check.name in beyond else rows,
                broken=broken.get(check.name, 0),
                sample=samples.get(check.name),
                wrong=wrong,
                unchecked=unchecked,
            )
            for check in checks
        ),
        statistics=tuple(column_statistics(name, row) for name in schema.names if name in found),
        beyond=tuple(name for name in frames if name in beyond),
    )


def outcome(
    check: CheckSpec,
    *,
    rows: int,
    broken: int,
    sample: pl.DataFrame | None,
    wrong: Mapping[str, str],
    unchecked: Mapping[str, str],
) -> CheckOutcome:
    """What one check found.

    Args:
        check: what was checked.
        rows: how many rows were looked at.
        broken: how many of them break it.
        sample: some of those; none if not given.
        wrong: sentence about each column that is not as the contract says.
        unchecked: check to the reason why it could not be computed.
    """
    shared = (check.name, check.words, check.column, check.on_violation, rows)
    if check.name == "schema":
        return CheckOutcome(*shared, broken=len(wrong), note=" ".join(wrong.values()))
    if check.name in unchecked:
        return CheckOutcome(*shared, broken=0, note=unchecked[check.name], checked=False)
    found = pl.DataFrame() if sample is None else sample
    if check.rule is None or check.rule.mostly == 1:
        return CheckOutcome(*shared, broken=broken, sample=found)
    tolerated = check.rule.is_kept(broken, rows)
    return CheckOutcome(*shared, broken=broken, sample=found, mostly=check.rule.mostly, tolerated=tolerated)


def statistics(frame: pl.LazyFrame, schema: Schema) -> tuple[ColumnStatistics, ...]:
    """The figures of every column as an audit takes them, in one streaming pass and without any check.

    Args:
        frame: the rows.
        schema: the contract's columns; those that the frame lacks are left out.

    >>> from aligned_dagster.features.dtypes import DataType
    >>> from aligned_dagster.features.schema import Column
    >>> schema = Schema((Column("age", DataType("int64")),))
    >>> [(one.name, one.nulls, one.max) for one in statistics(pl.LazyFrame({"age": [1, None, 7]}), schema)]
    [('age', 1, 7.0)]
    """
    found = frame.collect_schema()
    measured = _measured(found, schema)
    if not measured:
        return ()
    row = frame.select(**measured).collect(engine="streaming").row(0, named=True)
    return tuple(column_statistics(name, row) for name in schema.names if name in found)


@dataclass(frozen=True)
class Split:
    """All rows of a frame, each in one of two lazy frames, in the order they had.

    Args:
        good: the rows that break nothing.
        bad: the others, with the names of the checks that each breaks in the column `broken_rules`.
    """

    good: pl.LazyFrame
    bad: pl.LazyFrame


def split(
    frame: pl.LazyFrame,
    schema: Schema,
    *,
    contract: str = "the contract",
    on_violation: OnViolation = "block",
    references: Mapping[str, pl.LazyFrame] | None = None,
    include_blocking: bool = False,
    checks: Collection[str] | None = None,
) -> Split:
    """Tell the rows that are to be kept aside from the others, lazily.

    Rows are bad that break a rule whose effect is "quarantine". Of rows that share a key, all are bad.

    Args:
        frame: the rows.
        schema: the contract's columns and rules.
        contract: its name, for messages.
        on_violation: what a broken rule does that says nothing itself.
        references: view name to a frame with the referenced column.
        include_blocking: whether rows are bad as well that break a rule whose effect is "block".
        checks: names of the only checks to look at, as those that an audit found broken; all if not given.

    Raises:
        SchemaMismatchError: columns are missing or of another dtype, so that a check cannot be computed.
        UnknownContractError: a referenced view is not in `references`.
        UnknownFeatureError: a referenced view lacks the column.

    >>> from aligned_dagster.features.constraints import LowerBound
    >>> from aligned_dagster.features.dtypes import DataType
    >>> from aligned_dagster.features.schema import Column
    >>> schema = Schema((Column("age", DataType("int64"), constraints=(LowerBound(0),)),))
    >>> parts = split(pl.LazyFrame({"age": [-1, 7]}), schema, on_violation="quarantine")
    >>> parts.good.collect().rows(), parts.bad.collect().rows()
    ([(7,)], [(-1, ['age__lower_bound'])])
    """
    found = frame.collect_schema()
    known = {contract: frame, **(references or {})}
    probes, unchecked = plan(found, schema, contract=contract, on_violation=on_violation, references=known)
    concerned = told_apart(schema, on_violation, include_blocking=include_blocking, among=checks)
    require_probes({n: reason for n, reason in unchecked.items() if n in concerned}, contract)
    probes = [probe for probe in probes if probe.check.name in concerned]

    broken_rules = broken_rules_column(found)
    if not probes:
        nothing = pl.lit([], dtype=pl.List(pl.String)).alias(broken_rules)
        return Split(frame, frame.with_columns(nothing).clear())
    flags = {f"__broken {number}": probe for number, probe in enumerate(probes)}
    flagged = frame
    for name, probe in flags.items():
        flagged = probe.flag(flagged, name)
    names = pl.concat_list(
        pl.when(name).then(pl.lit(probe.check.name)).otherwise(None) for name, probe in flags.items()
    )
    bad = flagged.filter(pl.any_horizontal(*flags)).with_columns(names.list.drop_nulls().alias(broken_rules))
    return Split(
        good=flagged.filter(~pl.any_horizontal(*flags)).select(*found),
        bad=bad.select(*found, broken_rules),
    )


def broken_rules_column(columns: Iterable[str]) -> str:
    """The column of bad rows that names their checks: `broken_rules`, with a further `_` while that is taken."""
    taken, name = set(columns), BROKEN_RULES
    while name in taken:
        name += "_"
    return name


def _second_pass(
    frames: Mapping[str, pl.LazyFrame], schema: Schema, suspects: list[Probe]
) -> tuple[dict[str, int], dict[str, pl.DataFrame]]:
    """The exact counts that the first pass left open, and a sample of the rows that break each rule."""
    queries: list[pl.LazyFrame] = []
    for probe in suspects:
        frame = frames[probe.check.name]
        found = frame.collect_schema()
        keys = [name for name in schema.key if name in found]
        columns = list(dict.fromkeys([*keys, *probe.check.columns]))
        rows = probe.broken(frame).select(columns)
        if not probe.exact:
            queries.append(rows.select(pl.len()))
            plain = [name for name in probe.check.columns if not found[name].is_nested()]
            rows = rows.sort(plain, maintain_order=True) if plain else rows
        queries.append(rows.head(SAMPLE_ROWS))
    results = iter(pl.collect_all(queries, engine="streaming") if queries else [])
    counts: dict[str, int] = {}
    samples: dict[str, pl.DataFrame] = {}
    for probe in suspects:
        if not probe.exact:
            counts[probe.check.name] = next(results).item()
        samples[probe.check.name] = next(results)
    return counts, samples


def _measured(found: Mapping[str, pl.DataType], schema: Schema) -> dict[str, pl.Expr]:
    """The figures of every column, under names that no other expression has."""
    measured = {}
    numeric = 0
    for name in schema.names:
        if name not in found:
            continue
        values, dtype = pl.col(name), found[name]
        measured[f"nulls {name}"] = values.null_count()
        if not dtype.is_numeric() or numeric == MOST_STATISTICS:
            continue
        numeric += 1
        if dtype.is_float():
            values = values.fill_nan(None)
        if dtype.is_decimal():
            values = values.cast(pl.Float64)
        for figure in FIGURES:
            measured[f"{figure} {name}"] = getattr(values, figure)()
    return measured


def column_statistics(name: str, row: Mapping[str, float | None]) -> ColumnStatistics:
    """The figures of one column.

    Args:
        name: its name.
        row: its figures, each named by what it is and by the column.
    """
    figures = {figure: row.get(f"{figure} {name}") for figure in FIGURES}
    return ColumnStatistics(
        name,
        nulls=int(row[f"nulls {name}"] or 0),
        **{figure: None if value is None else float(value) for figure, value in figures.items()},
    )
