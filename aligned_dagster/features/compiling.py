"""From the attributes of a class to the columns of a contract."""

from __future__ import annotations

import ast
import datetime as dt
import linecache
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl

from aligned_dagster.errors import (
    AlignedError,
    ContractError,
    DerivationError,
    DuplicateNameError,
    did_you_mean,
)
from aligned_dagster.features import expression as ex
from aligned_dagster.features import types
from aligned_dagster.features.aggregation import Aggregation
from aligned_dagster.features.constraints import NotNull, OnViolation, Rule, check_on_violation
from aligned_dagster.features.declared import Grouping, Leaf
from aligned_dagster.features.deriving import resolve
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.location import SourceLocation, at, caller
from aligned_dagster.features.plan import levels, needed
from aligned_dagster.features.schema import Column, Schema
from aligned_dagster.features.truth import Then, When


@dataclass(frozen=True)
class DeclaredRule:
    """A rule on several columns, before the contract tells their names."""

    condition: Feature
    description: str
    on_violation: OnViolation | None
    mostly: float
    location: SourceLocation | None


def rule(
    condition: Feature,
    description: str = "",
    *,
    on_violation: OnViolation | None = None,
    mostly: float = 1.0,
) -> DeclaredRule:
    """State a rule on several columns, as an attribute of the contract: `arrives_later = rule(arrival > departure)`.

    Args:
        condition: a boolean feature that must not be false; where it is null the rule is kept.
        description: the rule in words; the condition's own text if not given.
        on_violation: what happens to rows that break it; the contract's choice if not given.
        mostly: the share of all rows, above 0 and up to 1, that must keep it.

    Raises:
        ContractError: the condition is no boolean feature, or the share is none.
    """
    if not isinstance(condition, Feature) or condition.dtype.kind != "bool":
        raise ContractError(
            f"rule() needs a condition, as in rule(arrival > departure); got {condition!r}.{at(caller())}"
        )
    if not 0 < mostly <= 1:
        raise ContractError(
            f"mostly={mostly} is no share of the rows; it lies above 0 and is at most 1.{at(caller())}"
        )
    return DeclaredRule(condition, description, check_on_violation(on_violation), mostly, caller())


@dataclass(frozen=True)
class Compiled:
    """What the attributes of a class say.

    Args:
        inputs: the columns before any grouping: what a source delivers and what is derived of it.
        schema: the columns of the contract; the same as `inputs` where no rows are taken together.
        groupings: aggregated column to the rows that it takes together.
    """

    inputs: Schema
    schema: Schema
    groupings: tuple[tuple[str, Grouping], ...] = ()


def compile_class(cls: type, contract: str) -> Compiled:
    """Read the features and rules among the attributes of a class and its bases.

    Args:
        cls: the class that a contract decorates.
        contract: its name, for messages.

    Raises:
        ContractError: the class states nothing, or something that cannot be; the message ends with file and line.
    """
    _check_names_once(cls, contract)
    features, declared = _declarations(cls, contract)
    names = {id(feature): name for name, feature in features.items()}
    trees = {name: _resolve(f, names, contract, name) for name, f in features.items() if f.tree is not None}
    for name, tree in trees.items():
        unknown = sorted(ex.inputs(tree) - features.keys())
        if unknown:
            raise DerivationError(
                f"{contract}.{name} reads {unknown[0]!r}, which is not a column of the contract."
                f"{did_you_mean(unknown[0], features)}{at(features[name].location)}"
            )
    levels(trees)
    groupings = {name: g for name, f in features.items() if (g := _grouping(f, names, contract, name))}
    columns = [
        _column(name, f, trees.get(name), name in groupings, names, contract) for name, f in features.items()
    ]
    rules = tuple(_rule(name, d, names, contract) for name, d in declared.items())
    _check_roles(columns, contract)
    _check_bounds(columns, contract)
    if not groupings:
        schema = Schema(tuple(columns), rules)
        return Compiled(schema, schema)
    return _grouped(columns, rules, groupings, trees, contract)


def _declarations(cls: type, contract: str) -> tuple[dict[str, Feature], dict[str, DeclaredRule]]:
    features: dict[str, Feature] = {}
    declared: dict[str, DeclaredRule] = {}
    for owner in reversed(cls.__mro__[:-1]):
        for name, value in vars(owner).items():
            if isinstance(value, Feature):
                features[name] = value
            elif isinstance(value, DeclaredRule):
                declared[name] = value
            else:
                _check_unfinished(owner, name, value, contract)
    _check_annotations(cls, features, contract)
    _check_texts(cls, features, contract)
    if not features:
        raise ContractError(f"{contract} has no columns. Write one as in `age = Int32()`.{at(caller())}")
    seen: dict[int, str] = {}
    for name, feature in features.items():
        if id(feature) in seen:
            raise DuplicateNameError(
                f"{contract}.{name} and {contract}.{seen[id(feature)]} are one and the same feature. "
                f"Declare each by its own call.{at(feature.location)}"
            )
        seen[id(feature)] = name
    return features, declared


