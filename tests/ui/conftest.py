"""The demo, served by the real command in a directory of its own, and a browser to click through it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Response, ViewportSize, expect, sync_playwright

from .serving import REPOSITORY, Served, demo_project, serving

SCREENSHOTS = REPOSITORY / "tests" / "screenshots"
PATIENCE = 30_000
"""Milliseconds that a text or a button has to appear."""
SIZE: ViewportSize = {"width": 1600, "height": 1000}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=PATIENCE)


_serving = ExitStack()
_urls: list[str] = []


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project of the demo, with its data and Dagster's storage in a temporary directory."""
    yield demo_project(tmp_path_factory.mktemp("ui").resolve())
    _end_serving()


@pytest.fixture(scope="module")
def served(demo: Path) -> Served:
    """The demo after `aligned-dagster run`, served once for the modules that follow each other."""
    if not _urls:
        _urls.append(_serving.enter_context(serving(demo)))
    return Served(_urls[0], demo)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """End the demo after its last test: its daemon takes a good part of a core for as long as it lives."""
    yield
    if not isinstance(nextitem, pytest.Function) or "demo" not in nextitem.fixturenames:
        _end_serving()


def _end_serving() -> None:
    _urls.clear()
    _serving.close()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program; asked for before the demo is started."""
    found = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(found).exists():
        pytest.fail("There is no Chromium for the browser tests: 'make test' installs it.", pytrace=False)
    return found


@pytest.fixture(scope="module")
def browser(chromium: str, served: Served) -> Iterator[BrowserContext]:
    """Chromium; for one module, since the event loop that drives it must not outlast the tests that use it."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        context = launched.new_context(base_url=served.url, viewport=SIZE, locale="en-US", timezone_id="UTC")
        context.set_default_timeout(PATIENCE)
        context.add_init_script("localStorage.setItem('communityNux', '1')")
        yield context
        launched.close()


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A new page, before anything is opened in it; no script in it may fail and no answer may be an error."""
    opened = browser.new_page()
    troubles: list[str] = []

    def note_answer(answer: Response) -> None:
        if answer.status >= 400:
            troubles.append(f"{answer.status} {answer.url}")

    opened.on("pageerror", lambda error: troubles.append(f"error in the page: {error}"))
    opened.on("response", note_answer)
    yield opened
    opened.evaluate("localStorage.clear()")  # such as which groups are expanded
    opened.close()
    assert troubles == []


@pytest.fixture
def shot(page: Page) -> Callable[..., None]:
    """Writes what the page shows to tests/screenshots/NAME.png; `height` makes the window taller for it."""

    def take(name: str, height: int | None = None) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        if height is not None:
            page.set_viewport_size({**SIZE, "height": height})
        page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")
        page.set_viewport_size(SIZE)

    return take
