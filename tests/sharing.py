"""How the processes of pytest-xdist share out the modules, and what becomes of the tests of one that dies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

SLOW = (
    "distributed",
    "engines",
    "operations",
    "daemon",
    "ui",
    "test_component.py",
    "test_crashes.py",
    "test_demo_storage.py",
)
"""Parts of the paths of modules that take minutes, each a whole deployment or a process for each test."""

TOGETHER = {
    "tests/engines/": "one Spark",
    "tests/operations/": "one deployment",
    "tests/ui/test_asset_page.py": "the demo",
    "tests/ui/test_checks_page.py": "the demo",
    "tests/ui/test_lineage_graph.py": "the demo",
    "tests/ui/test_running.py": "the demo",
}
"""Beginnings of the paths of modules that share what takes long to start: one process runs all of them."""

_crashed: list[str] = []

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling
    from xdist.workermanage import WorkerController


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Share out modules as `--dist loadfile` does, and those of `TOGETHER` as if they were one.

    A worker runs a test when it knows the next one, or that there is none. That of xdist may give a worker a module of one
    test and tell it nothing more, or one of a dead worker whose tests are all done: it would wait for ever.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Sharing(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid) or super()._split_scope(nodeid)

        def remove_node(self, node: WorkerController) -> str | None:
            work = self.assigned_work[node]
            died = next((name for tests in work.values() for name, done in tests.items() if not done), None)
            for scope, tests in list(work.items()):
                if died in tests and died in _crashed:
                    tests[died] = True  # it is not run a third time
                if all(tests.values()):
                    del work[scope]
            super().remove_node(node)
            return died

        def _reschedule(self, node: WorkerController) -> None:
            while (
                self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) <= 2
            ):
                self._assign_work_unit(node)
            if not self.workqueue and not node.shutting_down:
                node.shutdown()  # when it is through with what it has

    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow modules first, so that the workers end at about the same time; those of `TOGETHER` after one another."""

    def place(item: pytest.Item) -> tuple[bool, str]:
        return not any(part in SLOW for part in item.path.parts), group_of(item.nodeid) or ""

    items.sort(key=place)


def group_of(nodeid: str) -> str | None:
    """What the module of a test shares with others."""
    return next((scope for path, scope in TOGETHER.items() if nodeid.startswith(path)), None)


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: Any) -> None:
    """The test during which a worker's interpreter died is run again once, and fails if that happens once more."""
    del sched
    if crashitem not in _crashed:
        report.outcome = "passed"
    _crashed.append(crashitem)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell of the interpreters that died."""
    for test in _crashed:
        terminalreporter.write_line(f"An interpreter died during {test}", yellow=True)
