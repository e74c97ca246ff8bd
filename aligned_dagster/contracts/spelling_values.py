"""Plain values, settings and derivations as they are written in Python, with the imports that they need."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel

from aligned_dagster.contracts.spelling import feature_code, quoted
from aligned_dagster.errors import UnsupportedError
from aligned_dagster.features.dtypes import DataType
from aligned_dagster.features.expression import Call, ColumnRef, Expression, Literal, fold
from aligned_dagster.features.literals import FrozenDict, Value, thaw

PACKAGE = "aligned_dagster"
_SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<=", "and_": "&", "or_": "|", "xor": "^",
}  # fmt: skip
_PREFIXED = {"not_": "~", "neg": "-"}
_FUNCTIONS = {
    "coalesce": "coalesce",
    "concat_str": "concat_str",
    "max_horizontal": "max_of",
    "min_horizontal": "min_of",
}
_METHODS = {
    "str.strip_chars": "strip",
    "hash": "hash_value",
    "dt.ordinal_day": "day_of_year",
    "list.get": "at_index",
    "list.len": "length",
    "struct.field": "field",
    "dt.epoch": "unix_time",
}
"""Calls whose method of a feature has another name than the one of polars."""


class Imports:
    """The names that a text in Python uses from elsewhere; a name that a column bears gets an underscore.

    Args:
        taken: names of the columns.

    >>> imports = Imports(["when"])
    >>> imports.name("when"), imports.name("Int32"), imports.module("datetime")
    ('when_', 'Int32', 'datetime')
    >>> imports.statements()
    ['import datetime', '', 'from aligned_dagster import Int32, when as when_']
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = frozenset(taken)
        self._names: dict[str, str] = {}
        self._modules: dict[str, str] = {}

    def name(self, word: str) -> str:
        """How a name of the package is written."""
        self._names[word] = self._free(word)
        return self._names[word]

    def module(self, name: str) -> str:
        """How a module of the standard library is written."""
        self._modules[name] = self._free(name)
        return self._modules[name]

    def statements(self) -> list[str]:
        """The import statements, modules of the standard library first."""
        modules = [f"import {n}" + _alias(n, short) for n, short in sorted(self._modules.items())]
        listed = [
            name + _alias(name, short)
            for name, short in sorted(self._names.items(), key=lambda pair: _order(pair[0]))
        ]
        line = f"from {PACKAGE} import {', '.join(listed)}"
        if len(line) > 110:
            line = f"from {PACKAGE} import (\n" + "".join(f"    {name},\n" for name in listed) + ")"
        return [*modules, *([""] if modules else []), line]

    def _free(self, word: str) -> str:
        while word in self._taken:
            word += "_"
        return word


def _alias(name: str, short: str) -> str:
    return "" if name == short else f" as {short}"


