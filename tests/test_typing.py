"""What tests/typing/ states for type checkers is so at run time. `make check` has mypy and pyright read the same files."""

from __future__ import annotations

import runpy
import typing
from pathlib import Path
from typing import Any

import pytest

from aligned_dagster.errors import AlignedError
from aligned_dagster.features.feature import Feature
from aligned_dagster.features.numeric import Floating, Integer, Number

STATED = Path(__file__).parent / "typing"
SEVERAL = {Floating, Integer, Number}
"""What stands for one of several types, where the rows decide which: told as that alone."""


@pytest.fixture
def stated(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was stated so far; a statement that is not so fails."""
    seen: list[Any] = []

    def assert_type(value: Any, told: Any) -> Any:
        kind = typing.get_origin(told) or told
        assert isinstance(value, kind), f"{value!r} is no {kind.__name__}"
        if isinstance(value, Feature) and kind not in SEVERAL:
            assert type(value) is kind, f"{value!r} is not exactly a {kind.__name__}"
        seen.append(told)
        return value

    monkeypatch.setattr(typing, "assert_type", assert_type)
    return seen


def test_operators_and_methods_give_the_columns_that_a_type_checker_is_told(stated: list[Any]) -> None:
    runpy.run_path(str(STATED / "operators.py"))
    assert len(stated) > 130


async def test_contracts_and_rows_are_what_a_type_checker_is_told(stated: list[Any]) -> None:
    module = runpy.run_path(str(STATED / "contracts.py"))
    before = len(stated)
    await module["awaited"]()
    assert before > 20 and len(stated) == before + 2


def test_what_a_type_checker_refuses_is_a_mistake_at_run_time() -> None:
    mistakes = runpy.run_path(str(STATED / "mistakes.py"))["mistakes"]
    assert len(mistakes) == 25
    for mistake in mistakes:
        with pytest.raises((AlignedError, AttributeError)):
            mistake()
