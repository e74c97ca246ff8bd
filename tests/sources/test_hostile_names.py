"""Names of any kind, on this machine."""

from __future__ import annotations

from typing import Any

import pytest

from aligned_dagster.sources.local import FileSource

from .hostile_names import HostileNames


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return FileSource.directory(tmp_path_factory.mktemp("names"))


class TestOnThisMachine(HostileNames):
    """All of it."""
