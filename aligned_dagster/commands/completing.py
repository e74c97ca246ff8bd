"""Names that the shell completes: those of contracts, read from files as text, so that it is quick."""

from __future__ import annotations

import ast
import json
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from click import Context, Parameter

_DECORATORS = frozenset({"feature_view", "data_contract", "model_contract", "training_set"})


def complete_contract(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The contracts whose name begins so."""
    return [CompletionItem(name) for name in contract_names() if name.startswith(incomplete)]


def complete_selection(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The assets of a selection such as `shops,+sales`: its last name is completed, the others stay.

    Those that are arguments already are left out.
    """
    before, comma, last = incomplete.rpartition(",")
    given = {name.lstrip("+") for name in (*before.split(","), *(context.params.get("assets") or ()))}
    plus = last[: len(last) - len(last.lstrip("+"))]
    known = contract_names()
    return [
        CompletionItem(f"{before}{comma}{plus}{name}")
        for name in known
        if name.startswith(last[len(plus) :]) and name not in given
    ]


def contract_names(start: Path | None = None) -> list[str]:
    """The names of the contracts of the project around a directory, without importing it; none if that fails.

    Args:
        start: the directory; the current one, or the project that `ALIGNED_PROJECT` names, if not given.
    """
    try:
        from aligned_dagster.orchestration.project import ProjectSettings

        settings = ProjectSettings.find(start)
        files = [
            Path(name)
            for pattern in settings.contracts
            for name in glob(str(settings.root / pattern), recursive=True)
        ]
        names = {name for file in files if file.suffix == ".py" for name in _names_in(file)}
        return sorted(names | _locked(settings.root))
    except Exception:  # whoever presses the tab key is told nothing
        return []


def _locked(root: Path) -> set[str]:
    """The contracts of contracts.lock, which also knows those that code makes."""
    try:
        entries = json.loads((root / "contracts.lock").read_text("utf-8"))["contracts"]
        return {name for name, entry in entries.items() if "removed" not in entry}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _names_in(file: Path) -> set[str]:
    """The contracts that classes of a file are."""
    from aligned_dagster.features.naming import snake_case

    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    found = set()
    for statement in tree.body:
        if not isinstance(statement, ast.ClassDef):
            continue
        for decorator in statement.decorator_list:
            if isinstance(decorator, ast.Call) and _word(decorator.func) in _DECORATORS:
                found.add(_named(decorator) or snake_case(statement.name))
    return found


def _word(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _named(decorator: ast.Call) -> str | None:
    """The name that a decorator gives."""
    given = [*decorator.args[:1], *(word.value for word in decorator.keywords if word.arg == "name")]
    texts = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return texts[-1] if texts else None
