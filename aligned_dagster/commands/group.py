"""The group of all commands, whose wrong usage is JSON too where JSON is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click


class Commands(click.Group):
    """A group that tells a wrong option or argument as `{"error": "..."}` beside `--json`, and ends with 2 as ever."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """See `click.Group.main`; the usage stays on standard error."""
        given = list(sys.argv[1:] if args is None else args)
        if "--json" not in given or not extra.get("standalone_mode", True):
            return super().main(args, *rest, **extra)
        try:
            code = super().main(given, *rest, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            from aligned_dagster.commands.terminal import print_json

            error.show()
            print_json({"error": error.format_message()})
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)
