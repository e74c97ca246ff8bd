"""What the web server says is stale, of a project whose contracts and files change while it is served."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .serving import environ, serving

SALES = "id,shop,sold_at,price\n1,north,2024-01-01T08:00:00Z,10.5\n2,south,2024-01-02T08:00:00Z,7\n"
SHOPS = "shop,town\nnorth,Tromsø\nsouth,Oslo\n"
CONTRACTS = '''
from aligned_dagster import Bool, EventTimestamp, FileSource, Float, Int32, String, feature_view


@feature_view(source=FileSource.csv_at("shops.csv"), materialized_source=FileSource.parquet_at("stored/shops.parquet"))
class Shop:
    """Where the shops are."""

    shop = String().as_entity()
    town = String()


@feature_view(source=FileSource.csv_at("sales.csv"), materialized_source=FileSource.parquet_at("stored/sales.parquet"))
class Sale:
    """What was sold."""

    id = Int32().as_entity()
    sold_at = EventTimestamp()
    shop = String()
    price = Float().lower_bound(0)
    taxed = price * 1.25


@feature_view(source=Sale)
class Size:
    """How much was sold; computed when it is read."""

    id = Int32().as_entity()
    sold_at = EventTimestamp()
    price = Float()
    is_large = price > 5


@feature_view(source=Size, materialized_source=FileSource.parquet_at("stored/reports.parquet"))
class Report:
    """Behind a view that is not stored."""

    id = Int32().as_entity()
    sold_at = EventTimestamp()
    is_large = Bool()
    is_small = ~is_large


@feature_view(source=FileSource.csv_at("sales.csv"))
class RawSale:
    """The file itself."""

    id = Int32().as_entity()
    price = Float()


@feature_view(source=RawSale, materialized_source=FileSource.parquet_at("stored/copies.parquet"))
class Copy:
    """Behind a view of the file that is not stored."""

    id = Int32().as_entity()
    price = Float()
'''
GRAPH = "{ assetNodes { assetKey { path } staleStatus staleCauses { reason category dependency { path } } } }"
RELOAD = 'mutation { reloadRepositoryLocation(repositoryLocationName: "shops") { __typename } }'
OBSERVED = ("raw/sales.csv", "raw/shops.csv")


@dataclass(frozen=True)
class Shops:
    """A project that is served."""

    root: Path
    url: str

    def ask(self, query: str) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}/graphql",
            data=json.dumps({"query": query}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            said: dict[str, Any] = json.load(answer)
        assert "errors" not in said, said
        data: dict[str, Any] = said["data"]
        return data

    def stale(self) -> dict[str, set[str]]:
        """What is not fresh, with the reasons."""
        nodes = self.ask(GRAPH)["assetNodes"]
        assert len(nodes) == 8
        return {
            "/".join(node["assetKey"]["path"]): {cause["reason"] for cause in node["staleCauses"]}
            for node in nodes
            if node["staleStatus"] != "FRESH"
        }

    def write(self, text: str) -> None:
        """Other contracts, which the web server loads anew."""
        (self.root / "contracts" / "shops.py").write_text(text, "utf-8")
        assert self.ask(RELOAD)["reloadRepositoryLocation"]["__typename"] == "WorkspaceLocationEntry"

    def materialize(self, *keys: str) -> None:
        select = ["--select", ",".join(keys)] if keys else []
        ran = subprocess.run(
            [sys.executable, "-m", "aligned_dagster.cli", "materialize", *select],
            cwd=self.root,
            env=environ(self.root),
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def served_shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shops]:
    root = tmp_path_factory.mktemp("shops").resolve()
    for folder in ("contracts", "stored", "dagster_home"):
        (root / folder).mkdir()
    (root / "pyproject.toml").write_text('[tool.aligned_dagster]\ncontracts = "contracts/*.py"\n', "utf-8")
    (root / "workspace.yaml").write_text(
        "load_from:\n  - python_module:\n      module_name: aligned_dagster.definitions\n      location_name: shops\n",
        "utf-8",
    )
    (root / "dagster_home" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", "utf-8")
    (root / "contracts" / "shops.py").write_text(CONTRACTS, "utf-8")
    (root / "sales.csv").write_text(SALES, "utf-8")
    (root / "shops.csv").write_text(SHOPS, "utf-8")
    with serving(root) as url:
        yield Shops(root, url)


@pytest.fixture
def shops(served_shops: Shops) -> Iterator[Shops]:
    """The project with everything fresh; contracts and files are as they were afterwards."""
    assert served_shops.stale() == {}
    yield served_shops
    (served_shops.root / "sales.csv").write_text(SALES, "utf-8")
    served_shops.write(CONTRACTS)
    if served_shops.stale():
        served_shops.materialize()


def test_a_contract_that_is_only_written_otherwise_is_not_stale(shops: Shops) -> None:
    other = (
        CONTRACTS.replace('"""What was sold."""', '"""All that was ever sold."""')
        .replace(
            "    taxed = price * 1.25\n", "\n    # with tax\n    taxed = (\n        price * 1.25\n    )\n"
        )
        .replace("id = Int32().as_entity()", 'id = Int32().as_entity().description("Number")')
        .replace(
            "source=FileSource.csv_at(",
            "acceptable_freshness=timedelta(days=9_999),\n    source=FileSource.csv_at(",
        )
    )
    shops.write("from datetime import timedelta\n\n\n" + other)

    assert shops.stale() == {}


def test_a_changed_derivation_makes_its_contract_stale_and_no_other(shops: Shops) -> None:
    shops.write(CONTRACTS.replace("price * 1.25", "price * 1.255"))

    assert shops.stale() == {"sale": {"has a new code version"}}

    shops.materialize("sale")
    assert shops.stale() == {"report": {"has a new materialization"}}


def test_a_changed_constraint_makes_its_contract_stale(shops: Shops) -> None:
    shops.write(CONTRACTS.replace("town = String()", "town = String().min_length(2)"))

    assert shops.stale() == {"shop": {"has a new code version"}}


def test_a_raw_file_whose_bytes_did_not_change_makes_nothing_stale(shops: Shops) -> None:
    os.utime(shops.root / "sales.csv")

    shops.materialize(*OBSERVED)

    assert shops.stale() == {}


def test_a_raw_file_that_changed_reaches_its_readers_through_views_that_are_not_stored(shops: Shops) -> None:
    (shops.root / "sales.csv").write_text(SALES + "3,north,2024-01-03T08:00:00Z,9\n", "utf-8")

    shops.materialize(*OBSERVED)
    assert shops.stale() == {
        "sale": {"has a new data version"},
        "copy": {"has a new materialization"},
    }

    shops.materialize("sale")
    assert shops.stale() == {
        "report": {"has a new materialization"},
        "copy": {"has a new materialization"},
    }
    shops.materialize("report", "copy")
    assert shops.stale() == {}