def _order(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def value_code(value: Value, imports: Imports) -> str:
    """A value that a contract may hold.

    Raises:
        UnsupportedError: Python has no short text for it.

    >>> value_code((1, "a", Decimal("1.5")), Imports())
    '[1, "a", decimal.Decimal(\\'1.5\\')]'
    """
    if isinstance(value, FrozenDict | Mapping):
        pairs = value.items() if isinstance(value, Mapping) else value
        return "{" + ", ".join(f"{value_code(k, imports)}: {value_code(v, imports)}" for k, v in pairs) + "}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(value_code(item, imports) for item in value)}]"
    if isinstance(value, Enum):
        return value_code(value.value, imports)
    if isinstance(value, BaseModel):
        return model_code(value, imports)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f'float("{value}")'
    if value is None or isinstance(value, bool | int | float | bytes):
        return repr(value)
    if isinstance(value, Decimal):
        return f"{imports.module('decimal')}.{value!r}"
    if isinstance(value, dt.date | dt.time | dt.timedelta):
        module = imports.module("datetime")
        written = re.sub(r"\bdatetime\.", f"{module}.", repr(value))
        if "zoneinfo." in written:
            written = written.replace("zoneinfo.", f"{imports.module('zoneinfo')}.")
        return written
    raise UnsupportedError(f"{type(value).__name__} has no short text in Python.")


def model_code(model: BaseModel, imports: Imports) -> str:
    """Settings of this package: the class, with what differs from its defaults.

    Raises:
        UnsupportedError: they hold an object that has no short text in Python.
    """
    import aligned_dagster

    name = type(model).__name__
    if name == "S3Location" and not getattr(model, "path", None):  # where Redshift puts what it unloads
        config: BaseModel = getattr(model, "config")  # noqa: B009  # only some sources have one
        return model_code(config, imports).replace("S3Settings(", f"{imports.name('AwsS3Config')}(", 1)
    if name != "S3Settings" and name not in aligned_dagster.__all__:
        raise UnsupportedError(f"{name} has no short text in Python.")
    fields = {
        field: getattr(model, field)
        for field, info in type(model).model_fields.items()
        if field not in {"type", "kind"} or info.default != getattr(model, field)
    }
    said = [
        f"{field}={value_code(value, imports)}"
        for field, value in fields.items()
        if value != type(model).model_fields[field].get_default(call_default_factory=True)
    ]
    called = name if name == "S3Settings" else imports.name(name)
    return f"{called}({', '.join(said)})"


def type_code(
    dtype: DataType, imports: Imports, *, role: str = "feature", ttl: dt.timedelta | None = None
) -> str:
    """The call that declares a column of a type, in a role and, for an event timestamp, with its time to live.

    Raises:
        ContractError: contracts have no such type.
    """
    code = feature_code(dtype, is_event_timestamp=role == "event_timestamp")
    if role == "created_timestamp":
        code = code.replace("Timestamp(", "CreatedTimestamp(", 1)
    if ttl is not None:
        first, _, inside = code.partition("(")
        rest = inside.removesuffix(")")
        code = f"{first}(ttl={value_code(ttl, imports)}{', ' if rest else ''}{rest})"
    return re.sub(r"\b([A-Z]\w*)(?=\()", lambda found: imports.name(found[1]), code)


def expression_code(root: Expression, imports: Imports) -> str:
    """A derivation as features write it. Whether it compiles to the same is for the caller to see.

    Raises:
        UnsupportedError: features have no words for it.

    >>> expression_code(Call("gt", Call("str.len_chars", ColumnRef("name")), 3), Imports())
    'name.len_chars() > 3'
    """

    def visit(node: Expression, done: Mapping[Expression, str]) -> str:
        if isinstance(node, ColumnRef):
            return node.name
        if isinstance(node, Literal):
            return value_code(node.value, imports)
        assert isinstance(node, Call)
        words = [done[a] if isinstance(a, Expression) else value_code(a, imports) for a in node.args]
        return _call(node, words, imports)

    return fold(root, visit)


def _call(node: Call, words: list[str], imports: Imports) -> str:
    bracketed = [_bracketed(word, arg) for word, arg in zip(words, node.args, strict=True)]
    if node.method in _SYMBOLS and len(words) == 2 and not node.kwargs:
        return f" {_SYMBOLS[node.method]} ".join(bracketed)
    if node.method in _PREFIXED and len(words) == 1:
        return f"{_PREFIXED[node.method]}{bracketed[0]}"
    if node.method == "when":
        return f"{imports.name('when')}({words[0]}).then({words[1]}).otherwise({words[2]})"
    named = [f"{name}={value_code(thaw(value), imports)}" for name, value in node.kwargs]
    if node.method in _FUNCTIONS:
        return f"{imports.name(_FUNCTIONS[node.method])}({', '.join([*words, *named])})"
    if node.method == "cast":
        inner = node.args[0]
        if words[0] == "None":
            return "None"  # which takes the type of what stands beside it
        if isinstance(inner, Call) and inner.method == "fill_null":
            return words[0]  # which casts by itself
        return f"{bracketed[0]}.cast({type_code(DataType.from_text(str(node.args[1])), imports)})"
    if node.method == "list.get":
        named = []
    method = _METHODS.get(node.method, node.method.rpartition(".")[2])
    if not words or not re.fullmatch(r"[a-z][a-z0-9_]*", method):
        raise UnsupportedError(f"Features have no method for {node.method}.")
    receiver = bracketed[0] if isinstance(node.args[0], Expression) else f"({bracketed[0]})"
    return f"{receiver}.{method}({', '.join([*words[1:], *named])})"


def _bracketed(word: str, arg: Any) -> str:
    is_operator = isinstance(arg, Call) and (arg.method in _SYMBOLS or arg.method in _PREFIXED)
    return f"({word})" if is_operator or word.startswith("-") else word
