"""From rows to the Python text of a contract that they keep."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from aligned_dagster.contracts.guessing import as_read, guess
from aligned_dagster.contracts.guessing_roles import Figures, Roles, figures_of, roles_of
from aligned_dagster.contracts.spelling import feature_code, quoted
from aligned_dagster.errors import ContractError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.naming import snake_case

WIDTH = 110
_FEW = 12
_OFTEN = 5
_LONG = 40
_SUGGESTED = 'on_violation="warn"'


@dataclass(frozen=True)
class SourceCode:
    """How a source is written in Python.

    Args:
        function: what makes it, as in `FileSource.csv_at`.
        arguments: of the function, as Python text.
        imports: names that it takes from aligned_dagster.
        mapping_word: the argument that says how names in the source become names of columns.
        words: the source in a sentence.
    """

    function: str
    arguments: tuple[str, ...]
    imports: tuple[str, ...]
    mapping_word: str = "mapping_keys"
    words: str = ""

    def text(self, names: Mapping[str, str]) -> str:
        """The call, indented as an argument of a decorator.

        Args:
            names: stored name to name of the column, for those that differ.
        """
        if not names:
            return f"{self.function}({', '.join(self.arguments)})"
        pairs = "".join(f"            {quoted(old)}: {quoted(new)},\n" for old, new in names.items())
        given = "".join(f"        {argument},\n" for argument in self.arguments)
        return f"{self.function}(\n{given}        {self.mapping_word}={{\n{pairs}        }},\n    )"


def inferred_contract(
    rows: pl.LazyFrame,
    source: SourceCode,
    title: str,
    *,
    names: Mapping[str, str] | None = None,
    types: Mapping[str, DataType] | None = None,
    texts: Collection[str] = (),
    left_out: Mapping[str, str] | None = None,
) -> str:
    """The Python text of a contract that these rows keep.

    Types and nullability are those of the rows; bounds and accepted values are suggestions, which only warn. The
    entity is a column or a pair that is never null and never twice, and the event timestamp goes by name and type.

    Args:
        rows: all rows, under the names of the columns.
        source: how the source is written.
        title: name of the class.
        names: stored name to name of the column, for those that differ.
        types: of columns whose type says more than the frame does, such as UUIDs.
        texts: columns that are texts because the source has no types, whose type is to be guessed.
        left_out: stored columns without a place in the contract, and why.

    Raises:
        ContractError: there is no column.

    >>> rows = pl.LazyFrame({"id": ["1", "2"], "name": ["a", None]})
    >>> source = SourceCode("FileSource.csv_at", ('"people.csv"',), ("FileSource",), words="people.csv")
    >>> print(inferred_contract(rows, source, "People", texts=["id", "name"]).partition("class ")[2])
    People:
        \"\"\"Rows of people.csv. Inferred: bounds and accepted values are suggestions.\"\"\"
    <BLANKLINE>
        id = Int64().as_entity()
        name = String().is_optional()
    <BLANKLINE>
    """
    schema = rows.collect_schema()
    if not schema:
        raise ContractError(f"{source.words or title} has no column that a contract could have.")
    dtypes = {name: DataType.from_polars(dtype) for name, dtype in schema.items()} | dict(types or {})
    for name in schema:
        if name in texts:
            values = rows.select(pl.col(name).unique()).collect(engine="streaming").to_series()
            dtypes[name] = guess(values)
            read = partial(as_read, dtype=dtypes[name])
            rows = rows.with_columns(pl.col(name).map_batches(read, return_dtype=dtypes[name].polars))
    figures = figures_of(rows, dtypes)
    roles = roles_of(rows, dtypes, figures)
    lines = [
        _line(name, dtype, figures[name], roles, _few_texts(rows, name, dtype, figures[name], roles))
        for name, dtype in dtypes.items()
    ]
    return _module(source, title, lines, names or {}, left_out or {})


def class_name(words: str) -> str:
    """A name of a class for a file or table.

    >>> class_name("daily-sales 2024"), class_name("2024"), class_name("int64")
    ('DailySales2024', 'Rows2024', 'Int64Rows')
    """
    parts = re.findall(r"[A-Za-z0-9]+", words)
    name = "".join(part[0].upper() + part[1:] for part in parts) or "Rows"
    if name[0].isdigit():
        name = f"Rows{name}"
    return f"{name}Rows" if name in _TAKEN or snake_case(name) in _TAKEN else name


def _taken() -> frozenset[str]:
    from keyword import kwlist

    from aligned_dagster.features import types

    return frozenset({*types.__all__, *kwlist, "FileSource", "CsvConfig", "PostgreSQLConfig", "AwsS3Config"})


_TAKEN = _taken()


def _few_texts(
    rows: pl.LazyFrame, name: str, dtype: DataType, figures: Figures, roles: Roles
) -> Sequence[str]:
    """The values of a column that has few and repeats them; none otherwise."""
    distinct = figures.distinct or 0
    filled = figures.rows - figures.nulls
    if dtype.kind != "string" or name in roles.entities or not 2 <= distinct <= min(_FEW, filled // _OFTEN):
        return ()
    found = rows.select(pl.col(name).drop_nulls().unique().sort()).collect().to_series().to_list()
    return found if all(len(value) <= _LONG for value in found) else ()


def _line(name: str, dtype: DataType, figures: Figures, roles: Roles, accepted: Sequence[str]) -> str:
    """The statement that declares a column."""
    code = feature_code(dtype, is_event_timestamp=name == roles.event_timestamp)
    if name in roles.entities:
        code += ".as_entity()"
    elif figures.nulls:
        code += ".is_optional()"
    start, remark = f"    {name} = {code}", ""
    if dtype.is_numeric and name not in roles.entities and figures.is_never_negative:
        signed = not dtype.kind.startswith("uint")
        start += f".lower_bound(0, {_SUGGESTED})" if signed else ""
    if dtype.is_numeric and name not in roles.entities and figures.least is not None:
        remark = f"  # {figures.least} to {figures.most}"
    if accepted:
        values = ", ".join(quoted(value) for value in accepted)
        flat = f"{start}.accepted_values([{values}], {_SUGGESTED})"
        if len(flat) <= WIDTH:
            return flat
        items = "".join(f"            {quoted(value)},\n" for value in accepted)
        return f"{start}.accepted_values(\n        [\n{items}        ],\n        {_SUGGESTED},\n    )"
    return start + remark


def _module(
    source: SourceCode,
    title: str,
    lines: Sequence[str],
    names: Mapping[str, str],
    left_out: Mapping[str, str],
) -> str:
    body = "\n".join(lines)
    used = {word for word in re.findall(r"\b([A-Z]\w*)\(", body) if word in _TAKEN}
    imported = sorted({*source.imports, *used}, key=_import_order)
    statement = f"from aligned_dagster import {', '.join([*imported, 'feature_view'])}"
    if len(statement) > WIDTH:
        listed = "".join(f"    {name},\n" for name in [*imported, "feature_view"])
        statement = f"from aligned_dagster import (\n{listed})"
    words = source.words if re.fullmatch(r"[\w./:=$ -]+", source.words, re.ASCII) else "the source"
    remarks = "".join(f"    # left out: {quoted(name)}, {why}\n" for name, why in left_out.items())
    return (
        f"from __future__ import annotations\n\n{statement}\n\n\n"
        f"@feature_view(\n    source={source.text(names)},\n)\n"
        f"class {title}:\n"
        f'    """Rows of {words}. Inferred: bounds and accepted values are suggestions."""\n\n'
        f"{body}\n{remarks}"
    )


def _import_order(name: str) -> tuple[int, str]:
    """Constants, then classes, as ruff sorts them."""
    return (0 if name.isupper() else 1, name)
