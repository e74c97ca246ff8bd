"""Whether a wheel is what is to be published: ``python -m tools.check_wheel WHEEL``. Nothing is installed for it."""

from __future__ import annotations

import re
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = "aligned_dagster"
_RELEASE = re.compile(r"^## \[(\d[^\]]*)\] - (\d{4}-\d{2}-\d{2})$", re.MULTILINE)
_VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")


def problems(wheel: Path, root: Path = ROOT) -> list[str]:
    """What is wrong with a wheel, in sentences; none where it may be published.

    Args:
        wheel: the file.
        root: of the sources that it was built from.
    """
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with zipfile.ZipFile(wheel) as archive:
        damaged = archive.testzip()
        if damaged is not None:
            return [f"{damaged} is damaged."]
        names = set(archive.namelist())
        about = f"{PACKAGE}-{project['version']}.dist-info"
        if f"{about}/METADATA" not in names:
            return [f"It has no {about}/METADATA: it is no wheel of version {project['version']}."]
        metadata = Parser().parsestr(archive.read(f"{about}/METADATA").decode("utf-8"))
        scripts = archive.read(f"{about}/entry_points.txt").decode("utf-8")
    found = _of_files({name for name in names if not name.startswith(f"{about}/")}, root)
    found += _of_metadata(metadata, project)
    found += [
        f"The command {name} is missing." for name in project["scripts"] if f"\n{name} = " not in scripts
    ]
    return found + _of_version(project["version"], (root / "CHANGELOG.md").read_text(encoding="utf-8"))


def _of_files(packed: set[str], root: Path) -> list[str]:
    """Each module, with its types where they have a file, the mark of them, and nothing else."""
    wanted = {
        path.relative_to(root).as_posix()
        for path in (root / PACKAGE).rglob("*")
        if path.is_file() and (path.suffix in {".py", ".pyi"} or path.name == "py.typed")
    }
    missing = [f"{name} is missing." for name in sorted(wanted - packed)]
    return missing + [f"{name} does not belong into it." for name in sorted(packed - wanted)]


def _of_metadata(metadata: Message, project: dict[str, Any]) -> list[str]:
    """What pyproject.toml says is said, and every requirement is one that an index can answer."""
    said = {
        "Name": project["name"],
        "Version": project["version"],
        "Summary": project["description"],
        "Requires-Python": project["requires-python"],
        "License-Expression": project["license"],
        "Description-Content-Type": "text/markdown",
    }
    found = [
        f"{name} is {metadata[name]!r} and should be {value!r}."
        for name, value in said.items()
        if metadata[name] != value
    ]
    extras = set(project["optional-dependencies"]) ^ set(metadata.get_all("Provides-Extra", []))
    found += [f"The extra {extra} is in one of pyproject.toml and METADATA." for extra in sorted(extras)]
    needed = metadata.get_all("Requires-Dist", [])
    found += [f"The requirement {one!r} names a place and no version." for one in needed if " @ " in one]
    if not str(metadata.get_payload()).startswith("# "):
        found.append("It has no description.")
    return found


def _of_version(version: str, changelog: str) -> list[str]:
    """The version is one of semantic versioning, and the latest of the changelog."""
    if not _VERSION.fullmatch(version):
        return [f"{version} is no version such as 1.2.3 or 1.2.3rc1."]
    latest = _RELEASE.search(changelog)
    if latest is None or latest[1] != version:
        told = "names no release" if latest is None else f"has {latest[1]} as the latest release"
        return [f"CHANGELOG.md {told}: add '## [{version}] - YYYY-MM-DD' above it."]
    return []


def main(arguments: list[str]) -> int:
    """Say what is wrong with the wheel of the command line."""
    found = problems(Path(arguments[0]))
    for problem in found:
        sys.stderr.write(f"{arguments[0]}: {problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
