"""Lists, structs and embeddings."""

from __future__ import annotations

from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.engines.dialect import FLOAT64, Asked, Dialect, Written, case, writes


def _inner(part: Written) -> DataType:
    assert part.dtype.inner is not None
    return part.dtype.inner


@writes("list.contains")
def _contains(dialect: Dialect, asked: Asked) -> str:
    items, value = asked.args[0], dialect.typed(asked.args[1], _inner(asked.args[0]))
    item = "item"
    while item in value.lower():  # a column of that name would be taken for the item
        item += "_"
    found = f"{item} {dialect.either('<=>', 'IS NOT DISTINCT FROM')} {value}"
    return dialect.either(
        f"exists({items.text}, {item} -> {found})",
        f"(len(list_filter({items.text}, lambda {item}: {found})) > 0)",
    )


@writes("list.get", "arr.get")
def _item(dialect: Dialect, asked: Asked) -> str:
    items, index = asked.args[0].text, int(asked.plain(1, "index"))
    if not dialect.is_spark:
        return f"{items}[{index + 1 if index >= 0 else index}]"
    return f"get({items}, {index if index >= 0 else f'size({items}) - {-index}'})"


@writes("list.len", "arr.len")
def _length(dialect: Dialect, asked: Asked) -> str:
    items = asked.args[0].text
    count = dialect.either(f"size({items})", f"len({items})")
    return case([(f"{items} IS NOT NULL", dialect.cast(count, asked.dtype))], "NULL")


def _known(dialect: Dialect, items: str) -> str:
    return dialect.either(
        f"filter({items}, item -> item IS NOT NULL)", f"list_filter({items}, lambda item: item IS NOT NULL)"
    )


def _total(dialect: Dialect, items: str, dtype: DataType) -> str:
    zero = dialect.literal(0, dtype)
    if dialect.is_spark:
        return f"aggregate({items}, {zero}, (total, item) -> total + coalesce(CAST(item AS {dialect.type(dtype)}), {zero}))"
    typed = f"list_transform({items}, lambda item: {dialect.cast('item', dtype)})"
    return case([(f"{items} IS NOT NULL", f"coalesce(list_sum({typed}), {zero})")], "NULL")


@writes("list.sum", "arr.sum")
def _sum(dialect: Dialect, asked: Asked) -> str:
    return dialect.cast(_total(dialect, asked.args[0].text, asked.dtype), asked.dtype)


@writes("list.mean")
def _mean(dialect: Dialect, asked: Asked) -> str:
    known = _known(dialect, asked.args[0].text)
    count = dialect.either(f"size({known})", f"len({known})")
    return f"({_total(dialect, known, FLOAT64)} / nullif({count}, 0))"


@writes("list.max", "list.min")
def _extreme(dialect: Dialect, asked: Asked) -> str:
    items = asked.args[0].text
    end = asked.method.removeprefix("list.")
    function = dialect.either(f"array_{end}", f"list_{end}")
    if not asked.dtype.is_float:
        return f"{function}({items})"
    nan = dialect.literal(float("nan"), asked.dtype)
    numbers = dialect.either(
        f"filter({items}, item -> item <> {nan})", f"list_filter({items}, lambda item: item <> {nan})"
    )
    return f"coalesce({function}({numbers}), {function}({items}))"


@writes("list.join")
def _joined(dialect: Dialect, asked: Asked) -> str:
    items, separator = asked.args[0].text, dialect.text(asked.plain(1, "separator"))
    known = _known(dialect, items)
    return dialect.either(
        f"array_join({known}, {separator})",
        f"coalesce(array_to_string({known}, {separator}), CASE WHEN {items} IS NOT NULL THEN '' END)",
    )


@writes("struct.field")
def _field(dialect: Dialect, asked: Asked) -> str:
    struct, name = asked.args[0].text, asked.plain(1)
    return dialect.either(f"{struct}.{dialect.name(name)}", f"struct_extract({struct}, {dialect.text(name)})")
