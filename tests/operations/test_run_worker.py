"""The process of a run is killed while it publishes."""

from __future__ import annotations

import os
import signal

import dagster as dg

from .deployment import Deployment
from .shop import ALL_REGIONS, amount_of, write_orders


def test_a_killed_run_leaves_old_or_new_rows_and_goes_on_from_its_failure(shop: Deployment) -> None:
    old, new = amount_of(shop.stored("totals")), 20
    write_orders(shop.project, new)
    shop.stop_at(".regions.journal")  # the rows are audited and ready; nothing is published
    first = shop.launch("orders", "regions", "totals", tags=ALL_REGIONS)
    os.kill(shop.until_stopped(), signal.SIGKILL)
    assert shop.until_ended(first) == dg.DagsterRunStatus.FAILURE
    assert [amount_of(shop.stored(name)) for name in ("orders", "regions", "totals")] == [new, old, old]

    shop.stop_at("/regions/", 2)  # one of three partitions is in its place
    second = shop.reexecute(first)
    os.kill(shop.until_stopped(), signal.SIGKILL)
    assert shop.until_ended(second) == dg.DagsterRunStatus.FAILURE
    assert [amount_of(shop.stored(name)) for name in ("orders", "regions", "totals")] == [new, new, old]

    third = shop.reexecute(second)
    assert shop.until_ended(third) == dg.DagsterRunStatus.SUCCESS, shop.said_by(third)
    assert [shop.steps_of(run) for run in (first, second, third)] == [["orders"], [], ["regions", "totals"]]
    assert [amount_of(shop.stored(name)) for name in ("orders", "regions", "totals")] == [new, new, new]
    stored = [path.name for path in (shop.project / "stored").iterdir()]
    assert not [name for name in stored if name.endswith(".journal")], "what was killed is cleared away"
