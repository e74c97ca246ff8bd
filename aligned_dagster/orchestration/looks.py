"""Look at many things at once, within a time: what does not answer holds up nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

R = TypeVar("R")


@dataclass
class Looked(Generic[R]):
    """What came of the things that were looked at.

    Args:
        taken: how many were begun, of those in front.
        answers: place to what was found, or the error that was raised; a place is missing where no answer came in time.
    """

    taken: int = 0
    answers: dict[int, R | Exception] = field(default_factory=dict)


class Looks:
    """Looks at things in a few threads. One that is still being looked at is not looked at a second time.

    An answer that came too late is that of the next time.

    Args:
        workers: the most threads.
    """

    def __init__(self, workers: int = 8) -> None:
        self._workers = workers
        self._busy: set[str] = set()
        self._late: dict[str, object] = {}
        self._lock = threading.Lock()

    def at(
        self, names: Sequence[str], look: Callable[[str], R], *, budget: float, patience: float
    ) -> Looked[R]:
        """Look at things one after the other, as many as are begun within the budget.

        Args:
            names: what to look at, in order.
            look: looks at one; what it raises is an answer too.
            budget: seconds in which a look is begun; the first one always is.
            patience: seconds after them in which those that were begun may answer.
        """
        looked: Looked[R] = Looked()
        begun = time.monotonic()
        is_over = False

        def work() -> None:
            while True:
                with self._lock:
                    number = looked.taken
                    over = number > 0 and time.monotonic() - begun >= budget
                    if number == len(names) or over:
                        return
                    looked.taken += 1
                    if names[number] in self._late:
                        looked.answers[number] = cast("R | Exception", self._late.pop(names[number]))
                        continue
                    if names[number] in self._busy:
                        continue
                    self._busy.add(names[number])
                answer = _answer(look, names[number])
                with self._lock:
                    self._busy.discard(names[number])
                    if is_over:
                        self._late[names[number]] = answer
                    else:
                        looked.answers[number] = answer

        threads = [
            threading.Thread(target=work, daemon=True, name=f"look-{number}")
            for number in range(min(self._workers, len(names)))
        ]
        for thread in threads:
            thread.start()
        deadline = begun + budget + patience
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            is_over = True
            return Looked(looked.taken, dict(looked.answers))


def _answer(look: Callable[[str], R], name: str) -> R | Exception:
    try:
        return look(name)
    except Exception as error:
        return error
