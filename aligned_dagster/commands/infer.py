"""`aligned-dagster infer`: a contract from the rows of a source."""

from __future__ import annotations

from pathlib import Path

import click

from aligned_dagster.commands.terminal import json_option, write_answer


@click.command(
    short_help="A contract from the rows of a source.",
    epilog="\b\nExamples:\n  aligned-dagster infer sales.csv\n"
    "  aligned-dagster infer data/credits --name Credit --output contracts/credit.py\n"
    "  aligned-dagster infer postgresql:SHOP_URL:public.orders\n"
    "  aligned-dagster infer 's3://lake/raw/orders.parquet?region_env=AWS_REGION'",
)
@click.argument("source")
@click.option("--name", "title", metavar="CLASS", help="Name of the contract's class, as in Sales.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="A new file for the contract."
)
@json_option
def infer(source: str, title: str | None, output: Path | None, as_json: bool) -> None:
    """Write a contract from the rows of SOURCE: types, nullability, entity, event timestamp, suggested rules.

    SOURCE is a CSV or Parquet file, a directory of partitions such as country=norway, s3://bucket/key,
    azure://container/blob, or postgresql:ENV_VAR:schema.table, where the variable holds the address of the database. The
    contract keeps what it says on these rows; its bounds and accepted values are suggestions, which only warn.

    Ends with 0 when the contract is written, 1 when the source cannot be read or the file is there already.
    """

    def text() -> str:
        from aligned_dagster.contracts.inferable import infer as inferred

        return inferred(source, title)

    words = "Read it: what it says is what the rows say now."
    raise SystemExit(write_answer(as_json, output, text, words, f"Reading {source}"))
