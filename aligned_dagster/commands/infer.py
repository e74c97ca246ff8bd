"""`aligned-dagster infer`: a contract from the rows of a source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aligned_dagster.commands.terminal import FAILED, guarded

if TYPE_CHECKING:
    from rich.console import Console


@click.command(
    epilog="\b\nExamples:\n  aligned-dagster infer sales.csv\n"
    "  aligned-dagster infer data/credits --name Credit --output contracts/credit.py\n"
    "  aligned-dagster infer postgresql:SHOP_URL:public.orders\n"
    "  aligned-dagster infer 's3://lake/raw/orders.parquet?region_env=AWS_REGION'"
)
@click.argument("source")
@click.option("--name", "title", metavar="CLASS", help="Name of the contract's class, as in Sales.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="A new file for the contract."
)
def infer(source: str, title: str | None, output: Path | None) -> None:
    """Write a contract from the rows of SOURCE: types, nullability, entity, event timestamp, suggested rules.

    SOURCE is a CSV or Parquet file, a directory of partitions such as country=norway, s3://bucket/key,
    azure://container/blob, or postgresql:ENV_VAR:schema.table, where the variable holds the address of the database. The
    contract keeps what it says on these rows; its bounds and accepted values are suggestions, which only warn.

    Ends with 0 when the contract is written, 1 when the source cannot be read or the file is there already.
    """
    from rich.console import Console

    raise SystemExit(guarded(Console(stderr=True), lambda told: _infer(told, source, title, output)))


def _infer(told: Console, source: str, title: str | None, output: Path | None) -> int:
    if output is not None and output.exists():
        told.print(
            f"[red]Error:[/] {output} is there already. Name another file, or remove it.", soft_wrap=True
        )
        return FAILED
    from aligned_dagster.contracts.inferable import infer as inferred

    if told.is_terminal:
        with told.status(f"Reading {source}"):
            text = inferred(source, title)
    else:
        text = inferred(source, title)
    if output is None:
        click.echo(text, nl=False)
        return 0
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    told.print(f"{output} is written. Read it: what it says is what the rows say now.", highlight=False)
    return 0
