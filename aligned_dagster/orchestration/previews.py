"""The parts of Dagster that are used although they are still in preview or beta."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg


@contextmanager
def accepted_previews() -> Iterator[None]:
    """Silence Dagster's preview and beta warnings for the block.

    Used around exactly these calls: `is_virtual`, observable sources, code references, backfill policies,
    partitions of two dimensions and mappings between them, conditions in classes of the user's own.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield
