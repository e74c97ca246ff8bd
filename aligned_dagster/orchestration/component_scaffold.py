"""What `dg scaffold defs aligned_dagster.AlignedComponent NAME` writes: a contract on rows that are there, and its defs.yaml."""

from __future__ import annotations

from typing import Any

import dagster as dg

_ROWS = """\
Order,Shop,Bought at,Amount,Coupon
1001,oslo,2024-05-01T09:30:00Z,12.50,
1002,oslo,2024-05-01T11:00:00Z,-3.00,
1003,rome,2024-05-02T08:15:00Z,99.90,SPRING
"""

_CONTRACTS = '''\
from pathlib import Path

from aligned_dagster import EventTimestamp, FileSource, Float, Int64, String, feature_view

HERE = Path(__file__).parent


@feature_view(
    source=FileSource.csv_at(
        HERE / "sales.csv",
        mapping_keys={
            "Order": "order_id",
            "Shop": "shop",
            "Bought at": "bought_at",
            "Amount": "amount",
            "Coupon": "coupon",
        },
    ),
    materialized_source=FileSource.parquet_at(HERE / "data" / "sales.parquet"),
    on_violation="quarantine",
)
class Sales:
    """Every sale in every shop. One row breaks a rule, and is kept aside."""

    order_id = Int64().as_entity()
    shop = String().accepted_values(["oslo", "rome"])
    bought_at = EventTimestamp()
    amount = Float().lower_bound(0).description("in euros, tax included")
    coupon = String().is_optional()

    has_coupon = coupon.is_not_null()


@feature_view(source=Sales)
class Shops:
    """How each shop does; computed when it is read."""

    shop = String().as_entity()
    amount = Float()

    sales = amount.aggregate().count()
    revenue = amount.aggregate().sum()
'''

_PYTHON = """\
import dagster as dg
from aligned_dagster import AlignedComponent


@dg.component_instance
def load(context: dg.ComponentLoadContext) -> AlignedComponent:
    return AlignedComponent(contracts="contracts.py")
"""


class AlignedScaffolder(dg.Scaffolder[Any]):
    """Writes an example that runs; files that are there stay as they are."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the component and, beside it, the example's contracts and rows."""
        folder = request.target_path
        if not request.append:
            for name, text in (("contracts.py", _CONTRACTS), ("sales.csv", _ROWS)):
                if not (folder / name).exists():
                    (folder / name).write_text(text, encoding="utf-8")
        if request.scaffold_format == "python":
            (folder / "component.py").write_text(_PYTHON, encoding="utf-8")
        else:
            dg.scaffold_component(request, yaml_attributes={"contracts": "contracts.py"})
