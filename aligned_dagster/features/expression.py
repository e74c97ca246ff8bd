"""Derivations as recorded calls: a small immutable tree that is replayed on polars or its like.

A node is a column, a literal, or a call that bears the dotted name of the polars expression method
(`"gt"`, `"str.contains"`, `"dt.year"`). Every function here walks the tree without recursion and visits
each shared node once, so that a chain of thousands of calls costs time linear in its length.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import polars as pl

from aligned_dagster.errors import ContractError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.literals import Value, freeze, thaw, value_from_json, value_to_json

T = TypeVar("T")

FUNCTIONS = frozenset({"when", "coalesce", "concat_str", "concat_list", "max_horizontal", "min_horizontal"})
"""Calls that belong to the namespace itself (`pl.coalesce(a, b)`), not to an expression."""

POLARS_JSON = "polars_json"
"""The call whose argument is a serialised polars expression over the named inputs (the escape hatch)."""


class Expression:
    """A node of the tree. Equal trees are equal and hash alike; both cost constant time."""

    __slots__ = ("digest",)
    digest: bytes

    @property
    def children(self) -> tuple[Expression, ...]:
        """The nodes right below this one, in order."""
        return ()

    def _seal(self, *parts: str | bytes) -> None:
        hasher = hashlib.sha256(type(self).__name__.encode())
        for part in parts:
            raw = part if isinstance(part, bytes) else part.encode()
            hasher.update(len(raw).to_bytes(8, "big") + raw)
        object.__setattr__(self, "digest", hasher.digest())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"An expression is immutable; {name!r} cannot be set.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.digest == other.digest

    def __hash__(self) -> int:
        return int.from_bytes(self.digest[:8], "big", signed=True)

    def __repr__(self) -> str:
        return f"<{text(self)}>"

    def __reduce__(self) -> tuple[Callable[[Any], Expression], tuple[Any]]:
        return from_json, (to_json(self),)


class ColumnRef(Expression):
    """A column by its name."""

    __slots__ = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "name", name)
        self._seal(name)


class Literal(Expression):
    """A value."""

    __slots__ = ("value",)
    value: Value

    def __init__(self, value: Value) -> None:
        object.__setattr__(self, "value", freeze(value))
        self._seal(json.dumps(value_to_json(self.value)), type(value).__name__)


class Call(Expression):
    """A method of the expression namespace: a receiver, further arguments, and named plain values.

    Args:
        method: dotted name of the polars method, as in "str.contains", or a name in `FUNCTIONS`.
        args: the receiver first; each an expression or a plain value that is passed as it is.
        kwargs: plain values.
    """

    __slots__ = ("args", "kwargs", "method")
    method: str
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Value], ...]

    def __init__(self, method: str, *args: Any, **kwargs: Value) -> None:
        frozen = tuple(arg if isinstance(arg, Expression) else freeze(arg) for arg in args)
        named = tuple(sorted((name, freeze(value)) for name, value in kwargs.items()))
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "args", frozen)
        object.__setattr__(self, "kwargs", named)
        parts: list[str | bytes] = [method]
        for arg in frozen:
            parts += (
                ["e", arg.digest] if isinstance(arg, Expression) else ["v", json.dumps(value_to_json(arg))]
            )
        parts += [json.dumps([[name, value_to_json(value)] for name, value in named])]
        self._seal(*parts)

    @property
    def children(self) -> tuple[Expression, ...]:
        """The arguments that are expressions, in order."""
        return tuple(arg for arg in self.args if isinstance(arg, Expression))


def below(node: Expression) -> tuple[Expression, ...]:
    """The children of a node: how the walks go down unless told otherwise."""
    return node.children


def postorder(
    root: Expression, children: Callable[[Expression], tuple[Expression, ...]] = below
) -> Iterator[Expression]:
    """Every distinct node, children before their parents."""
    seen: set[Expression] = set()
    stack: list[tuple[Expression, bool]] = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(children(node)) if child not in seen)


def fold(
    root: Expression,
    visit: Callable[[Expression, Mapping[Expression, T]], T],
    children: Callable[[Expression], tuple[Expression, ...]] = below,
) -> T:
    """Compute a value for the root from the values of the nodes below it."""
    done: dict[Expression, T] = {}
    for node in postorder(root, children):
        done[node] = visit(node, done)
    return done[root]


def replay(root: Expression, namespace: Any = pl) -> Any:
    """The expression in the words of a namespace: polars, or any that shares its vocabulary.

    Args:
        root: the recorded tree.
        namespace: a module with `col`, `lit` and the functions.

    >>> has_siblings = Call("gt", ColumnRef("sibsp"), 0)
    >>> pl.DataFrame({"sibsp": [0, 2]}).select(replay(has_siblings)).to_series().to_list()
    [False, True]
    """

    def visit(node: Expression, done: Mapping[Expression, Any]) -> Any:
        if isinstance(node, ColumnRef):
            return namespace.col(node.name)
        if isinstance(node, Literal):
            return namespace.lit(thaw(node.value))
        assert isinstance(node, Call)
        if node.method == POLARS_JSON:
            return _deserialise(node, namespace)
        args = [done[arg] if isinstance(arg, Expression) else thaw(arg) for arg in node.args]
        kwargs = {name: thaw(value) for name, value in node.kwargs}
        if node.method == "when":
            return namespace.when(args[0]).then(args[1]).otherwise(args[2])
        if node.method in FUNCTIONS:
            return getattr(namespace, node.method)(*args, **kwargs)
        if node.method == "cast":
            return args[0].cast(DataType.from_text(args[1]).polars)
        target = args[0]
        for part in node.method.split("."):
            target = getattr(target, part)
        return target(*args[1:], **kwargs)

    return fold(root, visit)


def placeholder(number: int) -> str:
    """The column that stands for the n-th input in a serialised polars expression."""
    return f"__input_{number}"


def rename_columns(form: Any, names: Mapping[str, str]) -> Any:
    """A serialised polars expression over columns of other names."""
    return _substituted(form, {old: {"Column": new} for old, new in names.items()})


def _substituted(form: Any, columns: Mapping[str, Any]) -> Any:
    if isinstance(form, list):
        return [_substituted(item, columns) for item in form]
    if isinstance(form, dict):
        if set(form) == {"Column"} and form["Column"] in columns:
            return columns[form["Column"]]
        return {key: _substituted(value, columns) for key, value in form.items()}
    return form


def _deserialise(node: Call, namespace: Any) -> Any:
    columns = {
        placeholder(number): json.loads(namespace.col(arg.name).meta.serialize(format="json"))
        for number, arg in enumerate(node.args)
        if isinstance(arg, ColumnRef)
    }
    form = _substituted(json.loads(dict(node.kwargs)["expression"]), columns)
    return pl.Expr.deserialize(io.StringIO(json.dumps(form)), format="json")


def inputs(root: Expression) -> frozenset[str]:
    """Names of all columns that the expression reads.

    >>> sorted(inputs(Call("add", ColumnRef("a"), ColumnRef("b"))))
    ['a', 'b']
    """
    return frozenset(node.name for node in postorder(root) if isinstance(node, ColumnRef))


def rename(root: Expression, names: Mapping[str, str]) -> Expression:
    """The same expression over columns of other names; names that the mapping lacks stay."""

    def visit(node: Expression, done: Mapping[Expression, Expression]) -> Expression:
        if isinstance(node, ColumnRef):
            return ColumnRef(names.get(node.name, node.name))
        if isinstance(node, Call):
            args = (done[arg] if isinstance(arg, Expression) else arg for arg in node.args)
            return Call(node.method, *args, **dict(node.kwargs))
        return node

    return fold(root, visit)


def to_json(root: Expression) -> dict[str, Any]:
    """A stable JSON form: a list of nodes, each naming those before it by number."""
    numbers: dict[Expression, int] = {}
    nodes: list[Any] = []
    for node in postorder(root):
        if isinstance(node, ColumnRef):
            form: dict[str, Any] = {"column": node.name}
        elif isinstance(node, Literal):
            form = {"value": value_to_json(node.value)}
        else:
            assert isinstance(node, Call)
            form = {"call": node.method, "args": [_argument(arg, numbers) for arg in node.args]}
            if node.kwargs:
                form["kwargs"] = {name: value_to_json(value) for name, value in node.kwargs}
        numbers[node] = len(nodes)
        nodes.append(form)
    return {"nodes": nodes}


def _argument(arg: Any, numbers: Mapping[Expression, int]) -> dict[str, Any]:
    return {"node": numbers[arg]} if isinstance(arg, Expression) else {"value": value_to_json(arg)}


def from_json(form: Mapping[str, Any]) -> Expression:
    """Read what `to_json` wrote.

    Raises:
        ContractError: the form is not one of an expression.
    """
    built: list[Expression] = []
    for node in form["nodes"]:
        if "column" in node:
            built.append(ColumnRef(node["column"]))
        elif "call" in node:
            args = [
                built[arg["node"]] if "node" in arg else value_from_json(arg["value"]) for arg in node["args"]
            ]
            kwargs = {name: value_from_json(value) for name, value in node.get("kwargs", {}).items()}
            built.append(Call(node["call"], *args, **kwargs))
        elif "value" in node:
            built.append(Literal(value_from_json(node["value"])))
        else:
            raise ContractError(f"{node!r} is no node of an expression.")
    if not built:
        raise ContractError("An expression needs at least one node.")
    return built[-1]


_SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "and_": "&", "or_": "|", "xor": "^",
}  # fmt: skip


def text(root: Expression, longest: int = 2_000) -> str:
    """A readable text in the words of Python, cut after `longest` characters.

    >>> text(Call("str.contains", Call("str.to_lowercase", ColumnRef("name")), "mr"))
    "name.to_lowercase().contains('mr')"
    >>> text(Call("gt", ColumnRef("sibsp"), 0))
    'sibsp > 0'
    """

    def visit(node: Expression, done: Mapping[Expression, str]) -> str:
        if isinstance(node, ColumnRef):
            return node.name
        if isinstance(node, Literal):
            return repr(thaw(node.value))
        assert isinstance(node, Call)
        words = [done[arg] if isinstance(arg, Expression) else repr(thaw(arg)) for arg in node.args]
        symbol = _SYMBOLS.get(node.method)
        if symbol and len(words) == 2:
            left, right = (_bracket(word, arg) for word, arg in zip(words, node.args, strict=True))
            return _cut(f"{left} {symbol} {right}", longest)
        if node.method == "when":
            return _cut(f"when({words[0]}).then({words[1]}).otherwise({words[2]})", longest)
        named = [f"{name}={thaw(value)!r}" for name, value in node.kwargs]
        if node.method == POLARS_JSON:
            return _cut(f"polars({', '.join(words)})", longest)
        if node.method in FUNCTIONS:
            return _cut(f"{node.method}({', '.join([*words, *named])})", longest)
        receiver = _bracket(words[0], node.args[0])
        return _cut(f"{receiver}.{node.method.split('.')[-1]}({', '.join([*words[1:], *named])})", longest)

    return fold(root, visit)


def _bracket(word: str, arg: Any) -> str:
    return f"({word})" if isinstance(arg, Call) and arg.method in _SYMBOLS else word


def _cut(words: str, longest: int) -> str:
    return words if len(words) <= longest else words[: longest - 3] + "..."
