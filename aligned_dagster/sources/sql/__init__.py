"""Tables and queries of SQL databases."""

from __future__ import annotations
