"""Conditions of polars as conditions of SQL, where both mean the same for every value; else None.

A condition is read from its serialised form. What is not known to mean the same (arithmetic that can overflow,
functions, casts that can fail, literals that are not exactly values of the column) is not translated, and polars
decides it after the rows have arrived. Both have Kleene's three-valued logic, in which a row passes where the
condition is true; both hold NaN to be equal to itself and greater than any number; text is compared by its bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from aligned_dagster.sources.sql.bound import Bound, Sql, joined, sql, text_of
from aligned_dagster.sources.sql.dialect import POSTGRES, Dialect
from aligned_dagster.sources.sql.types import StoredColumn, Wire, wire

Predicate = Sql
"""A condition: `.sql` with the placeholders $1, $2, ... and `.parameters`, or `.streamed` for a COPY."""

_COMPARISONS = {"Eq": "=", "NotEq": "<>", "Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">="}
_MISSING = {"EqValidity": "IS NOT DISTINCT FROM", "NotEqValidity": "IS DISTINCT FROM"}
_LOGIC = {"And": " AND ", "LogicalAnd": " AND ", "Or": " OR ", "LogicalOr": " OR "}
_BOUNDS = {"Both": (">=", "<="), "Left": (">=", "<"), "Right": (">", "<="), "None": (">", "<")}
_INTEGERS: dict[pl.DataType, str] = {pl.Int16(): "smallint", pl.Int32(): "integer", pl.Int64(): "bigint"}
_TARGETS: dict[str, pl.DataType] = {"Int32": pl.Int32(), "Int64": pl.Int64(), "Float64": pl.Float64()}
_MOST_LISTED = 1_000
"""Values of a list that are bound one by one, where they cannot be bound as an array."""
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def to_sql(
    expr: pl.Expr,
    columns: Mapping[str, StoredColumn],
    dialect: Dialect = POSTGRES,
    wires: Mapping[str, Wire] | None = None,
) -> Predicate | None:
    """The same condition in SQL; None where it cannot be told that it is the same.

    Args:
        expr: a condition on columns.
        columns: name in the condition to stored column. Leave out a column of which polars sees other values than
            the stored ones, such as one whose nulls become a default.
        dialect: of the server.
        wires: how columns are selected, where it is not as `types.wire` says.

    >>> age = StoredColumn("Age", "integer", base="int4")
    >>> found = to_sql((pl.col("age") >= 18) & pl.col("age").is_not_null(), {"age": age})
    >>> found.sql, found.parameters
    ('(("Age" >= $1::integer) AND ("Age" IS NOT NULL))', ('18',))
    >>> to_sql(pl.col("age") * 2 > 3, {"age": age}) is None
    True
    """
    return _Translator(columns, dialect, wires or {}).whole(_tree(expr))


def split(
    expr: pl.Expr,
    columns: Mapping[str, StoredColumn],
    dialect: Dialect = POSTGRES,
    wires: Mapping[str, Wire] | None = None,
) -> tuple[Predicate | None, bool]:
    """What of a condition can be said in SQL, and whether that is all of it.

    Of several conditions that must all hold, those that can be translated are.
    """
    translator = _Translator(columns, dialect, wires or {})
    parts = [translator.whole(part) for part in _conjuncts(_tree(expr))]
    found = [part for part in parts if part is not None]
    if not found:
        return None, False
    return joined(" AND ", found, dialect), len(found) == len(parts)


@dataclass(frozen=True)
class _Operand:
    """Something with a value.

    Args:
        sql: the expression.
        dtype: its polars dtype.
        text_order: whether its text is compared by bytes already.
        source: the stored column that it is, where it is nothing more.
    """

    sql: Sql
    dtype: pl.DataType
    bytewise: bool = True
    source: StoredColumn | None = None


class _Translator:
    def __init__(
        self, columns: Mapping[str, StoredColumn], dialect: Dialect, wires: Mapping[str, Wire]
    ) -> None:
        self._columns = columns
        self._dialect = dialect
        self._wires = wires

    def whole(self, node: Any) -> Sql | None:
        """A condition; None where it cannot be translated."""
        if not isinstance(node, dict) or len(node) != 1:
            return None
        kind, body = next(iter(node.items()))
        if kind == "BinaryExpr":
            return self._binary(body["left"], body["op"], body["right"])
        if kind == "Function":
            return self._function(body["input"], body["function"])
        if kind == "Alias":
            return self.whole(body[0])
        if kind == "Literal":
            value = _literal(node)
            if value is None or value.dtype != pl.Boolean or len(value) != 1:
                return None
            return self._sql({True: "TRUE", False: "FALSE", None: "NULL::boolean"}[value.item()])
        if kind == "Column":
            operand = self._operand(node)
            return operand.sql if operand is not None and operand.dtype == pl.Boolean else None
        return None

    def _binary(self, left: Any, op: Any, right: Any) -> Sql | None:
        if not isinstance(op, str):
            return None
        if op in _LOGIC:
            a, b = self.whole(left), self.whole(right)
            return None if a is None or b is None else self._sql("(", a, _LOGIC[op], b, ")")
        sign = _COMPARISONS.get(op) or (_MISSING.get(op) if self._dialect.has_distinct_from else None)
        if sign is None:
            return None
        return self._comparison(left, sign, right)

    def _comparison(self, left: Any, sign: str, right: Any) -> Sql | None:
        a, b = self._operand(left), self._operand(right)
        if a is None and b is None:
            return None
        if a is None:
            value, of = _literal(left), b
        elif b is None:
            value, of = _literal(right), a
        else:
            if a.dtype != b.dtype:
                return None
            return self._sql("(", self._ordered(a, sign, b), f" {sign} ", self._ordered(b, sign, a), ")")
        if of is None or value is None or len(value) != 1:
            return None
        bound = self._bound(value, of, sign)
        if bound is None:
            return None
        column, literal = bound
        pair = (literal, column) if a is None else (column, literal)
        return self._sql("(", pair[0], f" {sign} ", pair[1], ")")

    def _ordered(self, operand: _Operand, sign: str, other: _Operand) -> Sql:
        if operand.dtype == pl.String and (
            (sign[0] in "<>" and sign != "<>") or not (operand.bytewise and other.bytewise)
        ):
            return self._by_bytes(operand.sql)
        return operand.sql

    def _bound(self, value: pl.Series, of: _Operand, sign: str) -> tuple[Sql, Sql] | None:
        """Both sides of a comparison with a literal."""
        if of.dtype.is_decimal() and not self._dialect.numeric_keeps_digits:
            return None
        exact = _exactly(value, of.dtype)
        if exact is None or exact.null_count():
            return None
        text = _text(exact)
        if text is None:
            return None
        if of.dtype == pl.String:
            if of.source is not None and of.source.base == "uuid" and exact.str.contains(_UUID).all():
                return self._sql(of.source.sql), self._sql(Bound(text, "uuid"))
            is_order = sign in {"<", "<=", ">", ">="}
            column = of.sql if of.bytewise and not is_order else self._by_bytes(of.sql)
            return column, self._sql(Bound(text, "text"))
        return of.sql, self._sql(Bound(text, _sql_type(of.dtype)))

    def _function(self, inputs: list[Any], function: Any) -> Sql | None:
        if function == "FillNull" and len(inputs) == 2:
            condition, other = self.whole(inputs[0]), self.whole(inputs[1])
            return (
                None
                if condition is None or other is None
                else self._sql("coalesce(", condition, ", ", other, ")")
            )
        if not isinstance(function, dict) or set(function) != {"Boolean"}:
            return None
        name = function["Boolean"]
        if name == "Not":
            inner = self.whole(inputs[0])
            return None if inner is None else self._sql("(NOT ", inner, ")")
        if name in ("IsNull", "IsNotNull"):
            return self._null_test(inputs[0], "IS NULL" if name == "IsNull" else "IS NOT NULL")
        if name in ("IsNan", "IsNotNan"):
            operand = self._operand(inputs[0])
            if operand is None or not operand.dtype.is_float():
                return None
            sign = "=" if name == "IsNan" else "<>"
            return self._sql("(", operand.sql, f" {sign} 'NaN')")
        if not isinstance(name, dict) or len(name) != 1:
            return None
        (kind, options), *_ = name.items()
        if kind == "IsBetween":
            low, high = _BOUNDS[options["closed"]]
            a = self._comparison(inputs[0], low, inputs[1])
            b = self._comparison(inputs[0], high, inputs[2])
            return None if a is None or b is None else self._sql("(", a, " AND ", b, ")")
        if kind == "IsIn" and not options.get("nulls_equal"):
            return self._is_in(inputs[0], inputs[1])
        return None

    def _null_test(self, node: Any, test: str) -> Sql | None:
        operand = self._operand(node)
        if operand is not None:
            return self._sql("(", operand.sql, f" {test})")
        condition = self.whole(node)
        return None if condition is None else self._sql("(", condition, f" {test})")

    def _is_in(self, node: Any, values: Any) -> Sql | None:
        of, listed = self._operand(node), _literal(values)
        if of is None or listed is None:
            return None
        if of.dtype.is_decimal() and not self._dialect.numeric_keeps_digits:
            return None
        if isinstance(listed.dtype, pl.List | pl.Array):
            listed = (
                listed.explode() if len(listed) == 1 and listed[0] is not None and len(listed[0]) else None
            )
        if listed is None:
            return None
        exact = _exactly(listed.drop_nulls(), of.dtype)
        if exact is None or exact.is_empty():
            return None
        texts = [_text(exact.slice(number, 1)) for number in range(len(exact))]
        text = None if None in texts else text_of(texts)
        if text is None:
            return None
        column, sql_type = of.sql, _sql_type(of.dtype)
        if of.dtype == pl.String:
            if of.source is not None and of.source.base == "uuid" and exact.str.contains(_UUID).all():
                column, sql_type = self._sql(of.source.sql), "uuid"
            elif not of.bytewise:
                column = self._by_bytes(column)
        if not self._dialect.has_arrays:
            if len(texts) > _MOST_LISTED:
                return None
            places = (piece for part in texts for piece in (", ", Bound(str(part), sql_type)))
            return self._sql("(", column, " IN (", *list(places)[1:], "))")
        bound = Bound(text, f"{sql_type}[]")
        if bound.constant is None:  # read once, and not for every row
            return self._sql("(", column, " IN (SELECT unnest(", bound, ")))")
        return self._sql("(", column, " = ANY (", bound, "))")

    def _operand(self, node: Any) -> _Operand | None:
        """A column, or something simple made of one."""
        if not isinstance(node, dict) or len(node) != 1:
            return None
        kind, body = next(iter(node.items()))
        if kind == "Alias":
            return self._operand(body[0])
        if kind == "Cast":
            return self._widened(body)
        if kind == "Function" and body["function"] == "FillNull" and len(body["input"]) == 2:
            of, value = self._operand(body["input"][0]), _literal(body["input"][1])
            bound = None if of is None or value is None or len(value) != 1 else self._bound(value, of, "=")
            if of is None or bound is None or (of.dtype == pl.String and bound[0] != of.sql):
                return None
            return _Operand(self._sql("coalesce(", of.sql, ", ", bound[1], ")"), of.dtype, of.bytewise)
        if kind != "Column" or not isinstance(body, str) or body not in self._columns:
            return None
        column = self._columns[body]
        asked = self._wires.get(body) or wire(column)
        if asked.dtype.is_nested() or asked.form == "duration" or asked.dtype == pl.Time():
            return _Operand(self._sql(column.sql), asked.dtype)
        if asked.form in {"decimal", "fitted"}:
            return _Operand(self._sql(column.sql), asked.dtype)
        plain = column if asked.dtype == pl.String else None
        expression = asked.select if asked.is_stored else f"({asked.select})"
        bytewise = column.bytewise or not asked.is_stored
        return _Operand(self._sql(expression), asked.dtype, bytewise, plain)

    def _widened(self, body: Any) -> _Operand | None:
        of = self._operand(body["expr"])
        wanted = body["dtype"].get("Literal") if isinstance(body["dtype"], dict) else None
        if (
            of is not None
            and isinstance(of.dtype, pl.Datetime)
            and of.dtype.time_zone
            and isinstance(wanted, dict)
        ):
            unit, zone = wanted.get("Datetime", (None, None))
            same_moment = unit == "Microseconds" and isinstance(zone, dict)
            return replace(of, dtype=pl.Datetime("us", zone["inner"])) if same_moment else None
        if of is None or not isinstance(wanted, str):
            return None
        target = _TARGETS.get(wanted)
        if target is None:
            return None
        if target == of.dtype:
            return of
        widths = list(_INTEGERS)
        if of.dtype in widths and target in widths and widths.index(of.dtype) < widths.index(target):
            return _Operand(self._sql("(", of.sql, f")::{_INTEGERS[target]}"), target)
        if target == pl.Float64() and (of.dtype in widths or of.dtype == pl.Float32()):
            return _Operand(self._sql("(", of.sql, ")::double precision"), target)
        return None

    def _by_bytes(self, operand: Sql) -> Sql:
        return self._sql("(", operand, ")", self._dialect.byte_order(""))

    def _sql(self, *pieces: str | Bound | Sql) -> Sql:
        return sql(*pieces, dialect=self._dialect)


def conjuncts(expr: pl.Expr) -> list[pl.Expr]:
    """The conditions that must all hold for one to hold; the condition itself where it is a single one.

    >>> [one.meta.root_names() for one in conjuncts((pl.col("a") > 1) & (pl.col("b") > 1))]
    [['a'], ['b']]
    """
    parts = _conjuncts(_tree(expr))
    return [expr] if len(parts) == 1 else [_expression(part) for part in parts]


def comparisons(expr: pl.Expr) -> list[tuple[str, str, pl.Series]] | None:
    """The columns, signs and values that a condition compares, all of which must hold; None for another condition.

    A value that is a bare number in Python, which takes the type of the column, is a series of the name "dyn".

    >>> [(name, sign, value.item()) for name, sign, value in comparisons(pl.col("a").is_between(1, 2)) or ()]
    [('a', '>=', 1), ('a', '<=', 2)]
    """
    node = _tree(expr)
    if not isinstance(node, dict) or len(node) != 1:
        return None
    kind, body = next(iter(node.items()))
    if kind == "BinaryExpr" and isinstance(body["op"], str) and body["op"] in _COMPARISONS:
        compared = [(body["left"], _COMPARISONS[body["op"]], body["right"])]
    elif kind == "Function" and isinstance(body["function"], dict) and "IsBetween" in str(body["function"]):
        low, high = _BOUNDS[body["function"]["Boolean"]["IsBetween"]["closed"]]
        compared = [(body["input"][0], low, body["input"][1]), (body["input"][0], high, body["input"][2])]
    else:
        return None
    found: list[tuple[str, str, pl.Series]] = []
    for left, sign, right in compared:
        value = _literal(right)
        if value is None or len(value) != 1 or value.null_count() or set(left) != {"Column"}:
            return None
        found.append((str(left["Column"]), sign, value))
    return found


def _expression(node: Any) -> pl.Expr:
    return pl.Expr.deserialize(io.StringIO(json.dumps(node)), format="json")


def _tree(expr: pl.Expr) -> Any:
    try:
        return json.loads(expr.meta.serialize(format="json"))
    except pl.exceptions.ComputeError:  # a function of Python
        return None


def _conjuncts(node: Any) -> list[Any]:
    if (
        isinstance(node, dict)
        and set(node) == {"BinaryExpr"}
        and node["BinaryExpr"]["op"] in {"And", "LogicalAnd"}
    ):
        return [*_conjuncts(node["BinaryExpr"]["left"]), *_conjuncts(node["BinaryExpr"]["right"])]
    return [node]


def _literal(node: Any) -> pl.Series | None:
    """The value of a part that reads no column; None where it is something else."""
    if not _is_constant(node):
        return None
    try:
        found = pl.select(_expression(node)).to_series()
    except pl.exceptions.PolarsError:
        return None
    return found.alias("dyn") if "Dyn" in json.dumps(node)[:40] else found.alias("")


def _is_constant(node: Any) -> bool:
    if not isinstance(node, dict) or len(node) != 1:
        return False
    kind, body = next(iter(node.items()))
    if kind == "Literal":
        return True
    if kind == "Cast":
        return _is_constant(body["expr"])
    return kind == "Alias" and _is_constant(body[0])


def _exactly(values: pl.Series, dtype: pl.DataType) -> pl.Series | None:
    """The values in another dtype of the same family; None where one of them would become another value."""
    stored = values.dtype
    if stored == dtype:
        return values
    if stored.is_integer() and (dtype.is_integer() or dtype.is_float() or dtype.is_decimal()):
        pass
    elif stored.is_float() and dtype.is_float():
        if values.name == "dyn":  # a bare number in Python takes the type of the column
            return values.cast(dtype)
    elif stored.is_decimal() and dtype.is_decimal():
        pass
    elif isinstance(stored, pl.Datetime) and isinstance(dtype, pl.Datetime):
        if (stored.time_zone is None) != (dtype.time_zone is None):
            return None
    else:
        return None
    cast = values.cast(dtype, strict=False)
    try:
        same = cast.cast(stored, strict=False).eq_missing(values).all()
    except pl.exceptions.PolarsError:
        return None
    return cast if same else None


def _text(value: pl.Series) -> str | None:
    """The only value of a series as the server reads it."""
    dtype = value.dtype
    if isinstance(dtype, pl.Datetime):
        if dtype.time_unit == "ns" and value.dt.cast_time_unit("us").dt.cast_time_unit("ns").ne(value).any():
            return None
        moment = value.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else value
        year = moment.dt.year().item()
        if year is None or not 1 <= year <= 9999:
            return None
        return f"{moment.dt.to_string('%Y-%m-%d %H:%M:%S%.6f').item()}{'+00' if dtype.time_zone else ''}"
    if dtype == pl.Date:
        year = value.dt.year().item()
        return value.dt.to_string("%Y-%m-%d").item() if year is not None and 1 <= year <= 9999 else None
    if dtype == pl.Time:
        nanoseconds = value.to_physical().item()
        if nanoseconds is None or nanoseconds % 1000:
            return None
        return str(value.dt.to_string("%H:%M:%S%.6f").item())
    if dtype.is_decimal():
        return str(value.cast(pl.String).item())
    return text_of(value.item())


_SQL_TYPES: dict[pl.DataType, str] = {
    **_INTEGERS,
    pl.Float32(): "real",
    pl.Float64(): "double precision",
    pl.Boolean(): "boolean",
    pl.String(): "text",
    pl.Binary(): "bytea",
    pl.Date(): "date",
    pl.Time(): "time",
}


def _sql_type(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return "timestamp" if dtype.time_zone is None else "timestamptz"
    return "numeric" if dtype.is_decimal() else _SQL_TYPES[dtype]
