"""The border between what a source stores and what a contract promises: names, order, dtypes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import polars as pl
import polars.selectors as cs

from aligned_dagster.errors import MissingColumnError, did_you_mean
from aligned_dagster.features.literals import thaw
from aligned_dagster.features.plan import needed, with_derived
from aligned_dagster.features.schema import Column
from aligned_dagster.request.retrieval_request import RetrievalRequest
from aligned_dagster.sources.casting import CheckedCast, Place, cast
from aligned_dagster.sources.date_formatter import DateFormatter
from aligned_dagster.sources.json_text import nested_to_text

_ISO = DateFormatter.iso_8601()


def conform(
    frame: pl.LazyFrame,
    request: RetrievalRequest,
    *,
    source_label: str,
    mapping: Mapping[str, str] | None = None,
    formatter: DateFormatter = _ISO,
    stored: Mapping[str, pl.DataType] | None = None,
    beside: str | None = None,
) -> pl.LazyFrame:
    """Give a stored frame exactly the wanted columns of the contract, in order, with their dtypes.

    Stored columns that the contract does not name are dropped. A column that is not stored is filled where it
    is optional or has a default, and computed where the request says how; a stored null becomes the default,
    where there is one. Casts are checked: a value that does not fit raises a `CastError` when the frame is
    collected. A projection on the result reaches the scan, and so does a filter on columns that need no cast.

    Args:
        frame: what the source holds.
        request: the contract and the wanted columns.
        source_label: URI of the source, for errors.
        mapping: stored name to name in the contract.
        formatter: how dates are stored as text or numbers.
        stored: names and dtypes of the frame; looked up if not given, which reads a header or a footer.
        beside: a further column of the frame, which is kept as it is, behind the others.

    Raises:
        MissingColumnError: a wanted column is not stored and may not be missing.
        CastError: the stored dtype of a column can never fit.
    """
    stored = frame.collect_schema() if stored is None else stored
    names = stored_names(request, mapping or {})
    absent = {name: tree for name, tree in request.derivations if names[name] not in stored}
    also = [] if beside is None else [beside]
    read = needed(request.columns, absent)
    if absent.keys() & read and read - absent.keys() <= names.keys():
        below = replace(
            request, columns=tuple(n for n in names if n in read and n not in absent), derivations=()
        )
        rows = conform(
            frame,
            below,
            source_label=source_label,
            mapping=mapping,
            formatter=formatter,
            stored=stored,
            beside=beside,
        )
        derived = with_derived(rows, {n: absent[n] for n in absent if n in read})
        return derived.select(*request.columns, *also)
    missing = [column for column in request.wanted if names[column.name] not in stored]
    check_present(missing, stored, names, request, source_label)
    present = {
        name: _read(column, stored[alias], alias, request, source_label, formatter)
        for column in request.wanted
        if (alias := names[name := column.name]) in stored
    }
    also = [] if beside is None else [beside]
    if not missing:
        return (
            frame.select(*also, **present).select(*request.columns, *also)
            if also
            else frame.select(**present)
        )
    fillers = {column.name: _filler(column) for column in missing}
    if present:
        frame = frame.select(*also, **present)
    return frame.with_columns(**fillers).select(*request.columns, *also)


def check_present(
    missing: Iterable[Column],
    stored: Iterable[str],
    names: Mapping[str, str],
    request: RetrievalRequest,
    source_label: str,
) -> None:
    """Raise unless each of the missing columns may be missing.

    Raises:
        MissingColumnError: one may not.
    """
    options = list(stored)
    spare = [name for name in options if name not in names.values()]
    lost = [
        column
        for column in missing
        if not (column.optional or column.has_default)
        or (names[column.name] != column.name and did_you_mean(names[column.name], spare))
    ]
    if not lost:
        return
    first = names[lost[0].name]
    also = f" (and {', '.join(repr(names[c.name]) for c in lost[1:])})" if lost[1:] else ""
    alias = f", stored as {first!r}" if first != lost[0].name else ""
    raise MissingColumnError(
        f"{source_label} has no column {first!r}{also}, which {request.name!r} needs for "
        f"{lost[0].name!r} ({lost[0].dtype.text}{alias}).{did_you_mean(first, options)} "
        f"Stored columns: {', '.join(options) or 'none'}. {_advice(lost[0], first, options)}"
    )


def _advice(column: Column, stored: str, options: list[str]) -> str:
    separator = next((sign for sign in ";\t|" if len(options) == 1 and sign in options[0]), None)
    if separator is not None:
        return f"The cells seem to be separated by {separator!r}: use csv_config=CsvConfig(separator={separator!r})."
    if stored != column.name:
        return f"mapping_keys says that {column.name!r} is stored as {stored!r}: mend it there."
    return f"Rename it with mapping_keys={{'stored name': {column.name!r}}}, or declare it is_optional()."


def stored_names(request: RetrievalRequest, mapping: Mapping[str, str]) -> dict[str, str]:
    """Name in the contract to name in the source, for every column of the schema."""
    renamed = {feature: stored for stored, feature in mapping.items()}
    return {name: renamed.get(name, name) for name in request.schema.names}


def to_stored(
    frame: pl.LazyFrame,
    request: RetrievalRequest,
    *,
    source_label: str,
    mapping: Mapping[str, str] | None = None,
    formatter: DateFormatter = _ISO,
    as_text: bool = False,
) -> pl.LazyFrame:
    """The inverse of `conform`: the contract's columns under their stored names, dates and nested values encoded.

    Args:
        frame: all columns of the request, as the contract has them.
        request: the contract.
        source_label: URI of the target, for errors.
        mapping: stored name to name in the contract.
        formatter: how dates are to be stored; `noop` leaves them as they are where the format has dates.
        as_text: whether the format holds only text, as CSV does.

    Raises:
        CastError: upon collection, where a date cannot be written without a loss.
    """
    return frame.select(
        **stored_exprs(request, source_label, mapping or {}, formatter=formatter, as_text=as_text)
    )


def stored_exprs(
    request: RetrievalRequest,
    source_label: str,
    mapping: Mapping[str, str],
    *,
    formatter: DateFormatter,
    as_text: bool,
) -> dict[str, pl.Expr]:
    """Stored name to the expression that makes it from the contract's columns; see `to_stored`."""
    names = stored_names(request, mapping)
    exprs: dict[str, pl.Expr] = {}
    for column in request.wanted:
        stored = names[column.name]
        place = Place(request.name, source_label, column.name, stored, column.dtype, request.zone)
        exprs[stored] = _written(pl.col(column.name), place, formatter, as_text)
    return exprs


