"""The files of a new project: it runs as it is, and is meant to be changed."""

from __future__ import annotations

from aligned_dagster.orchestration.home import SETTINGS

_PYPROJECT = """\
[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["aligned-dagster"]

[tool.aligned_dagster]
contracts = "contracts/*.py"
"""

_WORKSPACE = """\
# What the Dagster UI loads: one code location with the assets of every contract.
load_from:
  - python_module:
      module_name: aligned_dagster.definitions
      location_name: {name}
"""

_IGNORED = """\
__pycache__/
data/stored/
dagster_home/*
!dagster_home/dagster.yaml
"""

_SALES = '''\
"""What is sold, and how each shop does."""

from __future__ import annotations

from aligned_dagster import EventTimestamp, FileSource, Float, Int64, String, feature_view


@feature_view(
    source=FileSource.csv_at("data/sales.csv"),
    materialized_source=FileSource.parquet_at("data/stored/sales.parquet"),
    on_violation="quarantine",
)
class Sales:
    """Every sale in every shop."""

    order_id = Int64().as_entity()
    shop = String().accepted_values(["oslo", "rome"])
    bought_at = EventTimestamp()
    amount = Float().lower_bound(0).description("in euros, tax included")
    coupon = String().is_optional()

    has_coupon = coupon.is_not_null()


@feature_view(source=Sales, materialized_source=FileSource.parquet_at("data/stored/shops.parquet"))
class Shops:
    """How each shop does."""

    shop = String().as_entity()
    amount = Float()

    sales = amount.aggregate().count()
    revenue = amount.aggregate().sum()
'''

_ROWS = """\
order_id,shop,bought_at,amount,coupon
1001,oslo,2024-05-01T09:30:00Z,12.50,
1002,oslo,2024-05-01T11:00:00Z,45.00,
1003,rome,2024-05-02T08:15:00Z,99.90,SPRING
1004,rome,2024-05-02T17:40:00Z,8.20,
"""


def files_of(name: str) -> dict[str, str]:
    """Path to content of every file of a new project.

    Args:
        name: of the project, of letters, digits, dots, hyphens and underscores.
    """
    return {
        "pyproject.toml": _PYPROJECT.format(name=name),
        "workspace.yaml": _WORKSPACE.format(name=name),
        ".gitignore": _IGNORED,
        "contracts/sales.py": _SALES,
        "data/sales.csv": _ROWS,
        "dagster_home/dagster.yaml": SETTINGS,
    }
