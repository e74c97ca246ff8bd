"""What one run kept aside."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class QuarantineRun:
    """The rows that one run kept aside.

    Args:
        run_id: names them.
        rows: how many there are.
        kept_at: when they were put there, in UTC.
        uri: where they are.
    """

    run_id: str
    rows: int
    kept_at: dt.datetime
    uri: str