def _check_annotations(cls: type, features: Mapping[str, Feature], contract: str) -> None:
    for name, annotation in vars(cls).get("__annotations__", {}).items():
        words = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
        kind = words.removesuffix("()")
        kind = kind if kind in types.__all__ else _COLUMN_OF.get(kind.rpartition(".")[2], "")
        if kind and name not in features and name not in vars(cls):
            raise ContractError(
                f"{contract}.{name} is only annotated. Assign it: {name} = {kind}(){_assigned_at(cls, name)}"
            )


def _check_texts(cls: type, features: Mapping[str, Feature], contract: str) -> None:
    """Raise where `str(column)` put the name of a type into a text: a column is not in there."""
    for name, value in vars(cls).items():
        if not isinstance(value, str):
            continue
        found = next((column for column, one in features.items() if repr(one) in value), None)
        if found is not None:
            raise ContractError(
                f"{contract}.{name} is the text {value!r} and no column: str(...) does not give the values of {found!r}. "
                f"Use {found}.cast(String()), and concat_str([...]) to put texts together.{_assigned_at(cls, name)}"
            )


def _check_bounds(columns: list[Column], contract: str) -> None:
    for column in columns:
        bounds = {rule.key: rule for rule in column.constraints}
        for low, high in (("lower_bound", "upper_bound"), ("min_length", "max_length")):
            least, most = bounds.get(low), bounds.get(high)
            if least is None or most is None:
                continue
            ends: list[Any] = [vars(rule).get("value", vars(rule).get("length")) for rule in (least, most)]
            if ends[0] > ends[1]:
                raise ContractError(
                    f"{contract}.{column.name}: no value can be at least {ends[0]!r} and at most {ends[1]!r}. "
                    f"Are the two swapped?{at(column.location)}"
                )


_COLUMN_OF = {
    "int": "Int64",
    "float": "Float",
    "str": "String",
    "bool": "Bool",
    "date": "Date",
    "time": "Time",
    "datetime": "Timestamp",
    "timedelta": "Duration",
    "UUID": "UUID",
}
"""Name of a type of Python to the column type of its values."""
_PYTHON = frozenset({int, float, str, bool, dt.date, dt.time, dt.datetime, dt.timedelta, uuid.UUID})


def _column_for(value: Any) -> str:
    """The column type that stands for a type of Python or of polars; empty where it is none."""
    if isinstance(value, type) and value in _PYTHON:
        return _COLUMN_OF[value.__name__]
    if isinstance(value, pl.DataType) or (isinstance(value, type) and issubclass(value, pl.DataType)):
        name = str(value).partition("(")[0]
        return {"Datetime": "Timestamp", "Boolean": "Bool"}.get(name, name if name in types.__all__ else "")
    return ""


def _check_unfinished(cls: type, name: str, value: Any, contract: str) -> None:
    where = f"{contract}.{name}"
    if not name.startswith("_") and (kind := _column_for(value)):
        raise ContractError(
            f"{where} is a type of {'Python' if value in _PYTHON else 'polars'}, and no column. "
            f"Write {name} = {kind}(){_assigned_at(cls, name)}"
        )
    if isinstance(value, type) and issubclass(value, Feature):
        raise ContractError(
            f"{where} is the class {value.__name__}. Call it: {name} = {value.__name__}(){_assigned_at(cls, name)}"
        )
    if isinstance(value, tuple | list) and value and all(isinstance(item, Feature) for item in value):
        raise ContractError(
            f"{where} is {len(value)} features in one name. Unpack them, as in `is_male, is_female = ...`.{at(value[0].location)}"
        )
    if isinstance(value, Aggregation):
        raise ContractError(
            f"{where} is an unfinished aggregation. End it, as in .mean().{_assigned_at(cls, name)}"
        )
    owner = getattr(value, "__self__", None)
    if callable(value) and isinstance(owner, Feature | Aggregation):
        raise ContractError(
            f"{where} is the method {value.__name__}, not what it gives. Call it: {value.__name__}(...){_assigned_at(cls, name)}"
        )
    if isinstance(value, When | Then):
        raise ContractError(
            f"{where} is an unfinished choice. End it with .otherwise(...).{_assigned_at(cls, name)}"
        )


