"""`contracts.lock`: what the contracts of a project promised when somebody last looked, and every schema version since.

The file lies beside pyproject.toml and belongs into version control. `aligned-dagster lock` writes it, the
definitions read it when they load, and `aligned-dagster diff` holds the contracts against it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligned_dagster.contracts.locked import LockedContract, LockedVersion
from aligned_dagster.errors import ConfigurationError, ContractError
from aligned_dagster.sources import publishing

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

LOCK_FILE = "contracts.lock"
"""The name of the file."""

_FORMAT = 1


@dataclass(frozen=True)
class LockEntry:
    """What the lock knows of one contract.

    Args:
        contract: what it promised when it was locked last.
        versions: every schema version that was locked, in the order of locking.
        removed: the UTC day on which it was found to be gone; None while it is there.
    """

    contract: LockedContract
    versions: tuple[LockedVersion, ...]
    removed: dt.date | None = None

    def to_json(self) -> dict[str, Any]:
        """The stable JSON form."""
        form = self.contract.to_json()
        form["versions"] = [version.to_json() for version in self.versions]
        if self.removed is not None:
            form["removed"] = self.removed.isoformat()
        return form

    @staticmethod
    def from_json(name: str, form: Mapping[str, Any]) -> LockEntry:
        """Read what `to_json` wrote."""
        return LockEntry(
            LockedContract.from_json(name, form),
            tuple(LockedVersion.from_json(item) for item in form["versions"]),
            dt.date.fromisoformat(form["removed"]) if "removed" in form else None,
        )


@dataclass(frozen=True)
class ContractsLock:
    """The content of `contracts.lock`.

    Args:
        entries: name to what is known of a contract, those that are gone included.
    """

    entries: Mapping[str, LockEntry] = field(default_factory=dict)

    @property
    def contracts(self) -> dict[str, LockedContract]:
        """Name to promise of the contracts that were there when it was written."""
        return {name: entry.contract for name, entry in self.entries.items() if entry.removed is None}

    @staticmethod
    def read(path: Path) -> ContractsLock:
        """The lock in a file; an empty one where there is no file.

        Args:
            path: the file, or the directory of the project.

        Raises:
            ConfigurationError: the file is no lock, such as one with merge conflicts in it.
        """
        file = path / LOCK_FILE if path.is_dir() else path
        try:
            text = file.read_text("utf-8")
        except FileNotFoundError:
            return ContractsLock()
        advice = "Mend it, or take the committed one and run `aligned-dagster lock` again."
        try:
            form = json.loads(text)
            if form["format"] != _FORMAT:
                raise ConfigurationError(
                    f"{file} has the format {form['format']!r}, and this version of aligned-dagster reads "
                    f"{_FORMAT}. Upgrade aligned-dagster."
                )
            entries = {name: LockEntry.from_json(name, item) for name, item in form["contracts"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, ContractError) as error:
            raise ConfigurationError(f"{file} cannot be read as a lock: {error!r}. {advice}") from error
        return ContractsLock(entries)

    def write(self, path: Path) -> Path:
        """Write the lock atomically, and return the file. The same lock is always the same text.

        Args:
            path: the file, or the directory of the project.
        """
        file = path / LOCK_FILE if path.is_dir() else path
        staging = publishing.new_staging(file.absolute())
        try:
            (staging / file.name).write_text(self.text, "utf-8")
            publishing.replace_file(staging / file.name, file.absolute())
        finally:
            publishing.remove(staging)
        return file

    @property
    def text(self) -> str:
        """What is in the file: JSON with sorted keys, a line for each fact."""
        contracts = {name: entry.to_json() for name, entry in self.entries.items()}
        form = {"format": _FORMAT, "contracts": contracts}
        return json.dumps(form, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def with_contracts(
        self, views: Iterable[FeatureView[Any]], today: dt.date | None = None
    ) -> ContractsLock:
        """This lock with what the contracts promise now. Nothing that it knows of older versions is lost.

        Args:
            views: all contracts of the project; one that is not among them is marked as removed.
            today: the UTC day that new versions are dated with; the current one if not given.
        """
        day = today or dt.datetime.now(dt.UTC).date()
        entries = dict(self.entries)
        there = {view.name: view for view in views}
        for name, entry in self.entries.items():
            if name not in there and entry.removed is None:
                entries[name] = replace(entry, removed=day)
        for name, view in there.items():
            known = self.entries[name].versions if name in self.entries else ()
            entries[name] = LockEntry(LockedContract.of(view), _with_current(known, view, day))
        return ContractsLock(entries)

    def known_versions(self, view: FeatureView[Any]) -> tuple[str, ...]:
        """The schema versions of a contract in the order of locking; the one that it has now is among them."""
        entry = self.entries.get(view.name)
        known = () if entry is None else tuple(version.version for version in entry.versions)
        return known if view.version in known else (*known, view.version)


def known_versions(view: FeatureView[Any], lock: ContractsLock) -> tuple[str, ...]:
    """See `ContractsLock.known_versions`."""
    return lock.known_versions(view)


def _with_current(
    known: tuple[LockedVersion, ...], view: FeatureView[Any], day: dt.date
) -> tuple[LockedVersion, ...]:
    """The known versions, with the optional and defaulted columns that the current one has by now."""
    first = next((one.date for one in known if one.version == view.version), day)
    current = LockedVersion.of(view, first)
    if any(one.version == view.version for one in known):
        return tuple(current if one.version == view.version else one for one in known)
    return (*known, current)
