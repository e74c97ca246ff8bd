"""The contracts are upgraded between a run that died and its re-execution; Dagster's storage opens again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import dagster as dg
import polars as pl

from .deployment import Deployment
from .shop import ALL_REGIONS, REGIONS, amount_of, write_orders

TOTALS = """class Totals:
    id = Int64().as_entity()
    amount = Int64()
    doubled = amount * 2
"""
PRICES = """class Prices:
    id = Int64().as_entity()
    amount = Int64()
"""


def test_a_run_that_died_is_re_executed_with_upgraded_contracts(shop: Deployment) -> None:
    old, new = amount_of(shop.stored("totals")), 40
    version = shop.view("prices").version
    write_orders(shop.project, new)
    run = killed_at("/totals.parquet", shop, "orders", "regions", "totals", **ALL_REGIONS)
    versioned = killed_at("/prices.parquet", shop, "prices", **{"dagster/partition": version})
    stored = shop.project / "stored"
    [kept] = stored.rglob("prices.parquet")
    before = kept.read_bytes()

    shop.stop()
    storage = {path: path.read_bytes() for path in shop.home.rglob("*.db")}
    migrated = subprocess.run(
        [sys.executable, "-m", "dagster", "instance", "migrate"],
        env=shop.environ,
        check=False,
        capture_output=True,
        text=True,
    )
    assert migrated.returncode == 0, migrated.stderr
    assert {path: path.read_bytes() for path in shop.home.rglob("*.db")} == storage, "there was nothing to do"
    upgrade(shop, TOTALS, TOTALS.replace("* 2", "* 3") + "    region = String()\n")
    upgrade(shop, PRICES, PRICES + "    region = String()\n")
    shop.start_web()
    shop.start_daemon()

    assert amount_of(pl.read_parquet(stored / "totals.parquet")) == old
    again, refused = shop.reexecute(run), shop.reexecute(versioned)
    assert shop.until_ended(again) == dg.DagsterRunStatus.SUCCESS, shop.said_by(again)
    totals = pl.read_parquet(stored / "totals.parquet")
    assert amount_of(totals) == new
    assert totals["doubled"].unique().to_list() == [3 * new]
    assert set(totals["region"]) == set(REGIONS)
    assert shop.until_ended(refused) == dg.DagsterRunStatus.FAILURE
    assert f"'{version}' is none of its schema versions" in shop.said_by(refused)
    assert "Materialise the current one" in shop.said_by(refused)
    assert kept.read_bytes() == before


def killed_at(place: str, shop: Deployment, *assets: str, **tags: str) -> str:
    """A run that was killed when it was about to publish there."""
    shop.stop_at(place)
    run = shop.launch(*assets, tags=tags)
    os.kill(shop.until_stopped(), signal.SIGKILL)
    assert shop.until_ended(run) == dg.DagsterRunStatus.FAILURE
    return run


def upgrade(shop: Deployment, was: str, is_now: str) -> None:
    """Change the contracts as a new release of the project does."""
    file = shop.project / "contracts.py"
    text = file.read_text("utf-8")
    assert was in text
    file.write_text(text.replace(was, is_now), "utf-8")
