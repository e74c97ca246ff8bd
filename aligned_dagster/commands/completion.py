"""`aligned-dagster completion`: the script that makes a shell complete commands, options and contracts."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

NAME = "aligned-dagster"
VARIABLE = "_ALIGNED_DAGSTER_COMPLETE"


@click.command(
    short_help="A script by which your shell completes.",
    epilog='\b\nExamples:\n  eval "$(aligned-dagster completion bash)"     # in ~/.bashrc\n'
    '  eval "$(aligned-dagster completion zsh)"      # in ~/.zshrc\n'
    "  aligned-dagster completion fish > ~/.config/fish/completions/aligned-dagster.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script by which SHELL completes commands, options and the names of contracts.

    Ends with 0.
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    main = click.get_current_context().find_root().command
    script = found(main, {}, NAME, VARIABLE)
    click.echo(script.source_template % script.source_vars())
