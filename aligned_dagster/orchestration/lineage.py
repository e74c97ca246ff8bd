"""Which columns every column of a contract is made of, through its expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from aligned_dagster.features.expression import text
from aligned_dagster.orchestration.descriptions import Lineage
from aligned_dagster.orchestration.registry import ContractRegistry
from aligned_dagster.orchestration.tables import markdown_table

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView


def column_lineage(lineage: Lineage, registry: ContractRegistry) -> dg.TableColumnLineage:
    """Every column of a contract with the columns of upstream assets that it is computed from.

    Args:
        lineage: what `FeatureView.column_lineage` says.
        registry: knows the assets.
    """
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(asset_key=_origin(origin, registry), column_name=name)
                for origin, name in inputs
            ]
            for column, inputs in lineage.items()
        }
    )


def lineage_table(view: FeatureView[Any], lineage: Lineage, registry: ContractRegistry) -> str:
    """The same as a Markdown table with the derivations in words; the asset pages draw no column lineage."""
    derivations = view.schema.derivations
    rows = [
        [
            column,
            ", ".join(f"{_origin(origin, registry).to_user_string()}: {name}" for origin, name in inputs),
            text(derivations[column]) if column in derivations else "",
        ]
        for column, inputs in lineage.items()
    ]
    return markdown_table(["column", "comes from", "computed as"], rows)


def _origin(origin: str, registry: ContractRegistry) -> dg.AssetKey:
    return registry.view_keys[origin] if origin in registry.view_keys else registry.source_keys[origin]
