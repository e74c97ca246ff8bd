"""What models say while they predict, in the log of the run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

_MODELS = "aligned_dagster.models"
"""The logger that hears of the batches of predictions."""


@contextmanager
def models_heard(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Pass on to the log of the run what models say while the block lasts.

    Args:
        context: of the op.
    """
    logger = logging.getLogger(_MODELS)
    heard, level = _ToRun(context.log), logger.level
    logger.addHandler(heard)
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(heard)


class _ToRun(logging.Handler):
    """Writes records to the log of a run.

    Args:
        log: of the run.
    """

    def __init__(self, log: logging.Logger) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        self._log.log(record.levelno, record.getMessage())
