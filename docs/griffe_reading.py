"""What the reference needs beyond the code as griffe reads it, which does not run it.

A pydantic model has its fields as arguments, `**options: Unpack[Options]` stands for the keys of `Options`, and the
examples of docstrings are code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)
"""From a prompt to the next empty line."""

MODELS = {"BaseModel", "Model", "Settings"}
"""The last names of the classes from which models derive: pydantic's, Dagster's and ours."""


class Reading(griffe.Extension):
    """Completes a package when all of it was read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Visit the classes and functions of the package.

        Args:
            pkg: as griffe read it.
        """
        self._visit(pkg)

    def _visit(self, holder: griffe.Module | griffe.Class) -> None:
        for member in list(holder.members.values()):
            if not isinstance(member, griffe.Alias) and member.docstring is not None:
                member.docstring.value = EXAMPLE.sub(r"```pycon\n\g<0>\n```", member.docstring.value)
            if isinstance(member, griffe.Class):
                _take_fields(member)
            if isinstance(member, griffe.Module | griffe.Class):
                self._visit(member)
            elif isinstance(member, griffe.Function):
                _unpack_options(member)


def _take_fields(model: griffe.Class) -> None:
    """Give a model the arguments that its fields are, where no argument of its `__init__` stands for them."""
    family = [*reversed(_mro(model)), model]
    bases = {str(base).partition("[")[0].rpartition(".")[2] for each in family for base in each.bases}
    if not bases & MODELS:
        return
    fields = {attribute.name: attribute for each in family for attribute in _fields(each)}
    init = model.members.get("__init__")
    if init is None:
        itself = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
        init = griffe.Function("__init__", lineno=0, endlineno=0, returns="None")
        init.parameters = griffe.Parameters(itself, *map(_argument, fields.values()))
        model.set_member("__init__", init)
    elif isinstance(init, griffe.Function):
        _replace_rest(init, fields)


def _unpack_options(function: griffe.Function) -> None:
    """Put the keys of a dictionary in the place of the argument that takes them all, unless the docstring tells that one."""
    words = "" if function.docstring is None else function.docstring.value
    for parameter in function.parameters:
        told = str(parameter.annotation)
        is_rest = parameter.kind is griffe.ParameterKind.var_keyword
        if is_rest and told.startswith("Unpack[") and f"  {parameter.name}: " not in words:
            options = function.module.members[told.removeprefix("Unpack[").removesuffix("]")]
            options = options.final_target if isinstance(options, griffe.Alias) else options
            _replace_rest(function, {each.name: each for each in options.attributes.values()}, default="...")
            return


def _replace_rest(
    function: griffe.Function, arguments: dict[str, griffe.Attribute], default: str | None = None
) -> None:
    given = list(function.parameters)
    rest = [each for each in given if each.kind is griffe.ParameterKind.var_keyword]
    if rest:
        kept = [each for each in given if each not in rest]
        names = {each.name for each in kept}
        more = [_argument(each, default) for name, each in arguments.items() if name not in names]
        function.parameters = griffe.Parameters(*kept, *more)


def _argument(attribute: griffe.Attribute, default: str | None = None) -> griffe.Parameter:
    kind = griffe.ParameterKind.keyword_only
    value = attribute.value if attribute.value is not None else default
    if isinstance(value, griffe.ExprCall) and str(value.function) == "Field":
        stated = [each for each in value.arguments if isinstance(each, griffe.ExprKeyword)]
        value = next((each.value for each in stated if each.name == "default"), "...")
    return griffe.Parameter(attribute.name, annotation=attribute.annotation, kind=kind, default=value)


def _fields(model: griffe.Class) -> Iterator[griffe.Attribute]:
    """The annotated attributes that are neither private, nor class variables, nor the name of the model's kind."""
    for attribute in model.members.values():
        if isinstance(attribute, griffe.Attribute) and attribute.annotation is not None:
            is_own = "property" not in attribute.labels and "instance-attribute" in attribute.labels
            if is_own and attribute.name != "type" and not attribute.name.startswith("_"):
                yield attribute


def _mro(model: griffe.Class) -> list[griffe.Class]:
    try:
        return model.mro()
    except ValueError:  # a base of another package
        return []
