"""The demo on DuckDB and on Spark: every table is equal to that of polars."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aligned_dagster import ContractStore, publish
from aligned_dagster.contracts.publish import Publication
from aligned_dagster.features.engines.names import Engine
from aligned_dagster.sources.local_location import PROJECT_ROOT
from tests.engines.conftest import SPARK

ROOT = Path(__file__).parents[2]
ORDER = (
    "airlines", "airports", "weather", "planes", "flights", "congestion", "departures", "carrier_summary",
    "recent_delays", "monthly_carriers", "monthly_weather", "delay_training",
)  # fmt: skip

Made = dict[str, tuple[Publication, pl.DataFrame]]


def made(directory: Path, engine: Engine) -> Made:
    """Each table of the demo, published on an engine into a directory of its own."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv(PROJECT_ROOT, str(directory))
        changed.delenv("DEMO_STORAGE", raising=False)
        store = ContractStore.discover(ROOT / "aligned_dagster" / "demo" / "contracts")
        store = store.with_engine(engine, spark=SPARK)
        found: Made = {}
        for name in ORDER:
            publication = publish(store.view(name), run_id="run")
            assert (publication.engine, publication.audited_on) == (engine, engine)
            found[name] = publication, store.view(name).read().collect()
        return found


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """What polars makes of the demo."""
    return made(tmp_path_factory.mktemp("polars"), "polars")


def compared(ours: Made, truth: Made, engine: Engine) -> Iterator[str]:
    """Make sure that each table is equal, and tell so."""
    for name, (publication, rows) in ours.items():
        expected, expected_rows = truth[name]
        keys = [column for column, dtype in expected_rows.schema.items() if not dtype.is_nested()]
        assert_frame_equal(rows.sort(keys), expected_rows.sort(keys), rel_tol=1e-9, abs_tol=1e-9)
        assert [(o.name, o.rows, o.broken) for o in publication.report.outcomes] == [
            (o.name, o.rows, o.broken) for o in expected.report.outcomes
        ]
        assert publication.rows == expected.rows
        yield f"{name}: {rows.height:,} rows x {rows.width} columns, equal on {engine} and polars\n"


@pytest.mark.parametrize("engine", ["duckdb", "spark"])
def test_every_table_of_the_demo_is_that_of_polars(
    engine: Engine, truth: Made, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if engine == "spark":
        request.getfixturevalue("spark")
    sys.stdout.writelines(compared(made(tmp_path, engine), truth, engine))
    assert truth["flights"][0].rows == 336_776
