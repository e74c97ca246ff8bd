"""Projects with a real daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .running import Daemon, environment, running


@pytest.fixture(scope="module")
def daemon() -> Iterator[Callable[..., Daemon]]:
    """Starts a daemon on a project, with further environment variables; it is ended after the module's tests."""
    with ExitStack() as stack:

        def start(project: Path, *arguments: str, **variables: str) -> Daemon:
            named = arguments or ("--module-name", "aligned_dagster.definitions")
            return stack.enter_context(running(project, environment(project, **variables), *named))

        yield start
