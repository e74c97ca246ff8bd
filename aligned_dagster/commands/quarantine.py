"""`aligned-dagster quarantine`: the rows that were kept aside, from the command line."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from aligned_dagster.commands.completing import complete_contract
from aligned_dagster.commands.terminal import answer, json_option, project

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from aligned_dagster.contracts.feature_view import FeatureView
    from aligned_dagster.contracts.quarantine import QuarantineRun, Release

Listed = list[tuple[str, "QuarantineRun"]]
"""Runs with the contract that each kept rows of."""

_SHOWN = 20


@click.group(
    short_help="Rows that were kept aside.",
    epilog="\b\nExamples:\n  aligned-dagster quarantine list\n  aligned-dagster quarantine release weather RUN",
)
def quarantine() -> None:
    """Rows that broke a rule and were kept aside: look at them, publish them after all, or drop them."""


@quarantine.command(
    "list",
    epilog="\b\nExamples:\n  aligned-dagster quarantine list\n  aligned-dagster quarantine list weather --json",
)
@click.argument("contracts", nargs=-1, shell_complete=complete_contract)
@json_option
def list_(contracts: tuple[str, ...], as_json: bool) -> None:
    """List the runs that kept rows of CONTRACTS aside, the oldest first; of all contracts if none is named."""
    raise SystemExit(answer(as_json, lambda: _listed(contracts), _print_runs, _runs_form))


@quarantine.command(epilog="\b\nExample:\n  aligned-dagster quarantine show weather RUN --limit 5")
@click.argument("contract", shell_complete=complete_contract)
@click.argument("run")
@click.option("--limit", default=_SHOWN, show_default=True, type=click.IntRange(1), help="Rows at most.")
@json_option
def show(contract: str, run: str, limit: int, as_json: bool) -> None:
    """Show the rows of CONTRACT that RUN kept aside: the rules that each broke, its key, the rest.

    Of RUN, as everywhere here, its first letters do, as long as no other run has the same.
    """
    from aligned_dagster.commands.rows import json_rows

    raise SystemExit(answer(as_json, lambda: _rows(contract, run, limit), _print_rows, json_rows))


@quarantine.command(epilog="\b\nExample:\n  aligned-dagster quarantine release weather RUN")
@click.argument("contract", shell_complete=complete_contract)
@click.argument("run")
@json_option
def release(contract: str, run: str, as_json: bool) -> None:
    """Audit the rows of CONTRACT that RUN kept aside once more, and publish those that keep the contract now.

    Dagster is told, so that what is downstream runs where it is eager; of a contract with partitions it is not.

    A row takes the place of a stored one of the same key. Rows that still break a rule stay in the quarantine. Ends with
    1, and changes nothing, when a blocking rule is broken or no row can be published.
    """
    raise SystemExit(answer(as_json, lambda: _release(contract, run), _print_release, _release_form))


@quarantine.command(
    epilog="\b\nExamples:\n  aligned-dagster quarantine drop weather RUN\n  aligned-dagster quarantine drop --older-than 90"
)
@click.argument("contract", required=False, shell_complete=complete_contract)
@click.argument("run", required=False)
@click.option(
    "--older-than", metavar="DAYS", type=click.FloatRange(0, 36_500), help="All runs older than that."
)
@click.option(
    "--expired", is_flag=True, help="All runs older than quarantine_days of [tool.aligned_dagster]."
)
@json_option
def drop(
    contract: str | None, run: str | None, older_than: float | None, expired: bool, as_json: bool
) -> None:
    """Drop the rows of CONTRACT that RUN kept aside, or by their age those of CONTRACT or of all contracts."""
    if sum((run is not None, older_than is not None, expired)) != 1:
        raise click.UsageError("Say what to drop: CONTRACT and RUN, --older-than DAYS or --expired.")
    raise SystemExit(
        answer(
            as_json,
            lambda: _drop(contract, run, older_than),
            lambda told, gone: _print_runs(told, gone, "Dropped"),
            _runs_form,
        )
    )


def _views(names: tuple[str, ...]) -> list[FeatureView[Any]]:
    """The named contracts, or all that can keep rows aside."""
    from aligned_dagster.contracts.quarantine import keeps_quarantine

    store = project().load_store()
    if names:
        return [store.view(name) for name in names]
    return [view for view in store.views.values() if keeps_quarantine(view)]


def _listed(names: tuple[str, ...]) -> Listed:
    from aligned_dagster.contracts.quarantine import quarantines

    runs = [(view.name, run) for view in _views(names) for run in quarantines(view)]
    return sorted(runs, key=lambda one: one[1].kept_at)


def _run_of(view: FeatureView[Any], given: str) -> str:
    """The whole id of the run that begins so; what was given where there is none.

    Raises:
        RequestError: several runs begin so.
    """
    from aligned_dagster.contracts.quarantine import quarantines
    from aligned_dagster.errors import RequestError

    known = list(dict.fromkeys(run.run_id for run in quarantines(view)))
    found = [run_id for run_id in known if run_id.startswith(given)]
    if given in known or not found or not given:
        return given
    if len(found) > 1:
        raise RequestError(
            f"{len(found)} runs that keep rows of {view.name!r} aside begin with {given!r}: "
            f"{', '.join(found)}. Give more letters."
        )
    return found[0]


def _rows(contract: str, run: str, limit: int) -> pl.DataFrame:
    from aligned_dagster.contracts.quarantine import read
    from aligned_dagster.quality.audit import broken_rules_column

    [view] = _views((contract,))
    rows = read(view, _run_of(view, run)).head(limit).collect()
    rules = broken_rules_column(view.schema.names)
    first = [name for name in (rules, *view.schema.key) if name in rows.columns]
    return rows.select(*first, *(name for name in rows.columns if name not in first))


def _release(contract: str, run: str) -> tuple[Release, bool]:
    from aligned_dagster.contracts.quarantine import release

    settings = project()
    view = settings.load_store().view(contract)
    run = _run_of(view, run)
    released = release(view, run)
    from aligned_dagster.orchestration.releasing import report_release

    return released, report_release(settings, view.name, run, released)


def _drop(contract: str | None, run: str | None, days: float | None) -> Listed:
    from aligned_dagster.contracts.quarantine import drop
    from aligned_dagster.errors import ConfigurationError

    views = _views((contract,) if contract is not None else ())
    if run is not None:
        return [(view.name, one) for view in views for one in drop(view, _run_of(view, run))]
    if days is None:
        days = project().quarantine_days
    if days is None:
        raise ConfigurationError(
            "[tool.aligned_dagster] has no quarantine_days, so no row expires. Add quarantine_days = 90, or use --older-than."
        )
    age = dt.timedelta(days=days)
    return [(view.name, one) for view in views for one in drop(view, older_than=age)]


def _print_runs(console: Console, runs: Listed, done: str = "") -> None:
    from rich.table import Table

    if not runs:
        console.print("Nothing was dropped." if done else "No rows are kept aside.", highlight=False)
        return
    table = Table("contract", "run", "rows", "kept at (UTC)", title=done or None)
    for contract, run in runs:
        table.add_row(contract, run.run_id, f"{run.rows:,}", f"{run.kept_at:%Y-%m-%d %H:%M:%S}")
    console.print(table)


def _print_rows(console: Console, rows: pl.DataFrame) -> None:
    import polars as pl

    from aligned_dagster.commands.rows import rows_table

    lists = [name for name in rows.columns[:1] if rows.schema[name] == pl.List(pl.String)]
    console.print(rows_table(rows.with_columns(pl.col(lists).list.join(", "))))


def _print_release(console: Console, released: tuple[Release, bool]) -> None:
    done, is_told = released
    one = done.released == 1
    breaks = "breaks a rule and stays" if done.kept == 1 else "break a rule and stay"
    stay = f" {done.kept:,} still {breaks} in the quarantine." if done.kept else ""
    aside = done.publication.quarantine
    others = f" Rows that break a rule beside the stored ones are in {aside}." if aside else ""
    told = (
        " Dagster knows of it."
        if is_told
        else " Dagster does not know of it: materialise what reads the contract."
    )
    console.print(
        f"{done.released:,} {'row is' if one else 'rows are'} published.{stay}{others}{told}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def _runs_form(runs: Listed) -> list[dict[str, Any]]:
    return [
        {
            "contract": contract,
            "run": run.run_id,
            "rows": run.rows,
            "kept_at": run.kept_at.isoformat(),
            "uri": run.uri,
        }
        for contract, run in runs
    ]


def _release_form(released: tuple[Release, bool]) -> dict[str, Any]:
    done, is_told = released
    return {
        "released": done.released,
        "kept": done.kept,
        "quarantine": done.publication.quarantine,
        "reported": is_told,
    }
