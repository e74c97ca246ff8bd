from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from aligned_dagster.sources.exposed import batches

from .model_server import ModelServer, model_server


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A web service that doubles x, unless a test says otherwise."""
    with model_server() as running:
        yield running


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses before new tries, which are not waited for."""
    waited: list[float] = []
    # Other threads sleep as ever.
    monkeypatch.setattr(batches, "time", SimpleNamespace(sleep=waited.append))
    return waited
