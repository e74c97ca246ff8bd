"""What is awaited is a coroutine in all else, and what is called a method."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from aligned_dagster import InMemorySource, Int64, feature_view
from aligned_dagster.errors import NotAwaitedError, NotCalledError


@feature_view(source=InMemorySource.from_values({"order_id": [1, 2]}))
class Sales:
    order_id = Int64().as_entity()


def rows() -> Any:
    return Sales.query().all().to_polars()


async def together() -> list[int]:
    frames = await asyncio.gather(rows(), asyncio.create_task(rows()), asyncio.wait_for(rows(), 10))
    return [frame.height for frame in frames]


def test_the_event_loop_takes_it_in_every_way() -> None:
    assert asyncio.run(together()) == [2, 2, 2]
    assert asyncio.run(rows()).height == 2
    waiting = rows()
    assert inspect.isawaitable(waiting)
    waiting.close()


def test_a_task_of_it_can_be_cancelled() -> None:
    async def cancelled() -> bool:
        task = asyncio.create_task(rows())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert asyncio.run(cancelled())


def test_questions_about_its_kind_leave_it_usable() -> None:
    waiting = rows()
    assert not hasattr(waiting, "cr_code") and not hasattr(waiting, "_repr_html_")
    assert "nobody has awaited" in repr(waiting)
    with pytest.raises(NotAwaitedError):
        waiting.height  # noqa: B018  # the access itself is what fails
    assert asyncio.run(waiting).height == 2


def test_nobody_is_warned_twice(recwarn: pytest.WarningsRecorder) -> None:
    for use in (lambda x: x["order_id"], len, list, lambda x: x.height):
        with pytest.raises(NotAwaitedError, match="await"):
            use(rows())
    assert not recwarn.list


def test_one_that_was_never_used_still_warns() -> None:
    with pytest.warns(RuntimeWarning, match="never awaited"):
        rows()


def test_a_method_is_known_by_its_name_and_signature() -> None:
    query = Sales.query()
    assert str(inspect.signature(query.all)) == "(limit: 'int | None' = None) -> 'RetrievalJob'"
    assert query.all.__name__ == "all" and "All rows" in (inspect.getdoc(query.all) or "")
    assert query.all(1).collect().height == 1
    with pytest.raises(NotCalledError, match=r"all\(\)\.collect"):
        query.all.collect  # noqa: B018  # the access itself is what fails
    assert not hasattr(query.all, "collect")