def _written(column: pl.Expr, place: Place, formatter: DateFormatter, as_text: bool) -> pl.Expr:
    dtype, zone = place.dtype, place.zone
    if dtype.kind in {"date", "timestamp"} and (as_text or formatter.kind != "noop"):
        target = pl.Int64() if formatter.takes_numbers else pl.String()
        hint = "It cannot be written with this date_formatter without losing part of it."
        return CheckedCast(lambda values: formatter.encode(values, zone), place, hint).on(column, target)
    if not as_text:
        return column
    if dtype.is_nested:
        return column.map_batches(nested_to_text, return_dtype=pl.String, is_elementwise=True)
    if dtype.kind == "binary":
        return column.bin.encode("base64")
    if dtype.kind == "duration":
        return column.cast(pl.Int64)
    if dtype.kind == "time":  # a cast to text would drop what is below a second
        return column.dt.to_string("%H:%M:%S%.f")
    return column


def _read(
    column: Column,
    dtype: pl.DataType,
    stored: str,
    request: RetrievalRequest,
    source_label: str,
    formatter: DateFormatter,
) -> pl.Expr:
    place = Place(request.name, source_label, column.name, stored, column.dtype, request.zone)
    expr = cast(_column(stored), dtype, place, formatter)
    if column.has_default and column.default is not None:
        expr = expr.fill_null(default_of(column))
    return expr


def _column(stored: str) -> pl.Expr:
    """A stored column, also one whose name polars would take for a pattern."""
    if stored == "*" or (stored.startswith("^") and stored.endswith("$")):
        return cs.by_name(stored).as_expr()
    return pl.col(stored)


def _filler(column: Column) -> pl.Expr:
    return pl.lit(None, dtype=column.dtype.polars) if column.default is None else default_of(column)


def default_of(column: Column) -> pl.Expr:
    """The default of a column that has one, in its dtype."""
    value = thaw(column.default)
    if column.dtype.is_nested:
        return pl.lit(pl.Series([value], dtype=column.dtype.polars)).first()
    return pl.lit(value).cast(column.dtype.polars)
