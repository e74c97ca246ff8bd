"""Rows that were asked for before they were materialised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aligned_dagster.errors import NothingStoredError, SourceNotFoundError

if TYPE_CHECKING:
    from aligned_dagster.contracts.feature_view import FeatureView


@contextmanager
def materialised(view: FeatureView[Any]) -> Iterator[None]:
    """Where nothing stands at the place of a contract's materialised rows, say so and how they get there.

    Args:
        view: the contract whose storage is read in the block.

    Raises:
        SourceNotFoundError: nothing is stored yet.
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
