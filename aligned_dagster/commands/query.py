"""`aligned-dagster query`: rows of a contract, or of SQL over all contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aligned_dagster.commands.completing import complete_contract
from aligned_dagster.commands.terminal import console, guarded, guarded_json, project

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

SHOWN = 20


@click.command(
    short_help="Rows of a contract, or of SQL.",
    epilog="\b\nExamples:\n  aligned-dagster query flights --limit 5 --columns carrier,origin\n"
    "  aligned-dagster query 'SELECT origin, count(*) AS n FROM flights GROUP BY origin' --json\n"
    "  aligned-dagster query flights --csv > flights.csv",
)
@click.argument("asked", metavar="VIEW|SQL", shell_complete=complete_contract)
@click.option(
    "--limit", type=click.IntRange(0), help=f"Rows at most: {SHOWN} in a table, all of them otherwise."
)
@click.option("--columns", metavar="NAMES", help="Only these columns, with commas between them.")
@click.option("--json", "form", flag_value="json", help="Print an array of objects.")
@click.option("--csv", "form", flag_value="csv", help="Print comma separated values.")
def query(asked: str, limit: int | None, columns: str | None, form: str | None) -> None:
    """Print rows of the contract VIEW, or of one SQL SELECT in which every contract is a table.

    Only the wanted columns are read. Ends with 0, or with 1 when the rows cannot be had.
    """
    names = [name.strip() for name in columns.split(",")] if columns else None
    if form == "json":
        raise SystemExit(guarded_json(lambda: _rows(asked, limit, names), _printed))
    if form == "csv":
        from rich.console import Console

        raise SystemExit(guarded(Console(stderr=True), lambda _: _csv(_rows(asked, limit, names))))
    most = SHOWN if limit is None else limit
    raise SystemExit(guarded(console(), lambda told: _table(told, _rows(asked, most + 1, names), most)))


def _rows(asked: str, limit: int | None, columns: list[str] | None) -> pl.DataFrame:
    store = project().load_store()
    from aligned_dagster.errors import RequestError, did_you_mean
    from aligned_dagster.request.job import RetrievalJob

    if asked.strip().isidentifier():
        asked = asked.strip()
        job: RetrievalJob = store.view(asked).query().select(*columns or store.view(asked).schema.names).all()
    else:
        job = store.execute_sql(asked)
        known = job.schema.names
        for name in columns or ():
            if name not in known:
                raise RequestError(
                    f"The query gives no column {name!r}.{did_you_mean(name, known)} Columns: {', '.join(known)}."
                )
        if columns:
            job = job.select(*columns)
    return (job if limit is None else job.limit(limit)).collect()


def _printed(rows: pl.DataFrame) -> int:
    from aligned_dagster.commands.rows import json_text

    click.echo(json_text(rows))
    return 0


def _csv(rows: pl.DataFrame) -> int:
    """Print rows as a CSV source holds them: times in ISO 8601, durations in microseconds, nested values as JSON."""
    from aligned_dagster.features.dtypes import DataType
    from aligned_dagster.features.schema import Column, Schema
    from aligned_dagster.request.retrieval_request import RetrievalRequest
    from aligned_dagster.sources.conform import to_stored

    columns = tuple(Column(name, DataType.from_polars(dtype)) for name, dtype in rows.schema.items())
    request = RetrievalRequest("query", Schema(columns))
    texts = to_stored(rows.lazy(), request, source_label="the output", as_text=True)
    click.echo(texts.collect().write_csv(), nl=False)
    return 0


def _table(told: Console, rows: pl.DataFrame, most: int) -> int:
    from aligned_dagster.commands.rows import rows_table

    told.print(rows_table(rows.head(most)))
    if rows.height > most:
        first = "The first row" if most == 1 else f"The first {most} rows"
        told.print(f"{first}; --limit gives more.", highlight=False)
    return 0
