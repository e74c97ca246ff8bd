"""The code of every page of the documentation runs, and the site is built from what is here alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import aligned_dagster
from aligned_dagster import orchestration
from aligned_dagster.orchestration.project_table import _KNOWN as SETTINGS
from aligned_dagster.sources.sql.connection import close_idle_connections
from tests.forking import REPOSITORY, Forks, forks_of
from tests.running_pages import blocks_of, run_page
from tools.servers.azure import AzuriteServer
from tools.servers.redshift import RedshiftServer
from tools.servers.s3 import S3Server

DOCS = REPOSITORY / "docs"
TUTORIAL = sorted(DOCS.glob("tutorial/*.md"))
FETCHED = re.compile(
    r"""(?:\bsrc=|<link\b(?![^>]*rel="?(?:canonical|prev|next|edit))[^>]*\bhref=|\burl\(|@import\s+)["']?([^"'\s>)]+)"""
)
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if page not in TUTORIAL]


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with forks_of("aligned-dagster") as found:
        yield found


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).with_suffix("").as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_code_of_a_page_runs(
    page: Path,
    forks: Forks,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = "".join(block.code for block in blocks_of(page) if block.runs or block.file)
    for name, value in servers_of(code, request).items():
        monkeypatch.setenv(name, value)
    run_page(page, new_folder(tmp_path), forks)


def test_the_tutorial_runs_from_its_first_page_to_its_last(forks: Forks, tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    for page in TUTORIAL:
        run_page(page, folder, forks)


def test_each_setting_of_a_project_is_told() -> None:
    told = re.findall(
        r"^\| `([a-z_]+)` \|", (DOCS / "reference" / "command-line.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(told) == sorted(SETTINGS)


@pytest.mark.parametrize("package", [aligned_dagster, orchestration])
def test_each_public_name_is_in_the_reference(package: ModuleType) -> None:
    pages = "".join(page.read_text("utf-8") for page in DOCS.glob("reference/*.md"))
    told = {*re.findall(rf"^::: {package.__name__}\.(\w+)$", pages, re.MULTILINE)}
    others = {*re.findall(r"^`(\w+)` is another name of", pages, re.MULTILINE)}
    assert sorted({*package.__all__} - told - others) == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site: every warning, such as of a link that leads nowhere, is an error."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_is_in_the_site(site: Path) -> None:
    missing = [name_of(page) for page in DOCS.rglob("*.md") if not (site / f"{name_of(page)}.html").exists()]
    assert missing == []


def test_the_site_asks_nobody_else_for_anything(site: Path) -> None:
    """What a browser fetches by itself: scripts, styles, pictures, fonts. Links that a reader follows are no part of it."""
    asked = [
        (page.name, found)
        for page in [*site.rglob("*.html"), *site.rglob("*.css")]
        for found in FETCHED.findall(page.read_text("utf-8"))
        if re.match(r"(https?:)?//", found)
    ]
    assert asked == []


def new_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def servers_of(code: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables that lead the code to servers of the tests, as far as it names them."""
    found: dict[str, str] = {}
    if "PSQL_DB_URL" in code:
        found["PSQL_DB_URL"] = request.getfixturevalue("postgres_database")
        request.addfinalizer(close_idle_connections)
    if "REDSHIFT_DB_URL" in code:
        cluster: RedshiftServer = request.getfixturevalue("redshift")
        found["REDSHIFT_DB_URL"] = cluster.new_database().replace("postgresql://", "redshift://")
        request.addfinalizer(close_idle_connections)
    if "AWS_ACCESS_TOKEN" in code:
        # Redshift's stand-in copies from the server that checks keys; the other one honours conditional puts.
        store: S3Server = request.getfixturevalue("s3" if "REDSHIFT_DB_URL" in code else "s3_conditional")
        found |= {
            "AWS_ACCESS_TOKEN": store.access_key,
            "AWS_SECRET_TOKEN": store.secret_key,
            "AWS_REGION": store.region,
            "AWS_BUCKET": store.new_bucket(),
            "AWS_ENDPOINT_URL": store.endpoint,
        }
    if "AZURE_ACCOUNT_NAME" in code:
        account: AzuriteServer = request.getfixturevalue("azurite")
        found |= {
            "AZURE_ACCOUNT_NAME": account.account,
            "AZURE_ACCOUNT_KEY": account.key,
            "AZURE_CONTAINER": account.new_container(),
            "AZURE_ENDPOINT_URL": account.endpoint,
        }
    return found
