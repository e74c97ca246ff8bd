"""`aligned-dagster show`: all that is known of one contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aligned_dagster.commands.completing import complete_contract
from aligned_dagster.commands.terminal import answer, json_option, project

if TYPE_CHECKING:
    from rich.console import Console

    from aligned_dagster.contracts.feature_view import FeatureView


@click.command(
    short_help="All that is known of one contract.",
    epilog="\b\nExamples:\n  aligned-dagster show flights\n  aligned-dagster show flights --json | jq .columns",
)
@click.argument("view", shell_complete=complete_contract)
@json_option
def show(view: str, as_json: bool) -> None:
    """Show the contract VIEW: columns with their rules and origins, sources, schema versions, freshness.

    Ends with 0, or with 1 when there is no such contract.
    """
    raise SystemExit(answer(as_json, lambda: _described(view), _show, lambda form: form))


def _described(name: str) -> dict[str, Any]:
    settings = project()
    from aligned_dagster.commands.list_contracts import kind_of
    from aligned_dagster.contracts.lock import ContractsLock

    store = settings.load_store()
    view = store.view(name)
    versions = ContractsLock.read(settings.root).known_versions(view)
    return {
        "name": view.name,
        "kind": kind_of(view),
        "description": view.description,
        "location": str(view.location) if view.location else None,
        "tags": list(view.tags),
        "contacts": list(view.contacts),
        "columns": _columns(view),
        "rules": [rule.words() for rule in view.schema.rules],
        "upstream": sorted(view.depends_on()),
        "references": sorted(view.references()),
        "downstream": sorted(other.name for other in store.views.values() if name in other.depends_on()),
        "sources": [source.uri for source in view.raw_sources],
        "stored": view.materialized_source.uri if view.materialized_source else None,
        "versions": [{"version": version, "current": version == view.version} for version in versions],
        "freshness": _freshness(view),
    }


def _columns(view: FeatureView[Any]) -> list[dict[str, Any]]:
    lineage = view.column_lineage()
    return [
        {
            "name": column.name,
            "type": column.dtype.text,
            "role": column.role,
            "nullable": column.nullable,
            "derived": column.derivation is not None,
            "rules": [rule.words(column.name) for rule in column.constraints if rule.kind != "not_null"],
            "made_of": [{"from": place, "column": stored} for place, stored in lineage[column.name]],
            "description": column.description,
        }
        for column in view.schema.columns
    ]


def _freshness(view: FeatureView[Any]) -> dict[str, Any]:
    """The newest row, when the rows changed last where they are, and how old they may be, in seconds."""
    from aligned_dagster.contracts.unmaterialised import materialised
    from aligned_dagster.contracts.view_source import ContractSource
    from aligned_dagster.errors import AlignedError

    limits = {"acceptable": view.acceptable_freshness, "unacceptable": view.unacceptable_freshness}
    form: dict[str, Any] = {name: age.total_seconds() if age else None for name, age in limits.items()}
    form |= {"newest": None, "measured": None, "status": "unknown"}
    form |= {"modified": None, "rows": None, "problem": None}
    if isinstance(view.storage, ContractSource):
        return form  # its rows would have to be computed
    try:
        with materialised(view):
            found = view.storage.fingerprint()
        measured = view.measured_freshness()
    except AlignedError as error:
        return form | {"problem": str(error)}
    return form | {
        "newest": measured.newest.isoformat() if measured.newest else None,
        "measured": measured.measured,
        "status": measured.status,
        "modified": found.modified.isoformat() if found.modified else None,
        "rows": found.rows,
    }


def _show(console: Console, form: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    def line(name: str, *values: str | None) -> None:
        told = ", ".join(value for value in values if value)
        if told:
            console.print(f"[bold]{name}:[/] {escape(told)}", highlight=False, soft_wrap=True)

    console.print(f"[bold]{form['name']}[/] ({form['kind']})", highlight=False)
    if form["description"]:
        console.print(escape(form["description"]), highlight=False, soft_wrap=True)
    table = Table()
    for name in ("column", "type", "role", "null", "rules", "made of"):
        table.add_column(name, overflow="fold")
    for column in form["columns"]:
        origins = ", ".join(f"{_place(one['from'])}.{one['column']}" for one in column["made_of"])
        role = "" if column["role"] == "feature" else column["role"].replace("_", " ")
        null = "yes" if column["nullable"] else "no"
        cells = (column["name"], column["type"], role, null, "\n".join(column["rules"]), origins)
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
    line("Rules", *form["rules"])
    line("Reads", *form["upstream"], *form["sources"])
    line("Refers to", *form["references"])
    line("Read by", *form["downstream"])
    line("Stored in", form["stored"] or "nothing is stored; it is computed when it is read")
    line("Versions", *(f"{one['version']}{' (now)' if one['current'] else ''}" for one in form["versions"]))
    fresh = form["freshness"]
    rows = None if fresh["rows"] is None else f"{fresh['rows']:,} row{'' if fresh['rows'] == 1 else 's'}"
    line("Changed last", fresh["modified"], rows)
    line("Newest row", fresh["newest"], fresh["newest"] and f"by its {fresh['measured']}")
    line(
        "Freshness",
        fresh["status"] if fresh["status"] != "unknown" else None,
        *(
            f"{name} {'up to' if name == 'acceptable' else 'after'} {_age(fresh[name])}"
            for name in ("acceptable", "unacceptable")
            if fresh[name]
        ),
    )
    line("Storage", fresh["problem"])
    line("Contacts", *form["contacts"])


def _place(uri: str) -> str:
    """The end of a path, which tells enough in a table."""
    return uri.rstrip("/").rpartition("/")[2]


def _age(seconds: float) -> str:
    import datetime as dt

    from aligned_dagster.features.durations import in_words

    return in_words(dt.timedelta(seconds=seconds))
