"""Links from assets to the lines of their contracts in a git repository, in place of files of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from aligned_dagster.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    import dagster as dg

_FIELDS = ("url", "branch", "root")


@dataclass(frozen=True)
class GitLinks:
    """Where the code of a project is kept.

    Args:
        url: of the repository at GitHub or GitLab, such as https://github.com/shop/contracts.
        branch: that is linked to.
        root: the project's directory in the repository.
        project: the project's directory on this machine.
    """

    url: str
    branch: str = "main"
    root: str = ""
    project: Path = Path()

    @staticmethod
    def of(table: Any, where: str, project: Path) -> GitLinks:
        """The setting `git`: a URL, or a table with `url`, `branch` and `root`.

        Args:
            table: what is in the file.
            where: the file, for errors.
            project: the project's directory on this machine.

        Raises:
            ConfigurationError: it is something else, or the URL has a password in it.
        """
        fields = {"url": table} if isinstance(table, str) else table
        if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
            raise ConfigurationError(
                f'git of {where} must be a URL, or a table: git = {{url = "...", branch = "main"}}.'
            )
        for name in fields:
            if name not in _FIELDS:
                raise ConfigurationError(
                    f"git of {where} has the unknown field {name!r}.{did_you_mean(name, _FIELDS)} Known: {', '.join(_FIELDS)}."
                )
        parts = urlsplit(fields.get("url", ""))
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ConfigurationError(
                f"git of {where} needs the address of the repository in a browser, without user and password, as in "
                'git = "https://github.com/shop/contracts".'
            )
        if "gitlab" not in parts.hostname and "github" not in parts.hostname:
            raise ConfigurationError(
                f"git of {where} must be a repository at GitHub or GitLab, which {parts.hostname} is not."
            )
        return GitLinks(**fields, project=project)


def linked_to_git(assets: Sequence[dg.AssetsDefinition], git: GitLinks) -> list[dg.AssetsDefinition]:
    """The assets, whose references to files of the project lead to the repository.

    Args:
        assets: those that refer to files elsewhere, such as in an installed package, stay what they are.
        git: the repository.
    """
    import dagster as dg

    from aligned_dagster.orchestration.previews import accepted_previews

    file = git.project / "pyproject.toml"
    with accepted_previews():
        mapping = dg.AnchorBasedFilePathMapping(
            local_file_anchor=file,
            file_anchor_path_in_repository=(PurePosixPath(git.root) / file.name).as_posix(),
        )
        linked = [
            dg.link_code_references_to_git([asset], git.url.rstrip("/"), git.branch, mapping)[0]
            if _is_in(git.project, asset)
            else asset
            for asset in assets
        ]
    return cast("list[dg.AssetsDefinition]", linked)


def _is_in(project: Path, asset: dg.AssetsDefinition) -> bool:
    told = [metadata.get("dagster/code_references") for metadata in asset.metadata_by_key.values()]
    files = [
        Path(one.file_path)
        for value in told
        if value
        for one in value.code_references
        if hasattr(one, "file_path")
    ]
    return all(file.is_relative_to(project) for file in files)
