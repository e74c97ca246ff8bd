"""The workloads, in the order in which they are measured."""

from __future__ import annotations

from benchmarks.workload import Workload
from benchmarks.workloads import (
    audit,
    backfill,
    definitions,
    imports,
    materialise,
    memory,
    objects,
    partition,
    point_in_time,
    postgres,
    random_rows,
    scale,
    upsert,
    view,
)

_MODULES = (
    view,
    audit,
    upsert,
    partition,
    point_in_time,
    objects,
    postgres,
    materialise,
    definitions,
    imports,
    random_rows,
    memory,
    scale,
    backfill,
)
WORKLOADS: dict[str, Workload] = {one.WORKLOAD.name: one.WORKLOAD for one in _MODULES}
"""All of them, by name."""
