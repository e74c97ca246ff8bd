"""Common mistakes of a newcomer, each made as he would make it: what is wrong, where, which value, and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aligned_dagster import Int64, PostgreSQLConfig, errors, feature_view
from aligned_dagster.sources.sql.connection import close_idle_connections
from tests.mistakes.mistake import Mistake, Told, made_in
from tests.mistakes.page import MISTAKES, PAGE, page, said
from tools.servers.postgres import PostgresServer

_OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[Mistake, tuple[Told, Path]]:
    """Each mistake, made once, with what was said of it."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for variable in (
            "SHOP_DATABASE_URL",
            "ALIGNED_PROJECT",
            "ALIGNED_PROJECT_ROOT",
            "ALIGNED_PROFILE",
            "DAGSTER_HOME",
        ):
            patch.delenv(variable, raising=False)
        patch.setenv("COLUMNS", "200")
        for mistake in MISTAKES:
            folder = tmp_path_factory.mktemp("shop").resolve()
            found[mistake] = made_in(mistake, folder), folder
        os.environ.pop("SHOP_DATABASE_URL", None)  # one of them sets it
    return found


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.title)
def test_a_mistake_is_told(mistake: Mistake, made: dict[Mistake, tuple[Told, Path]]) -> None:
    told, folder = made[mistake]
    assert told.kind == mistake.error
    assert [part for part in mistake.says if part not in told.message] == []
    if mistake.wrong_line is not None and told.kind != "ImportError":
        assert told.message.rstrip().endswith(f"({folder / 'contracts.py'}:{mistake.wrong_line})")
    assert told.noise == (1 if mistake.needs_cause else 0), (
        "another traceback stands above the one that helps"
    )


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.title)
def test_a_message_is_one_of_ours_and_short(mistake: Mistake, made: dict[Mistake, tuple[Told, Path]]) -> None:
    told, _ = made[mistake]
    if told.kind not in {"", "ImportError"}:  # which is what Python asks of a package
        assert "AlignedError" in told.kinds and told.kind in _OURS
    assert "hunter2" not in told.message
    assert "pydantic" not in told.message and "polars.exceptions" not in told.message
    assert len(told.message) < 750


def test_forty_mistakes_are_made() -> None:
    assert len(MISTAKES) >= 40
    assert len({mistake.title for mistake in MISTAKES}) == len(MISTAKES)


def test_the_page_shows_what_is_said(made: dict[Mistake, tuple[Told, Path]]) -> None:
    shown = page({mistake: said(mistake, told, folder) for mistake, (told, folder) in made.items()})
    assert PAGE.read_text("utf-8") == shown, "run: python -m tests.mistakes.page"


def test_wrong_credentials_are_told_without_them(
    postgres: PostgresServer,
    postgres_database: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """That of a server which really refuses: no page could show it, as its port differs."""
    address = postgres_database.partition("@")[2]
    monkeypatch.setenv("SHOP_DATABASE_URL", f"postgresql://nobody:hunter2@{address}")
    request.addfinalizer(close_idle_connections)

    @feature_view(source=PostgreSQLConfig(env_var="SHOP_DATABASE_URL").table("orders"))
    class Sales:
        order_id = Int64().as_entity()

    with pytest.raises(errors.ConfigurationError, match="SHOP_DATABASE_URL") as caught:
        Sales.query().all().collect()
    assert "refuses the login" in str(caught.value)
    assert "Check the user and the password" in str(caught.value)
    assert "hunter2" not in str(caught.value)
