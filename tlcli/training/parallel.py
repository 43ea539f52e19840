"""Train several runs at once in one process: two runs of one thread each are faster than one run of two."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from queue import Empty, Queue
from typing import Generic, TypeVar

Task = TypeVar("Task")
Done = TypeVar("Done")

TRACING = threading.RLock()
"""The lock for building and tracing networks, which Python does one at a time anyway."""

_TICK_SECONDS = 0.1


class Workers(Generic[Task, Done]):
    """Threads that take tasks until none is left. The calling thread keeps the results, shows progress and
    receives signals.

    A worker avoids kinds of tasks that another has compiled, so that little is compiled twice. Among the
    rest it prefers a task on its present dataset, whose activations are stored, then a kind that it has
    compiled itself.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        work: Callable[[int, Task], Done],
        *,
        at_once: int,
        kind: Callable[[Task], Hashable],
        place: Callable[[Task], Hashable],
    ) -> None:
        self._waiting = list(tasks)
        self._work, self._kind, self._place = work, kind, place
        self._number = max(1, min(at_once, len(tasks)))
        self._at: list[Hashable] = [None] * self._number
        self._prepared: list[set[Hashable]] = [set() for _ in range(self._number)]
        self._lock = threading.Lock()
        self._finished: Queue[tuple[Task, Done] | BaseException | None] = Queue()
        self.cancelled = False

    def run(self, keep: Callable[[Task, Done], None], tick: Callable[[], None]) -> None:
        """Do all tasks. This thread calls `keep` with each result, and `tick` a few times a second.

        Raises:
            BaseException: The first error of a task, `keep` or `tick`, after every worker has ended.
        """
        threads = [threading.Thread(target=self._serve, args=(n,)) for n in range(self._number)]
        for thread in threads:
            thread.start()
        try:
            self._collect(len(threads), keep, tick)
        finally:
            self.cancelled = True
            for thread in threads:
                thread.join()

    def _collect(self, serving: int, keep: Callable[[Task, Done], None], tick: Callable[[], None]) -> None:
        failure: BaseException | None = None
        while serving:
            try:
                found = self._finished.get(timeout=_TICK_SECONDS)
            except Empty:
                tick()
                continue
            if found is None:
                serving -= 1
            elif isinstance(found, BaseException):
                self.cancelled = True
                failure = failure or found
            else:
                keep(*found)
            tick()
        if failure:
            raise failure

    def _serve(self, worker: int) -> None:
        try:
            while (task := self._take(worker)) is not None:
                self._finished.put((task, self._work(worker, task)))
        except BaseException as error:
            self._finished.put(error)
        finally:
            self._finished.put(None)

    def _take(self, worker: int) -> Task | None:
        with self._lock:
            if self.cancelled or not self._waiting:
                return None
            mine = self._prepared[worker]
            anybodys = set().union(*self._prepared)

            def strangeness(task: Task) -> tuple[bool, bool, bool]:
                own = self._kind(task) in mine
                prepared_elsewhere = not own and self._kind(task) in anybodys
                return prepared_elsewhere, self._place(task) != self._at[worker], not own

            task = min(self._waiting, key=strangeness)
            self._waiting.remove(task)
            mine.add(self._kind(task))
            self._at[worker] = self._place(task)
            return task
