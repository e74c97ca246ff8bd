"""`python -m benchmarks [NAMES] [--quick]`: measure, and write tables and pictures to benchmarks/results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import plot, report
from benchmarks.running import Measured, failures, measure
from benchmarks.workload import OURS
from benchmarks.workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for; 1 if one of our own answers was wrong or missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKLOADS)}; all if none is given"
    )
    parser.add_argument(
        "--quick", action="store_true", help="less data, one repeat; results/quick, not results"
    )
    parser.add_argument("--repeats", type=int, help="rounds; 5, or 1 with --quick")
    parser.add_argument("--results", type=Path, help="directory of the pages")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.names if name not in WORKLOADS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}. Known: {', '.join(WORKLOADS)}")
    results = asked.results or (RESULTS / "quick" if asked.quick else RESULTS)
    results.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for name in asked.names or WORKLOADS:
        workload = WORKLOADS[name]
        sys.stdout.write(f"{workload.title}\n")
        repeats = asked.repeats or (1 if asked.quick else 5)
        found = measure(workload, quick=asked.quick, repeats=repeats, tell=_tell)
        (results / f"{name}.json").write_text(found.to_json(), encoding="utf-8")
        (results / f"{name}.svg").write_text(plot.bars(found, workload.title), encoding="utf-8")
        text = report.page(workload, found, f"{name}.svg")
        (results / f"{name}.md").write_text(text, encoding="utf-8")
        sys.stdout.write(f"\n{text}\n")
        wrong += len(failures(found, [OURS]))
    known = [(workload, results / f"{name}.json") for name, workload in WORKLOADS.items()]
    measured = [(one, Measured.from_json(file.read_text("utf-8"))) for one, file in known if file.exists()]
    (results / "README.md").write_text(report.summary(measured), encoding="utf-8")
    sys.stdout.write(report.summary(measured))
    return 1 if wrong else 0


def _tell(line: str) -> None:
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