def _resolve(feature: Feature, names: Mapping[int, str], contract: str, name: str) -> ex.Expression:
    try:
        tree = resolve(feature, names)
    except AlignedError as error:
        raise type(error)(f"{contract}.{name}: {error}") from None
    for node in ex.postorder(tree):
        if isinstance(node, ex.Call) and node.method == ex.POLARS_JSON:
            unnamed = [arg for arg in node.args if not isinstance(arg, ex.ColumnRef)]
            if unnamed:
                raise DerivationError(
                    f"{contract}.{name}: transform_polars reads {unnamed[0]!r}, which has no name of its own. "
                    f"Make it an attribute of the contract.{at(feature.location)}"
                )
    return tree


def _grouping(feature: Feature, names: Mapping[int, str], contract: str, name: str) -> Grouping | None:
    found: set[Grouping] = {feature.grouping} if feature.grouping else set()

    def children(node: ex.Expression) -> tuple[ex.Expression, ...]:
        if isinstance(node, Leaf):
            if id(node.feature) in names or node.feature.tree is None:
                return ()
            if node.feature.grouping:
                found.add(node.feature.grouping)
            return (node.feature.tree,)
        return node.children

    if feature.tree is not None:
        for _ in ex.postorder(feature.tree, children):
            pass
    if len(found) > 1:
        raise DerivationError(
            f"{contract}.{name} mixes aggregations over different rows. Give each a name of its own first.{at(feature.location)}"
        )
    return next(iter(found), None)


def _column(
    name: str,
    feature: Feature,
    tree: ex.Expression | None,
    aggregated: bool,
    names: Mapping[int, str],
    contract: str,
) -> Column:
    facts = feature.facts
    if facts.role == "entity" and facts.optional:
        raise ContractError(
            f"{contract}.{name} identifies a row and so is never null: it cannot be optional too. "
            f"Leave out is_optional() or as_entity().{at(feature.location)}"
        )
    prediction = None if facts.prediction is None else facts.prediction.named(names)
    if facts.prediction is not None and prediction is None:
        raise ContractError(
            f"{contract}.{name} is the probability of a label that is no column of the contract. "
            f"Make the label an attribute first.{at(feature.location)}"
        )
    constraints = facts.constraints
    must_be_there = facts.required or facts.role == "entity" or (tree is None and not facts.optional)
    if must_be_there:
        constraints = (NotNull(), *constraints)
    return Column(
        name=name,
        dtype=feature.dtype,
        role=facts.role,
        optional=facts.optional and facts.role != "entity",
        default=facts.default,
        has_default=facts.has_default,
        description=facts.description,
        tags=facts.tags,
        constraints=constraints,
        derivation=tree,
        aggregated=aggregated,
        prediction=prediction,
        ttl=getattr(feature, "ttl", None) if isinstance(feature, types.EventTimestamp) else None,
        location=feature.location,
    )


def _rule(name: str, declared: DeclaredRule, names: Mapping[int, str], contract: str) -> Rule:
    condition = declared.condition
    known = names.get(id(condition))
    predicate = ex.ColumnRef(known) if known else _resolve(condition, names, contract, name)
    return Rule(name, predicate, declared.description, declared.on_violation, declared.mostly)


def _check_roles(columns: list[Column], contract: str) -> None:
    for role, words in (("event_timestamp", "event timestamps"), ("created_timestamp", "created timestamps")):
        found = [column for column in columns if column.role == role]
        if len(found) > 1:
            raise ContractError(
                f"{contract} has {len(found)} {words}: {', '.join(c.name for c in found)}. "
                f"Make all but one a Timestamp.{at(found[1].location)}"
            )


