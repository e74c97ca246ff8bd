"""Dagster's daemon, which looks for backfills every two seconds in place of every half minute."""

from __future__ import annotations

from dagster._daemon import controller
from dagster._daemon.cli import main

controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 2

if __name__ == "__main__":
    main()
