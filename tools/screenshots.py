"""Take the pictures of the docs from the real UI: ``python -m tools.screenshots [--url URL] [NAME ...]``.

Materialises the demo in a temporary directory, serves it, and writes docs/pictures/NAME.png with headless Chromium. With
--url the UI of a demo that is served already is taken.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, Playwright, ViewportSize, expect, sync_playwright

from aligned_dagster.errors import did_you_mean

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURES = REPOSITORY / "docs" / "pictures"
LARGEST = 200_000
"""The most bytes of a picture."""
STARTS_WITHIN = 900.0
PATIENCE = 30_000
SIZE: ViewportSize = {"width": 1440, "height": 900}
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

Shot = Callable[[Page], Locator | FloatRect | None]
"""Brings a page to where it is to be pictured; an element or a part of the page that it returns is pictured alone."""


def graph(page: Page) -> FloatRect:
    """The graph of all assets."""
    page.set_viewport_size({"width": 2000, "height": 1700})
    page.goto("/asset-groups")
    nodes = page.locator("foreignObject")
    expect(nodes.get_by_text("contracts", exact=True)).to_be_visible()
    page.get_by_text("Hide navigation").click()
    page.keyboard.press("Alt+e")
    expect(nodes.get_by_text("departures", exact=True)).to_be_visible()
    for _ in range(3):
        page.get_by_role("img", name="zoom_out").click()
    _settled(page)
    drawn = [box for node in nodes.all() if (box := node.bounding_box())]
    left, top = min(box["x"] for box in drawn) - 20, min(box["y"] for box in drawn) - 20
    right = max(box["x"] + box["width"] for box in drawn) + 20
    bottom = max(box["y"] + box["height"] for box in drawn) + 20
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def lineage(page: Page) -> None:
    """What a contract is made of, with the state of each."""
    page.set_viewport_size({"width": 1440, "height": 800})
    page.goto("/assets/departures?view=lineage")
    page.get_by_text("12 / 13 Passed").wait_for()


def asset(page: Page) -> None:
    """The page of a contract: its columns with types, descriptions and rules."""
    page.goto("/assets/weather")
    page.get_by_text("Hourly readings at the three airports of New York City").wait_for()
    page.get_by_role("cell", name="wind_speed").first.wait_for()


def profile(page: Page) -> Locator:
    """The profile of a materialisation, in place."""
    page.set_viewport_size({"width": 1440, "height": 2400})
    page.goto("/assets/departures?view=events")
    return _value(page, "profile")


def profile_plots(page: Page) -> Locator:
    """The distributions of all columns, on a click."""
    page.set_viewport_size({"width": 1440, "height": 1600})
    page.goto("/assets/weather?view=events")
    return _opened(page, "profile_plots")


def checks(page: Page) -> None:
    """A check with the rows that break it."""
    page.goto("/assets/weather?view=checks&checkDetail=wind_speed__upper_bound")
    page.get_by_text("wind_speed must be at most 253: 1 of 26,115 rows break it").first.wait_for()
    page.get_by_text("failing_rows", exact=True).first.wait_for()


def partitions(page: Page) -> None:
    """The partitions of a contract and what one of them holds."""
    page.goto("/assets/monthly_carriers?view=partitions")
    page.get_by_text("2013-11-01", exact=True).first.click()
    page.get_by_text("partitions_there", exact=True).first.wait_for()


def coverage(page: Page) -> Locator:
    """Which partitions there are, in a grid of months and airports."""
    page.set_viewport_size({"width": 1440, "height": 2400})
    page.goto("/assets/monthly_weather?view=events")
    return _opened(page, "coverage")


def feature_ages(page: Page) -> Locator:
    """How old the features of a training set were."""
    page.set_viewport_size({"width": 1440, "height": 2400})
    page.goto("/assets/delay_training?view=events")
    return _opened(page, "run_feature_ages")


def model(page: Page) -> None:
    """What became of a model's predictions."""
    page.set_viewport_size({"width": 1440, "height": 1300})
    page.goto("/assets/departure_delay?view=checks&checkDetail=evaluation")
    page.get_by_text("calibration_plot", exact=True).first.wait_for()


def automation(page: Page) -> None:
    """Schedules and sensors."""
    page.set_viewport_size({"width": 1440, "height": 400})
    page.goto("/automation")
    page.get_by_role("textbox", name="Search and filter automations").wait_for()


def resources(page: Page) -> None:
    """An IO manager, which says what it reads."""
    page.set_viewport_size({"width": 1440, "height": 520})
    page.goto("/deployment")
    page.locator("a[href^='/locations/']").first.click()
    page.get_by_role("tab", name="Definitions").click()
    page.locator("a[href$='/resources']").first.click()
    page.get_by_role("link", name="parquet_io_manager").first.click()
    page.get_by_text("Reads the rows of").first.wait_for()


