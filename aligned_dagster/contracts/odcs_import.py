"""Documents of the Open Data Contract Standard as contracts in Python."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aligned_dagster.contracts.feature_view import FeatureView
from aligned_dagster.contracts.inferring import class_name
from aligned_dagster.contracts.odcs import KIND, VERSION, problems
from aligned_dagster.contracts.odcs_columns import ColumnReader
from aligned_dagster.contracts.odcs_header import Header
from aligned_dagster.contracts.odcs_reading import Part
from aligned_dagster.contracts.odcs_rules import ENGINE
from aligned_dagster.contracts.odcs_sources import Table
from aligned_dagster.contracts.odcs_yaml import documents_in
from aligned_dagster.contracts.spelling import column_names, quoted
from aligned_dagster.contracts.spelling_values import Imports, expression_code, value_code
from aligned_dagster.errors import AlignedError, ContractError
from aligned_dagster.features.constraints import Rule
from aligned_dagster.features.naming import snake_case

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class _Found:
    """An object of a schema on its way to a class."""

    document: Part
    part: Part
    name: str
    class_name: str
    columns: dict[str, str]
    alone: bool
    remarks: list[str] = field(default_factory=list)

    def needs(self) -> set[str]:
        """Names of the contracts that must stand before it."""
        reads = next(
            (
                one.get("value")
                for one in self.document.raw.get("customProperties") or ()
                if isinstance(one, dict) and one.get("property") == "reads"
            ),
            None,
        )
        names = {name for name in reads if isinstance(name, str)} if isinstance(reads, list) else set()
        for part in self.part.parts("properties"):
            for one in part.raw.get("relationships") or ():
                if isinstance(one, dict) and isinstance(one.get("to"), str):
                    names.add(one["to"].partition(".")[0])
        return names - {self.name}


def contracts_from_odcs(text: str, label: str = "the document") -> str:
    """The Python text of the contracts in a YAML (or JSON) text of the standard.

    The text imports and compiles. What could not be carried over stands above each contract as a comment.

    Args:
        text: one document or several.
        label: what the text is called, as in the name of its file.

    Raises:
        ContractError: it is no contract of the standard, or says something that cannot be; the message has the path.
        ConfigurationError: the packages that know the standard are not installed.
    """
    documents = documents_in(text, label)
    found = _ordered([one for document in documents for one in _objects(document)])
    if not found:
        raise ContractError(
            f"{label}: schema is missing or empty, so there is nothing to make a contract of."
        )
    _name_once(found)
    imports = Imports({column for one in found for column in one.columns.values()})
    imports.name("feature_view")
    namespace: dict[str, Any] = {}
    classes: dict[str, str] = {}
    blocks = []
    for one in found:
        blocks.append(_Writer(one, imports, classes, namespace).block())
        classes[one.name] = one.class_name
    head = _comment(
        f"Made of {label}; it also says what is not carried over:",
        [line for document in documents for line in [*_complaints(document), *_rest(document)]],
    )
    title = head if head else f"# Made of {_safe(label)}, by aligned-dagster import.\n"
    return "\n".join([f"{title}from __future__ import annotations\n", *imports.statements(), "", *blocks])


def _rest(document: Part) -> list[str]:
    """What is left of a document beside its objects, which tell theirs above their classes."""
    said = {line for part in document.parts("schema") for line in part.rest()}
    return [line for line in document.rest() if line not in said]


def _complaints(document: Part) -> list[str]:
    if document.raw.get("apiVersion") != VERSION:
        return []
    return [f"{line} (not as the standard has it)" for line in problems(document.raw)[:20]]


def _objects(document: Part) -> list[_Found]:
    parts = document.parts("schema")
    found = []
    for part in parts:
        said = part.need("name")
        names: list[str] = [inner.need("name") for inner in part.parts("properties")]
        if not names:
            raise ContractError(f"{part.path}.properties is missing or empty: a contract has columns.")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ContractError(f"{part.path}.properties names {twice[0]!r} twice.")
        name = said if _NAME.fullmatch(said) else snake_case(class_name(said))
        found.append(_Found(document, part, name, class_name(said), column_names(names), len(parts) == 1))
    return found


def _ordered(found: list[_Found]) -> list[_Found]:
    """Each after those that it reads or refers to, as far as they are there."""
    left, done, made = list(found), set[str](), []
    names = {one.name for one in found}
    while left:
        ready = [one for one in left if not (one.needs() & names) - done] or left[:1]
        made.append(ready[0])
        done.add(ready[0].name)
        left.remove(ready[0])
    return made


def _name_once(found: list[_Found]) -> None:
    names: dict[str, str] = {}
    classes: set[str] = set()
    for one in found:
        if one.name in names:
            raise ContractError(
                f"{one.part.path}.name is {one.name!r}, as {names[one.name]}.name is. Name each once."
            )
        names[one.name] = one.part.path
        plain, number = one.class_name, 1
        while one.class_name in classes or one.class_name in one.columns.values():
            number += 1
            one.class_name = f"{plain}{number}"
        classes.add(one.class_name)


class _Writer:
    """Writes one class, and tries after each derivation whether it means what the document says."""

    def __init__(
        self, found: _Found, imports: Imports, classes: dict[str, str], namespace: dict[str, Any]
    ) -> None:
        self._found = found
        self._imports = imports
        self._namespace = namespace
        self._readers = [
            ColumnReader(part, found.columns[part.need("name")], imports, classes)
            for part in found.part.parts("properties")
        ]
        mapping = {
            part.text("physicalName") or part.need("name"): found.columns[part.need("name")]
            for part in found.part.parts("properties")
            if not part.raw.get("transformLogic")
        }
        table = Table(
            found.part.need("name"),
            found.part.text("physicalName"),
            {old: new for old, new in mapping.items() if old != new},
            found.alone,
        )
        self._header = Header(
            found.document, found.part, found.name, found.class_name, found.alone, classes, table, imports
        )

    def block(self) -> str:
        lines: list[str] = []
        for reader in self._readers:
            lines.append(self._column(reader, lines))
        for part in self._found.part.parts("quality"):
            line = self._rule(part, lines)
            lines += [line] if line else []
        made = self._made(lines)
        self._compare(made)
        self._namespace[self._found.class_name] = made
        rest = [*self._found.remarks, *self._header.remarks, *self._found.part.rest()]
        return f"\n{_comment('Not carried over:', rest)}{self._text(lines)}"

    def _column(self, reader: ColumnReader, before: list[str]) -> str:
        if not reader.is_derived:
            if reader.logic:
                reader.part.remark("transformLogic", f"{reader.name} = {reader.logic}")
            return reader.stored()
        aggregated = reader.part.custom("aggregated")
        reader.part.custom("prediction")
        tree = reader.tree()
        if not aggregated:
            try:
                line = reader.derived()
                column = self._made([*before, line]).schema.column(reader.name)
                if column.derivation == tree and column.dtype == reader.dtype:
                    return line
            except (AlignedError, AttributeError, TypeError, NameError, ValueError, SyntaxError):
                pass  # features have no words for it: what was computed is told instead
        reader.part.remark("transformLogic", f"{reader.name} = {reader.logic or repr(tree)}")
        return reader.lost()

    def _rule(self, part: Part, before: list[str]) -> str | None:
        """The statement of a rule on whole rows, where it is one of this package's own."""
        form = part.raw.get("implementation")
        if part.raw.get("engine") != ENGINE or not isinstance(form, dict):
            return None
        for name in part.raw:
            part.take(name)
        line = self._rule_line(form, before)
        if line is None:
            part.remark("implementation", f"{part.raw.get('name')}: {part.raw.get('description')}")
        return line

    def _rule_line(self, form: dict[str, Any], before: list[str]) -> str | None:
        try:
            rule = Rule.from_json(form)
            said = [expression_code(rule.predicate, self._imports)]
            if rule.description:
                said.append(quoted(rule.description))
            if rule.on_violation:
                said.append(f"on_violation={quoted(rule.on_violation)}")
            if rule.mostly != 1:
                said.append(f"mostly={value_code(rule.mostly, self._imports)}")
            line = f"{rule.name} = {self._imports.name('rule')}({', '.join(said)})"
            known = _NAME.fullmatch(rule.name) and self._made([*before, line]).schema.rules[-1:]
        except (AlignedError, AttributeError, TypeError, NameError, ValueError, SyntaxError, KeyError):
            return None
        return line if known == (rule,) else None

    def _made(self, lines: list[str]) -> FeatureView[Any]:
        """The contract that the text defines: the text holds nothing but what was written here."""
        text = "\n".join([*self._imports.statements(), self._text(lines)])
        namespace = dict(self._namespace)
        try:
            exec(compile(text, "<odcs>", "exec"), namespace)
        except AlignedError as error:
            told = str(error).replace(" (<odcs>", " (in the Python text, <odcs>")
            raise ContractError(f"{self._found.part.path}: {told}") from error
        made: FeatureView[Any] = namespace[self._found.class_name]
        return made

    def _compare(self, made: FeatureView[Any]) -> None:
        document = self._found.document
        version = document.text("version")
        if document.custom(KIND) is None:
            if version:
                document.remark("version", f'"{version}"')
        elif version != made.version:
            self._found.remarks.append(
                f"version: {version}, of the columns that it reads; here {made.version}"
            )

    def _text(self, lines: Iterable[str]) -> str:
        body = "\n".join(f"    {line}" for line in lines)
        return f"{self._header.text()}\n{body}\n"


def _comment(title: str, lines: Iterable[str]) -> str:
    """Lines as a comment; nothing where there are none."""
    said = list(dict.fromkeys(lines))
    if not said:
        return ""
    wrapped = [
        textwrap.fill(
            _safe(line),
            width=108,
            initial_indent="#   ",
            subsequent_indent="#     ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in said
    ]
    return "\n".join([f"# {_safe(title)}", *wrapped]) + "\n"


def _safe(line: str) -> str:
    """A text without signs that end a comment."""
    return "".join(sign if sign.isprintable() else " " for sign in line).strip() or "-"
