"""What mkdocs does beyond its settings: pages that are files of the root, and the help of the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
INCLUDED = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages whose text is a file at the root, where its links are relative to the root."""

MESSAGES = "errors.md"
"""The page whose outputs are sentences: they are wrapped, where tables are not."""

COMMANDS = re.compile(r"<!-- commands: .* -->")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Put in the page what is written elsewhere.

    Args:
        markdown: of the page.
        page: of mkdocs.
    """
    root = INCLUDED.get(page.file.src_uri)
    if root is not None:
        return included((ROOT / root).read_text("utf-8"))
    if page.file.src_uri == MESSAGES:
        return markdown.replace("\n```text\n", "\n``` {.text .wrapped}\n")
    return COMMANDS.sub(lambda _: helps(), markdown)


def included(text: str) -> str:
    """The text of a file of the root, whose links lead to pages of the site."""
    for uri, name in INCLUDED.items():
        text = text.replace(f"]({name}", f"]({uri}")
    return re.sub(r"\]\((?:\./)?docs/", "](", text)


def helps() -> str:
    """What `--help` of each command prints, with a heading for each."""
    from click import Command, Context, Group

    from aligned_dagster.cli import main

    def sections(command: Command, context: Context, depth: int) -> list[str]:
        name = context.command_path
        if isinstance(command, Group):
            found = [(sub, command.get_command(context, sub)) for sub in command.list_commands(context)]
            inner = [
                sections(each, Context(each, parent=context, info_name=sub), depth + 1)
                for sub, each in found
                if each is not None
            ]
            own = [f"{'#' * depth} {name}\n\n```text\n{command.get_help(context)}\n```"] if depth > 2 else []
            return [*own, *(text for texts in inner for text in texts)]
        return [f"{'#' * depth} {name}\n\n```text\n{command.get_help(context)}\n```"]

    context = Context(main, info_name="aligned-dagster", max_content_width=100)
    return "\n\n".join(sections(main, context, 2))
