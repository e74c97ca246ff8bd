"""The command line: `aligned-dagster`, whose commands are the modules of `aligned_dagster.commands`."""

from __future__ import annotations

import click

from aligned_dagster.commands.check import check
from aligned_dagster.commands.completion import completion
from aligned_dagster.commands.export import export
from aligned_dagster.commands.group import Commands
from aligned_dagster.commands.import_contracts import import_contracts
from aligned_dagster.commands.infer import infer
from aligned_dagster.commands.init import init
from aligned_dagster.commands.list_contracts import list_contracts
from aligned_dagster.commands.lock import diff, lock
from aligned_dagster.commands.quarantine import quarantine
from aligned_dagster.commands.query import query
from aligned_dagster.commands.run import dummy, materialize, run
from aligned_dagster.commands.show import show


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n  aligned-dagster init shop\n  aligned-dagster infer sales.csv\n"
    '  eval "$(aligned-dagster completion bash)"',
)
@click.version_option(package_name="aligned-dagster")
def main() -> None:
    """Contracts on data, run by Dagster.

    Every command ends with 0 when all is well, 1 when something is wrong, 2 on a wrong option or argument, 130 on Ctrl-C.
    With --json a command prints JSON and nothing else on standard output: {"error": "..."} where it cannot answer,
    a wrong option or argument included.
    """


for command in (
    check,
    completion,
    diff,
    dummy,
    export,
    import_contracts,
    infer,
    init,
    list_contracts,
    lock,
    materialize,
    quarantine,
    query,
    run,
    show,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
