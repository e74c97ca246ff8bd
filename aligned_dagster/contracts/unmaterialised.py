"""Rows that were asked for before they were materialised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import MissingColumnError, NothingStoredError, SourceNotFoundError

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView


@contextmanager
def materialised(view: FeatureView[Any]) -> Iterator[None]:
    """Where nothing, or something older than the contract, stands at the place of its materialised rows, say what to do.

    Args:
        view: the contract whose storage is read in the block.

    Raises:
        SourceNotFoundError: nothing is stored yet.
        MissingColumnError: what is stored lacks a column.
    """
    try:
        yield
    except NothingStoredError as error:
        if view.is_virtual:
            raise
        raise SourceNotFoundError(
            f"{view.name!r} has not been materialised yet: {error.place or view.storage.uri} does not exist. "
            f"Run: aligned-dagster materialize +{view.name}"
        ) from None
    except MissingColumnError as error:
        if view.is_virtual:
            raise
        raise MissingColumnError(
            f"{error} If the column is new in the contract, materialise the view again: "
            f"aligned-dagster materialize {view.name}"
        ) from None
