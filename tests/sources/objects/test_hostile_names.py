"""Names of any kind, in S3 and in Azure."""

from __future__ import annotations

import pytest

from tools.servers.proxy import CountingProxy

from ..hostile_names import HostileNames
from .conftest import Config


@pytest.fixture(scope="module")
def place(both: tuple[Config, Config, CountingProxy]) -> Config:
    return both[0]


class TestInStores(HostileNames):
    """All of it."""
