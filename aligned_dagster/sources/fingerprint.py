"""What can be known of a source's state without reading its rows."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Fingerprint:
    """What can be known of a source's state without reading its rows.

    Args:
        data_version: a text that changes when the data does.
        modified: when it last changed, in UTC.
        bytes: the size of what is stored.
        rows: the number of rows, where it is cheap to know.
    """

    data_version: str
    modified: dt.datetime | None = None
    bytes: int | None = None
    rows: int | None = None
