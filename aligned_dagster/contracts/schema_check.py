"""Whether a contract that reads another one fits it, told as soon as it is defined."""

from __future__ import annotations

from aligned_dagster.contracts.view_source import ContractSource, ViewSource, leaves
from aligned_dagster.errors import SchemaMismatchError, did_you_mean
from aligned_dagster.features.dtypes import castable
from aligned_dagster.features.location import SourceLocation, at
from aligned_dagster.features.schema import Schema
from aligned_dagster.sources.source import DataSource


def check_fit(name: str, inputs: Schema, source: DataSource, location: SourceLocation | None) -> None:
    """Compare the columns that a contract reads with those of the views that it reads them from.

    Args:
        name: the contract.
        inputs: what it reads.
        source: where it reads; anything but views is checked when it is read.
        location: where the contract is defined.

    Raises:
        SchemaMismatchError: columns are missing or cannot be cast; every one is listed, with both locations.
    """
    if not isinstance(source, ContractSource):
        return
    known = source.columns()
    problems: list[str] = []
    for column in inputs.stored:
        where = at(column.location)
        if column.name not in known:
            if not column.optional and not column.has_default:
                hint = did_you_mean(column.name, known)
                problems.append(f"{column.name} ({column.dtype.text}) is missing there.{hint}{where}")
        elif not castable(known[column.name], column.dtype):
            there = known[column.name].text
            problems.append(f"{column.name} is {there} there and cannot become {column.dtype.text}.{where}")
    if problems:
        upstream = ", ".join(_place(leaf) for leaf in leaves(source))
        raise SchemaMismatchError(
            f"{name} does not fit what it reads, {upstream}:\n  "
            + "\n  ".join(problems)
            + f"\nColumns there: {', '.join(known)}.{at(location)}"
        )


def _place(leaf: DataSource) -> str:
    return f"{leaf.label}{at(leaf.view.location)}" if isinstance(leaf, ViewSource) else leaf.label
