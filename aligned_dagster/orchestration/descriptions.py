"""What a column means: in its contract's words, or in those of the contract that it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aligned_dagster.features.expression import ColumnRef, text

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView

Lineage = Mapping[str, tuple[tuple[str, str], ...]]


class ColumnWords:
    """Describes columns; it remembers where the columns of each contract that it met come from."""

    def __init__(self) -> None:
        self._known: dict[str, Lineage] = {}

    def of(self, view: FeatureView[Any], column: str) -> str | None:
        """What the contract says of a column, what the one says that it comes from, or how it is computed.

        Args:
            view: the contract.
            column: the name of one of its columns.
        """
        said = self._said(view, column)
        if said:
            return said
        derivation = view.schema.column(column).derivation
        return None if derivation is None else f"= {text(derivation, 200)}"

    def _said(self, view: FeatureView[Any], column: str) -> str:
        """The words of whoever says any, upwards as long as the values are the same; empty if nobody does."""
        found = view.schema.column(column)
        derivation = view.all_derivations.get(column, found.derivation)
        if found.description:
            return found.description
        if isinstance(derivation, ColumnRef) and derivation.name in view.schema.names:
            return self._said(view, derivation.name) if derivation.name != column else ""
        if derivation is not None and not isinstance(derivation, ColumnRef):
            return ""
        origins = self.lineage(view).get(column, ())
        if len(origins) != 1:
            return ""
        [(upstream, stored)] = origins
        above = view.upstream_views.get(upstream)
        if above is None or above.name == view.name or stored not in above.schema.names:
            return ""
        return self._said(above, stored)

    def lineage(self, view: FeatureView[Any]) -> Lineage:
        """What each column of a contract is made of, as `FeatureView.column_lineage` says it, asked once."""
        if view.name not in self._known:
            self._known[view.name] = view.column_lineage()
        return self._known[view.name]
