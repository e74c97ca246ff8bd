"""The audit where an engine holds the rows: every check and figure in one aggregation there."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from aligned_dagster.features.constraints import OnViolation
from aligned_dagster.features.engines.carried import quoted
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.features.engines.selecting import column_on, columns_on, select_on
from aligned_dagster.features.schema import Schema
from aligned_dagster.quality.audit import (
    FIGURES,
    MOST_STATISTICS,
    broken_rules_column,
    column_statistics,
    outcome,
)
from aligned_dagster.quality.checks import expected_checks, told_apart
from aligned_dagster.quality.probes import require_probes
from aligned_dagster.quality.probes_on import ProbeOn, any_of, plan_on
from aligned_dagster.quality.report import SAMPLE_ROWS, AuditReport

if TYPE_CHECKING:
    import narwhals as nw

_FLAG = "__broken"
_ROWS_FOR_SAMPLES = 1_000
"""How many bad rows are fetched at once, to take the samples of all checks from."""


def audit_on(
    frame: nw.LazyFrame[Any],
    schema: Schema,
    *,
    contract: str,
    engine: Engine,
    on_violation: OnViolation = "block",
    references: Mapping[str, nw.LazyFrame[Any]] | None = None,
) -> AuditReport:
    """Check every promise of a contract on rows that an engine holds; the report is that of `audit` on the same rows.

    One aggregation computes all counts and figures; keys, rules that a column is unique and references are counted by
    one more query, with a grouping or a join for each. Only where something is broken the engine is asked for samples,
    in the order of the key.

    Args:
        frame: the rows, in the dtypes in which the engine carries those of the contract.
        schema: the contract's columns and rules.
        contract: its name.
        engine: holds the rows.
        on_violation: what a broken rule does that says nothing itself.
        references: view name to a frame of the same engine with the referenced column; the contract needs none.

    Raises:
        UnknownContractError: a referenced view is not in `references`.
        UnknownFeatureError: a referenced view lacks the column.

    >>> import duckdb, narwhals
    >>> from aligned_dagster.features.constraints import LowerBound
    >>> from aligned_dagster.features.dtypes import DataType
    >>> from aligned_dagster.features.schema import Column
    >>> age = Column("age", DataType("int32"), constraints=(LowerBound(0),))
    >>> schema = Schema((Column("id", DataType("int32"), "entity"), age))
    >>> rows = narwhals.from_native(
    ...     duckdb.sql("select * from (values (1, -1), (2, 7), (2, 9)) as t(id, age)")
    ... )
    >>> print(audit_on(rows, schema, contract="person", engine="duckdb"))
    person: 3 rows, 2 of 3 checks failed
      passed   schema            0  columns and dtypes must be those of the contract
      blocked  entity_key        2  id must be unique and not null
      blocked  age__lower_bound  1  age must be at least 0
    """
    import narwhals as nw

    found = frame.collect_schema().to_polars()
    known = {contract: frame, **(references or {})}
    probes, unchecked, wrong = plan_on(
        found, schema, contract=contract, engine=engine, on_violation=on_violation, references=known
    )
    measured = _measured(found, schema, wrong, engine)
    figures = [figure.alias(f"figure {number}") for number, figure in enumerate(measured.values())]
    # Spark takes no window, as a rule over groups has one, inside an aggregation: first the flags, then their sums.
    flags = {f"{_FLAG} {n}": p.violation for n, p in enumerate(probes) if p.violation is not None}
    flagged = frame.with_columns(**flags) if flags else frame
    sums = [nw.col(name).cast(nw.Int64).sum().alias(name) for name in flags]
    counted = flagged.select(nw.len().alias("rows"), *sums, *figures)
    row = counted.collect("polars").to_native().row(0, named=True)
    broken = {probe.check.name: int(row.get(f"{_FLAG} {number}", 0)) for number, probe in enumerate(probes)}
    among = [probe for probe in probes if probe.unique or probe.known is not None]
    if among:
        counts = [
            probe.among_others(frame).with_columns(nw.lit(number, nw.Int64).alias("probe"))
            for number, probe in enumerate(among)
        ]
        for count in nw.concat(counts).collect("polars").to_native().iter_rows(named=True):
            broken[among[count["probe"]].check.name] += count["broken"]
    suspects = {f"{_FLAG} {n}": probe for n, probe in enumerate(probes) if broken[probe.check.name]}
    samples = _samples(suspects, broken, frame, flagged, schema, engine)
    figured = {name: row[f"figure {number}"] for number, name in enumerate(measured)}
    rows = int(row["rows"])
    return AuditReport(
        contract=contract,
        rows=rows,
        outcomes=tuple(
            outcome(
                check,
                rows=rows,
                broken=broken.get(check.name, 0),
                sample=samples.get(check.name),
                wrong=wrong,
                unchecked=unchecked,
            )
            for check in expected_checks(schema, on_violation)
        ),
        statistics=tuple(column_statistics(name, figured) for name in schema.names if name in found),
    )


@dataclass(frozen=True)
class SplitOn:
    """All rows of a frame of an engine, each in one of two.

    Args:
        good: the rows that break nothing.
        bad: the others, with the names of the checks that each breaks in the column `broken_rules`.
    """

    good: nw.LazyFrame[Any]
    bad: nw.LazyFrame[Any]


def split_on(
    frame: nw.LazyFrame[Any],
    schema: Schema,
    *,
    engine: Engine,
    contract: str = "the contract",
    on_violation: OnViolation = "block",
    references: Mapping[str, nw.LazyFrame[Any]] | None = None,
    include_blocking: bool = False,
    checks: Collection[str] | None = None,
) -> SplitOn:
    """Tell the rows that are to be kept aside from the others, where an engine holds them; see `split`.

    Nothing is computed yet, except for rules that only a share of the rows must keep: those rows are counted.

    Args:
        frame: the rows, in the dtypes in which the engine carries those of the contract.
        schema: the contract's columns and rules.
        engine: holds the rows.
        contract: its name, for messages.
        on_violation: what a broken rule does that says nothing itself.
        references: view name to a frame of the same engine with the referenced column.
        include_blocking: whether rows are bad as well that break a rule whose effect is "block".
        checks: names of the only checks to look at, as those that an audit found broken; all if not given.

    Raises:
        SchemaMismatchError: columns are missing or of another dtype, so that a check cannot be computed.
        UnknownContractError: a referenced view is not in `references`.
        UnknownFeatureError: a referenced view lacks the column.
    """
    import narwhals as nw

    found = frame.collect_schema().to_polars()
    known = {contract: frame, **(references or {})}
    probes, unchecked, _ = plan_on(
        found, schema, contract=contract, engine=engine, on_violation=on_violation, references=known
    )
    concerned = told_apart(schema, on_violation, include_blocking=include_blocking, among=checks)
    require_probes({n: reason for n, reason in unchecked.items() if n in concerned}, contract)
    probes = _intolerable(frame, [probe for probe in probes if probe.check.name in concerned])

    broken_rules = broken_rules_column(found)
    if not probes:
        nothing = nw.lit("").str.split(",").alias(broken_rules)
        return SplitOn(frame, frame.head(0).with_columns(nothing))
    flags = {f"{_FLAG} {number}": probe for number, probe in enumerate(probes)}
    flagged = functools.reduce(lambda rows, one: one[1].flag(rows, one[0]), flags.items(), frame)
    names = [nw.when(nw.col(name)).then(nw.lit(probe.check.name)) for name, probe in flags.items()]
    # The names of checks are made of letters, digits and underscores.
    told = nw.concat_str(*names, separator=",", ignore_nulls=True).str.split(",")
    is_bad = any_of([nw.col(name) for name in flags])
    return SplitOn(
        good=columns_on(flagged.filter(~is_bad), found, engine),
        bad=columns_on(
            flagged.filter(is_bad).with_columns(told.alias(broken_rules)), [*found, broken_rules], engine
        ),
    )


def _intolerable(frame: nw.LazyFrame[Any], probes: Sequence[ProbeOn]) -> list[ProbeOn]:
    """Those probes whose rule is broken by more rows than may break it."""
    import narwhals as nw

    shares = {
        f"{_FLAG} {n}": probe
        for n, probe in enumerate(probes)
        if probe.check.rule is not None and probe.check.rule.mostly < 1 and probe.violation is not None
    }
    if not shares:
        return list(probes)
    flagged = frame.with_columns(**{n: p.violation for n, p in shares.items() if p.violation is not None})
    sums = [nw.col(name).cast(nw.Int64).sum() for name in shares]
    row = flagged.select(nw.len().alias("rows"), *sums).collect("polars").to_native().row(0, named=True)
    tolerated = {
        probe.check.name
        for name, probe in shares.items()
        if probe.check.rule is not None and probe.check.rule.is_kept(int(row[name]), int(row["rows"]))
    }
    return [probe for probe in probes if probe.check.name not in tolerated]


def _samples(
    suspects: Mapping[str, ProbeOn],
    broken: Mapping[str, int],
    frame: nw.LazyFrame[Any],
    flagged: nw.LazyFrame[Any],
    schema: Schema,
    engine: Engine,
) -> dict[str, pl.DataFrame]:
    """Rows that break each rule, the first by their key, in the contract's dtypes.

    The first bad rows, fetched once, show most rules broken; those that they show too seldom are asked for one by one.

    Args:
        suspects: what is broken, by the name of its flag.
        broken: check to the number of rows that break it.
        frame: the rows.
        flagged: the same with the flags of what a row tells by itself.
        schema: the contract.
        engine: holds the rows.
    """
    import narwhals as nw

    found = frame.collect_schema().to_polars()
    keys = [name for name in schema.key if name in found]
    plain = [name for name in keys if not found[name].is_nested()]
    told = {flag: probe for flag, probe in suspects.items() if not probe.unique and probe.known is None}
    samples: dict[str, pl.DataFrame] = {}
    if told:
        columns = dict.fromkeys(
            [*keys, *(name for probe in told.values() for name in probe.check.columns), *told]
        )
        bad = flagged.filter(any_of([nw.col(flag) for flag in told]))
        rows = _first(bad, list(columns), plain, _ROWS_FOR_SAMPLES, engine)
        for flag, probe in told.items():
            columns = dict.fromkeys([*keys, *probe.check.columns])
            sample = rows.filter(pl.col(flag)).select(*columns).head(SAMPLE_ROWS)
            if sample.height == min(SAMPLE_ROWS, broken[probe.check.name]):
                samples[probe.check.name] = sample
    for probe in suspects.values():
        if probe.check.name not in samples:
            columns = dict.fromkeys([*keys, *probe.check.columns])
            by = [name for name in columns if not found[name].is_nested()]
            samples[probe.check.name] = _first(probe.broken(frame), list(columns), by, SAMPLE_ROWS, engine)
    checked = {probe.check.name: probe.check.columns for probe in suspects.values()}
    return {
        # Keys may be of a wrong dtype; the columns that a check reads are not.
        name: sample.cast({column: schema.polars[column] for column in checked[name]})
        for name, sample in samples.items()
    }


def _first(
    frame: nw.LazyFrame[Any], columns: Sequence[str], by: Sequence[str], count: int, engine: Engine
) -> pl.DataFrame:
    """These columns of the first rows in an order; of any rows if there is none."""
    names = {f"column {number}": name for number, name in enumerate(columns)}
    rows = select_on(frame, {alias: quoted(name, engine) for alias, name in names.items()}, engine)
    order = [alias for alias, name in names.items() if name in by]
    found: pl.DataFrame = (rows.sort(*order) if order else rows).head(count).collect("polars").to_native()
    return found.rename(names)


def _measured(
    found: Mapping[str, pl.DataType], schema: Schema, wrong: Mapping[str, str], engine: Engine
) -> dict[str, nw.Expr]:
    """The figures of every column, each named by what it is and by the column."""
    import narwhals as nw

    measured: dict[str, nw.Expr] = {}
    numeric = 0
    for name in schema.names:
        if name not in found:
            continue
        values = column_on(name, engine)
        measured[f"nulls {name}"] = values.is_null().cast(nw.Int64).sum()
        # The type of a column that is as it should be is the contract's: a duration is carried as a whole number.
        dtype = found[name] if name in wrong else schema.polars[name]
        if not dtype.is_numeric() or numeric == MOST_STATISTICS:
            continue
        numeric += 1
        if found[name].is_decimal():
            values = values.cast(nw.Float64)
        if dtype.is_float():
            values = nw.when(~values.is_nan()).then(values)
        for figure in FIGURES:
            value = getattr(values, figure)()
            # polars tells the mean of 32-bit numbers in 32 bits.
            measured[f"{figure} {name}"] = value.cast(nw.Float32) if dtype == pl.Float32 else value
    return measured
