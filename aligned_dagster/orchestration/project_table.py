"""The table `[tool.aligned_dagster]` of a pyproject.toml, field by field; whatever is wrong names the file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from aligned_dagster.errors import ConfigurationError, did_you_mean
from aligned_dagster.orchestration.observation_intervals import Every, observation_interval
from aligned_dagster.orchestration.profiles import PROFILE

Automation = Literal["running", "stopped"]
_KNOWN = {
    "assets",
    "automation",
    "contracts",
    "dagster_home",
    "definitions",
    "engine",
    "executor",
    "git",
    "observe_every",
    "profile",
    "profiles",
    "quarantine_days",
    "spark",
    "workspace",
}
_MOST_DAYS = 36_500
EXAMPLE = '[tool.aligned_dagster]\ncontracts = "contracts/*.py"'
"""The least that the table may be."""


def project_table(file: Path) -> dict[str, Any] | None:
    """The table of a file; None where it has none.

    Args:
        file: a pyproject.toml.

    Raises:
        ConfigurationError: it is no TOML.
    """
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is no TOML file: {error}.") from error
    found = content.get("tool", {}).get("aligned_dagster")
    return cast("dict[str, Any] | None", found)


def refuse_unknown_settings(table: Mapping[str, Any], where: str) -> None:
    """Refuse what no setting is.

    Args:
        table: the settings.
        where: they are, for the error.

    Raises:
        ConfigurationError: names the setting, and those that there are.
    """
    for name in table:
        if name not in _KNOWN:
            raise ConfigurationError(
                f"{where} has the unknown setting {name!r}."
                f"{did_you_mean(name, _KNOWN)} Known: {', '.join(sorted(_KNOWN))}."
            )


def globs(table: Mapping[str, Any], setting: str, where: str) -> tuple[str, ...]:
    """A setting that is one glob or some.

    Args:
        table: the settings.
        setting: its name.
        where: they are, for the error.

    Raises:
        ConfigurationError: it is missing or something else.
    """
    found = table.get(setting, [])
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list) or not listed or not all(isinstance(item, str) for item in listed):
        raise ConfigurationError(f"{where} needs {setting}, a glob or a list of globs, as in:\n{EXAMPLE}")
    return tuple(listed)


def quarantine_days(table: Mapping[str, Any], where: str) -> float | None:
    """For how many days rows that were kept aside are kept; None keeps them.

    Args:
        table: the settings.
        where: they are, for the error.

    Raises:
        ConfigurationError: it is no positive number.
    """
    days = table.get("quarantine_days")
    if days is not None and (
        isinstance(days, bool) or not isinstance(days, int | float) or not 0 < days <= _MOST_DAYS
    ):
        raise ConfigurationError(
            f"{where} has quarantine_days = {days!r}; give a positive number of days, as in "
            "quarantine_days = 90, or leave it away to keep the rows."
        )
    return days


def automation(table: Mapping[str, Any], where: str) -> Automation:
    """Whether schedules and sensors are on from the start.

    Args:
        table: the settings.
        where: they are, for the error.

    Raises:
        ConfigurationError: it is neither of the two words.
    """
    found = table.get("automation", "stopped")
    if found not in ("running", "stopped"):
        raise ConfigurationError(f"{where} has automation = {found!r}; use 'running' or 'stopped'.")
    return cast("Automation", found)


def observe_every(table: Mapping[str, Any], where: str) -> Mapping[str, Every]:
    """How often sources are looked at.

    Args:
        table: the settings.
        where: they are, for the error.

    Raises:
        ConfigurationError: it is no table, or a time in it is wrong.
    """
    found = table.get("observe_every", {})
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"{where} has observe_every = {found!r}; make it a table:\n"
            '[tool.aligned_dagster.observe_every]\ndefault = 300\n"raw/flights*" = 3600'
        )
    for name in found:
        try:
            observation_interval(name, found)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from error
    return cast("Mapping[str, Every]", found)


def chosen_profile(table: Mapping[str, Any], where: str) -> str | None:
    """The profile that is used where the environment names none.

    Args:
        table: the settings.
        where: they are, for the error.

    Raises:
        ConfigurationError: it is no name.
    """
    profile = table.get("profile")
    if profile is None or isinstance(profile, str):
        return profile
    raise ConfigurationError(
        f"{where} has profile = {profile!r}; name one of the profiles, or use {PROFILE}."
    )