SHOTS: dict[str, Shot] = {
    shot.__name__: shot
    for shot in (
        graph,
        lineage,
        asset,
        profile,
        profile_plots,
        checks,
        partitions,
        coverage,
        feature_ages,
        model,
        automation,
        resources,
    )
}


def main(arguments: list[str]) -> int:
    """Take the pictures of these names; all if none is given."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SHOTS))
    parser.add_argument("--url", help="of a demo that is served already")
    given = parser.parse_args(arguments)
    for name in given.names:
        if name not in SHOTS:
            parser.error(f"There is no picture {name!r}.{did_you_mean(name, SHOTS)}")
    names = given.names or list(SHOTS)
    if given.url is not None:
        return take(names, given.url)
    with (
        tempfile.TemporaryDirectory(prefix="aligned-demo-") as folder,
        serving(Path(folder).resolve()) as url,
    ):
        return take(names, url)


def take(names: list[str], url: str) -> int:
    """Take pictures of a UI; 1 if one of them is too large.

    Args:
        names: of the pictures.
        url: of the UI.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    large = []
    with sync_playwright() as playwright:
        for name in names:
            picture = _taken(playwright, SHOTS[name], url)
            (PICTURES / f"{name}.png").write_bytes(picture)
            sys.stdout.write(f"docs/pictures/{name}.png  {len(picture):,} bytes\n")
            large += [name] * (len(picture) > LARGEST)
    if large:
        sys.stderr.write(f"Larger than {LARGEST:,} bytes: {', '.join(large)}. Picture less of the page.\n")
    return int(bool(large))


@contextmanager
def serving(project: Path) -> Iterator[str]:
    """The address of the UI of the demo, materialised in an empty folder; its processes end with the block."""
    _demo_project(project)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {**os.environ, "ALIGNED_PROJECT": str(project), "DAGSTER_HOME": str(project / "dagster_home")}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    log = project / "run.log"
    with log.open("wb") as output:
        command = subprocess.Popen(
            [sys.executable, "-m", "aligned_dagster.cli", "run", "--port", str(port)],
            cwd=project,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(url, command, log)
        yield url
    finally:
        command.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            command.wait(60)
        command.kill()
        command.wait()


def _demo_project(folder: Path) -> None:
    """A project with the demo's contracts and its model; what it stores is below the folder."""
    demo = os.path.relpath(REPOSITORY / "aligned_dagster" / "demo", folder)
    (folder / "pyproject.toml").write_text(
        f'[tool.aligned_dagster]\ncontracts = "{demo}/contracts/**/*.py"\nassets = "{demo}/training.py"\n',
        "utf-8",
    )
    shutil.copy(REPOSITORY / "workspace.yaml", folder)
    (folder / "dagster_home").mkdir()
    shutil.copy(REPOSITORY / "dagster_home" / "dagster.yaml", folder / "dagster_home")


def _wait_until_up(url: str, command: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        told = log.read_text("utf-8", "replace")
        if command.poll() is not None:
            raise SystemExit(f"'aligned-dagster run' ended with code {command.returncode}:\n{told}")
        if "The Dagster UI is at" in told and _answers(f"{url}/server_info"):
            return
        time.sleep(0.5)
    raise SystemExit(f"No UI at {url} within {STARTS_WITHIN:.0f} s:\n{log.read_text('utf-8', 'replace')}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _taken(playwright: Playwright, shot: Shot, url: str) -> bytes:
    """The PNG of a page, in as few colours as show it well."""
    program = shutil.which("chromium") or "/usr/bin/chromium"
    browser = playwright.chromium.launch(executable_path=program, headless=True, args=FLAGS)
    context = browser.new_context(
        base_url=url, viewport=SIZE, locale="en-US", timezone_id="UTC", color_scheme="light"
    )
    context.set_default_timeout(PATIENCE)
    context.add_init_script("localStorage.setItem('communityNux', '1')")
    page = context.new_page()
    part = shot(page)
    _settled(page)
    if isinstance(part, Locator):
        drawn = part.screenshot(animations="disabled")
    else:
        drawn = page.screenshot(animations="disabled", clip=part)
    browser.close()
    few = Image.open(io.BytesIO(drawn)).convert("RGB").quantize(192, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    few.save(packed, "PNG", optimize=True)
    return packed.getvalue()


def _value(page: Page, name: str) -> Locator:
    """What stands beside the name of a metadata entry."""
    cell = page.get_by_role("cell", name=name, exact=True).first
    cell.wait_for()
    return page.get_by_role("row").filter(has=cell).first


def _opened(page: Page, name: str) -> Locator:
    """The image of a metadata entry, which a click opens."""
    _value(page, name).get_by_text("[Show Markdown]").click()
    image = page.get_by_role("dialog").get_by_role("img").last
    image.wait_for()
    return image


def _settled(page: Page) -> None:
    """Wait until nothing is loaded any more and the colours are there."""
    page.wait_for_load_state("networkidle")
    expect(page.get_by_text("Loading", exact=False)).to_have_count(0)
    page.wait_for_timeout(1_000)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
