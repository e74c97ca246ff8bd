"""Properties of the Open Data Contract Standard as the statements that declare columns."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from aligned_dagster.contracts.odcs import CLASSIFICATION
from aligned_dagster.contracts.odcs_reading import Part
from aligned_dagster.contracts.odcs_rules import ENGINE
from aligned_dagster.contracts.odcs_types import logical_type, read_type
from aligned_dagster.contracts.spelling import quoted
from aligned_dagster.contracts.spelling_values import Imports, expression_code, type_code, value_code
from aligned_dagster.errors import AlignedError, ContractError, UnsupportedError
from aligned_dagster.features import constraints as rules
from aligned_dagster.features.expression import POLARS_JSON, Call, Expression, from_json, postorder
from aligned_dagster.features.literals import value_from_json

_BOUNDED = frozenset({"integer", "number", "date", "timestamp", "time"})


class ColumnReader:
    """One property, read once, and written as a stored column or as a derived one.

    Args:
        part: the property.
        name: of the column.
        imports: what the text uses.
        classes: name to class of the contracts that references may name.
    """

    def __init__(self, part: Part, name: str, imports: Imports, classes: Mapping[str, str]) -> None:
        self.part = part
        self.name = name
        self._imports = imports
        self._classes = classes
        self.dtype = read_type(part)
        self.role = str(part.custom("role") or "feature")
        self._ttl = part.custom("ttlSeconds")
        self._required = bool(part.flag("required"))
        self.is_entity = bool(part.flag("primaryKey"))
        self.position = part.number("primaryKeyPosition") if self.is_entity else None
        self._form = part.custom("derivation")
        self._default = part.custom("default")
        self.logic = part.text("transformLogic")
        part.take("transformSourceObjects")
        for word in ("partitioned", "partitionKeyPosition"):  # the source tells
            part.take(word)
        self._suffix = self._stated()

    @property
    def is_derived(self) -> bool:
        """Whether a derivation of this package's own is told."""
        return self._form is not None

    def stored(self) -> str:
        """The statement that declares it as a stored column."""
        role = self.role if self.dtype.kind == "timestamp" else "feature"
        code = type_code(self.dtype, self._imports, role=role, ttl=self._time_to_live(role))
        if self.is_entity:
            code += ".as_entity()"
        elif not self._required:
            code += ".is_optional()"
        return f"{self.name} = {code}{self._suffix}"

    def lost(self) -> str:
        """The statement where its derivation could not be carried over: an optional column, to be mended."""
        code = type_code(self.dtype, self._imports)
        entity = ".as_entity()" if self.is_entity else ""
        return f"{self.name} = {code}{entity or '.is_optional()'}{self._suffix}"

    def derived(self) -> str:
        """The statement that derives it.

        Raises:
            UnsupportedError: features have no words for it.
            ContractError: the derivation is broken.
        """
        tree = self.tree()
        for node in postorder(tree):
            if isinstance(node, Call) and (node.method == POLARS_JSON or node.method[:1] == "_"):
                raise UnsupportedError("It is a function of polars.")
        code = expression_code(tree, self._imports)
        required = ".is_required()" if self._required and not self.is_entity else ""
        entity = ".as_entity()" if self.is_entity else ""
        said = f"{entity}{required}{self._suffix}"
        return f"{self.name} = ({code}){said}" if said else f"{self.name} = {code}"

    def tree(self) -> Expression:
        """The derivation.

        Raises:
            ContractError: it is broken.
        """
        try:
            return from_json(self._form)
        except (AlignedError, KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            raise ContractError(f"{self.part.path}: the derivation is broken: {error!r}.") from error

    def _time_to_live(self, role: str) -> dt.timedelta | None:
        given = isinstance(self._ttl, int | float) and role == "event_timestamp"
        return dt.timedelta(seconds=self._ttl) if given else None

    def _stated(self) -> str:
        """What follows the type: constraints, default, words and tags."""
        part, said = self.part, ""
        own = {rule.key: rule for rule in self._own_rules()}
        for rule in self._plain_rules():
            if rule.key not in own:
                said += self._rule(rule)
        said += "".join(self._rule(rule) for rule in own.values())
        if isinstance(self._default, Mapping) and "value" in self._default:
            said += f".default_value({value_code(value_from_json(self._default['value']), self._imports)})"
        words = part.text("description")
        if words:
            said += f".description({quoted(words)})"
        tags = part.texts("tags")
        classification = part.text("classification")
        tags += [f"{CLASSIFICATION}{classification}"] if classification else []
        return said + (f".with_tag({', '.join(map(quoted, tags))})" if tags else "")

    def _own_rules(self) -> list[rules.Constraint]:
        found = []
        for one in self.part.parts("quality"):
            if one.raw.get("engine") == ENGINE and isinstance(one.raw.get("implementation"), Mapping):
                for name in one.raw:
                    one.take(name)
                found.append(self._own(one))
        return found

    def _own(self, one: Part) -> rules.Constraint:
        try:
            return rules.constraint_from_json(dict(one.raw["implementation"]))
        except (AlignedError, KeyError, TypeError, ValueError) as error:
            raise ContractError(f"{one.path}.implementation is no rule: {error}") from error

    def _plain_rules(self) -> list[rules.Constraint]:
        part = self.part
        found: list[rules.Constraint] = [*self._bounds(), *self._sizes()]
        pattern = part.part("logicalTypeOptions").text("pattern") if self.dtype.is_text else None
        if pattern is not None:
            found += self._pattern(pattern, part.part("logicalTypeOptions").path + ".pattern")
        values = [one.take("value") for one in part.parts("enum")]
        if values:
            found.append(rules.AcceptedValues(tuple(self._value(v, f"{part.path}.enum") for v in values)))
        if part.flag("unique"):
            found.append(rules.Unique())
        for one in part.parts("relationships"):
            found += self._reference(one)
        for one in part.parts("quality"):
            found += self._measured(one)
        return list({rule.key: rule for rule in reversed(found)}.values())[::-1]

    def _bounds(self) -> list[rules.Constraint]:
        options = self.part.part("logicalTypeOptions")
        if logical_type(self.dtype) not in _BOUNDED:
            return []
        found: list[rules.Constraint] = []
        for word, kind in (("minimum", rules.LowerBound), ("maximum", rules.UpperBound)):
            exclusive = options.take(f"exclusive{word.title()}")
            plain = options.take(word)
            if plain is not None:
                found.append(kind(self._value(plain, f"{options.path}.{word}"), exclusive is not True))
            if exclusive is not None and not isinstance(exclusive, bool):
                where = f"{options.path}.exclusive{word.title()}"
                if plain is None:
                    found.append(kind(self._value(exclusive, where), False))
                else:
                    options.remark(f"exclusive{word.title()}", json.dumps(exclusive))
        return found

    def _sizes(self) -> list[rules.Constraint]:
        options = self.part.part("logicalTypeOptions")
        word = {"string": "Length", "array": "Items"}.get(logical_type(self.dtype))
        if word is None or self.dtype.kind not in {"string", "uuid", "json", "list"}:
            return []
        found: list[rules.Constraint] = []
        for end, kind in (("min", rules.MinLength), ("max", rules.MaxLength)):
            length = options.number(f"{end}{word}")
            if length is not None:
                if not isinstance(length, int) or length < 0:
                    raise ContractError(f"{options.path}.{end}{word} must be a whole number, not {length!r}.")
                found.append(kind(length))
        return found

    def _pattern(self, pattern: str, path: str) -> list[rules.Constraint]:
        try:
            return [rules.Regex(rules.check_pattern(pattern))]
        except ContractError:
            self.part.remarks.append(
                f"{path}: {pattern} is no pattern of Rust's regex crate, which polars uses"
            )
            return []

    def _reference(self, one: Part) -> list[rules.Constraint]:
        to = one.raw.get("to")
        view, _, column = to.partition(".") if isinstance(to, str) else ("", "", "")
        if view in self._classes and column and one.raw.get("type", "foreignKey") == "foreignKey":
            one.take("to")
            one.take("type")
            return [rules.Reference(view, column)]
        return []

    def _measured(self, one: Part) -> list[rules.Constraint]:
        """A rule of the standard's library that a constraint says too."""
        form = one.raw
        metric = form.get("metric") or form.get("rule")
        given = form.get("arguments")
        arguments: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
        must = form.get("mustBe")
        if form.get("type", "library") != "library" or must != 0 or isinstance(must, bool):
            return []
        found: list[rules.Constraint] = []
        if metric in {"duplicateValues", "duplicateCount", "unique"} and not arguments:
            found = [rules.Unique()]
        elif metric in {"nullValues", "missingValues", "nullCheck"} and not arguments and not self.is_entity:
            self._required = True
        elif metric in {"invalidValues", "validValues"} and isinstance(arguments.get("validValues"), list):
            path = f"{one.path}.arguments.validValues"
            found = [rules.AcceptedValues(tuple(self._value(v, path) for v in arguments["validValues"]))]
        elif metric == "invalidValues" and set(arguments) == {"pattern"} and self.dtype.is_text:
            found = self._pattern(str(arguments["pattern"]), f"{one.path}.arguments.pattern")
        else:
            return []
        for name in ("metric", "rule", "type", "arguments", "mustBe"):
            one.take(name)
        return found

    def _value(self, value: Any, path: str) -> Any:
        """A value of the document in the column's type."""
        kind = self.dtype.kind
        try:
            if kind == "date" and isinstance(value, str):
                return dt.date.fromisoformat(value)
            if kind == "timestamp" and isinstance(value, str):
                moment = dt.datetime.fromisoformat(value)
                return (
                    moment if self.dtype.time_zone or moment.tzinfo is None else moment.replace(tzinfo=None)
                )
            if kind == "time" and isinstance(value, str):
                return dt.time.fromisoformat(value)
        except ValueError as error:
            raise ContractError(f"{path} is {value!r}, which is no {kind}.") from error
        fits = {
            "number": isinstance(value, int | float) and not isinstance(value, bool),
            "text": isinstance(value, str),
            "bool": isinstance(value, bool),
        }.get(self.dtype.group, False)
        if not fits:
            raise ContractError(f"{path} is {value!r}, which does not fit a {self.dtype.text} column.")
        return value

    def _rule(self, rule: rules.Constraint) -> str:
        """The call that states a constraint."""
        violation = [] if rule.on_violation is None else [f"on_violation={quoted(rule.on_violation)}"]
        method, given = self._words(rule)
        if method is None:
            self.part.remarks.append(f"{self.part.path}: {rule.words(self.name)}")
            return ""
        return f".{method}({', '.join([*given, *violation])})"

    def _words(self, rule: rules.Constraint) -> tuple[str | None, list[str]]:
        if isinstance(rule, rules.LowerBound | rules.UpperBound):
            value = value_code(rule.value, self._imports)
            return rule.kind, [value] if rule.inclusive else [value, "is_inclusive=False"]
        if isinstance(rule, rules.MinLength | rules.MaxLength):
            return rule.kind, [str(rule.length)]
        if isinstance(rule, rules.AcceptedValues):
            return rule.kind, [value_code(rule.values, self._imports)]
        if isinstance(rule, rules.Regex):
            return "validate_regex", [quoted(rule.pattern)]
        if isinstance(rule, rules.StartsWith):
            return "validate_starts_with", [quoted(rule.prefix)]
        if isinstance(rule, rules.EndsWith):
            return "validate_ends_with", [quoted(rule.suffix)]
        if isinstance(rule, rules.Unique):
            return "is_unique", []
        if isinstance(rule, rules.Reference) and rule.view in self._classes and rule.column.isidentifier():
            return "reference_to", [f"{self._classes[rule.view]}().{rule.column}"]
        return None, []
