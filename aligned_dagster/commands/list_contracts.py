"""`aligned-dagster list`: the contracts of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aligned_dagster.commands.terminal import answer, json_option, project

if TYPE_CHECKING:
    from rich.console import Console

    from aligned_dagster.contracts.feature_view import FeatureView


@click.command(
    "list",
    short_help="The contracts of the project.",
    epilog="\b\nExamples:\n  aligned-dagster list\n  aligned-dagster list --json | jq '.[].name'",
)
@json_option
def list_contracts(as_json: bool) -> None:
    """List the contracts of the project: what they are, what they read and where their rows are.

    Ends with 0, or with 1 when the contracts cannot be loaded.
    """
    raise SystemExit(
        answer(
            as_json, lambda: list(project().load_store().views.values()), _show, lambda v: [*map(_form, v)]
        )
    )


def kind_of(view: FeatureView[Any]) -> str:
    """What a contract is, in a word or two."""
    from aligned_dagster.contracts.model import ModelContract
    from aligned_dagster.contracts.training_set import TrainingSet

    if isinstance(view, ModelContract):
        return "model"
    return "training set" if isinstance(view, TrainingSet) else "view"


def _form(view: FeatureView[Any]) -> dict[str, Any]:
    return {
        "name": view.name,
        "kind": kind_of(view),
        "columns": len(view.schema.columns),
        "reads": sorted(view.depends_on()) or [source.uri for source in view.raw_sources],
        "stored": view.materialized_source.uri if view.materialized_source else None,
        "description": view.description,
        "tags": list(view.tags),
    }


def _show(console: Console, views: list[FeatureView[Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("contract", "kind", "columns")
    for name in ("reads", "stored", "description"):
        table.add_column(name, overflow="fold")
    for view in views:
        reads = sorted(view.depends_on()) or [source.label for source in view.raw_sources]
        stored = view.materialized_source.label if view.materialized_source else "computed when read"
        first = view.description.partition("\n")[0]
        cells = (view.name, kind_of(view), str(len(view.schema.columns)), ", ".join(reads), stored, first)
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