def _grouped(
    columns: list[Column],
    rules: tuple[Rule, ...],
    groupings: Mapping[str, Grouping],
    trees: Mapping[str, ex.Expression],
    contract: str,
) -> Compiled:
    by_name = {column.name: column for column in columns}
    after: set[str] = set()
    for group in levels(trees):
        for name in group:
            reads_after = ex.inputs(trees[name]) & (groupings.keys() | after)
            if name in groupings and reads_after:
                raise DerivationError(
                    f"{contract}.{name} aggregates {sorted(reads_after)[0]!r}, which is itself an aggregation. "
                    f"Aggregate it in a view of its own.{at(by_name[name].location)}"
                )
            if reads_after:
                after.add(name)
    inputs = Schema(tuple(c for c in columns if c.name not in groupings and c.name not in after))
    kept = {*groupings, *after, *inputs.entities, inputs.event_timestamp}
    for name in sorted(after):
        lost = sorted(ex.inputs(trees[name]) - kept)
        if lost:
            raise DerivationError(
                f"{contract}.{name} reads {lost[0]!r}, which is gone once rows are aggregated. "
                f"Aggregate it too, as in {lost[0]}.aggregate().last().{at(by_name[name].location)}"
            )
    _check_used(inputs, kept, after | groupings.keys(), trees, contract)
    windows = {grouping.window for grouping in groupings.values()}
    first = by_name[next(iter(groupings))]
    if not inputs.entities:
        raise DerivationError(
            f"{contract}.{first.name} aggregates over the rows of an entity, and the contract has none. "
            f"Mark one with as_entity(), or group by columns with over(column).{at(first.location)}"
        )
    if windows != {None} and (None in windows or inputs.event_timestamp is None):
        missing = "some aggregations have no window" if inputs.event_timestamp else "it has no EventTimestamp"
        raise DerivationError(
            f"{contract} aggregates over windows of time, but {missing}.{at(first.location)}"
        )
    schema = Schema(tuple(c for c in columns if c.name in kept), rules)
    for one in rules:
        lost = sorted(set(one.columns) - set(schema.names))
        if lost:
            raise ContractError(
                f"The rule {contract}.{one.name} reads {lost[0]!r}, which is gone once rows are aggregated."
            )
    return Compiled(inputs, schema, tuple(groupings.items()))


def _check_used(
    inputs: Schema, kept: set[str | None], made: set[str], trees: Mapping[str, ex.Expression], contract: str
) -> None:
    """Raise where a column is neither kept nor read by one that is: it would vanish without a word."""
    read = needed(made, dict(trees))
    for column in inputs.columns:
        if column.role != "created_timestamp" and column.name not in kept and column.name not in read:
            raise ContractError(
                f"{contract} has one row for each {', '.join(inputs.entities)}, so {column.name!r} would be gone and nothing "
                f"aggregates it. Aggregate it, as in {column.name}.aggregate().last(), or leave it out.{at(column.location)}"
            )


# --- names that stand twice ------------------------------------------------------------------------------


def _check_names_once(cls: type, contract: str) -> None:
    file, assigned = _assignments(cls)
    lines: dict[str, int] = {}
    for name, line in assigned:
        if name in lines:
            raise DuplicateNameError(
                f"{contract} declares {name!r} twice, at line {lines[name]} and again ({file}:{line})"
            )
        lines[name] = line


def _assignments(cls: type) -> tuple[str, tuple[tuple[str, int], ...]]:
    """The file of a class, and the names that its body assigns with their lines, as far as these are known."""
    located = [v.location for v in vars(cls).values() if isinstance(v, Feature) and v.location]
    if not located:
        return "", ()
    file, some_line = located[0].file, located[0].line
    bodies = _classes(file, len(linecache.getlines(file))).get(cls.__qualname__, ())
    around = [body for body in bodies if body.first <= some_line <= body.last]
    return file, around[0].assigned if around else ()


def _assigned_at(cls: type, name: str) -> str:
    """Where an attribute is assigned, as the end of a message; the decorator's line where that is not known."""
    file, assigned = _assignments(cls)
    line = dict(assigned).get(name)
    return at(SourceLocation(file, line) if line else caller())


@dataclass(frozen=True)
class _Body:
    first: int
    last: int
    assigned: tuple[tuple[str, int], ...]


@lru_cache(maxsize=256)
def _classes(file: str, size: int) -> dict[str, list[_Body]]:
    """Qualified name to what each class of that name assigns; `size` makes an edited file another one."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return {}
    found: dict[str, list[_Body]] = {}
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        prefix, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                body = _Body(child.lineno, child.end_lineno or child.lineno, tuple(_assigned(child)))
                found.setdefault(prefix + child.name, []).append(body)
                waiting.append((f"{prefix}{child.name}.", child))
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                waiting.append((f"{prefix}{child.name}.<locals>.", child))
            elif isinstance(child, ast.stmt):
                waiting.append((prefix, child))
    return found


def _assigned(body: ast.ClassDef) -> Iterator[tuple[str, int]]:
    for statement in body.body:
        if isinstance(statement, ast.FunctionDef):
            yield statement.name, statement.lineno
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        for target in targets:
            for part in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                if isinstance(part, ast.Name):
                    yield part.id, statement.lineno
