"""A few warm processes that take one task after the other, and what becomes of a task whose process dies.

What starts once a process - Python, dbt, Great Expectations, DuckDB - is not paid for again by each task. A process
that dies takes its one task with it: that task has failed, another process takes the others.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: What a task is done by: it gets the task and a function to tell its steps with.
Work = Callable[[Any, Callable[[str], None]], Any]


@dataclass(frozen=True)
class Died:
    """The process ended before the task did; negative: the number of the signal."""

    exit_code: int

    def __str__(self) -> str:
        if self.exit_code >= 0:
            return f"its process ended with exit code {self.exit_code}"
        return f"its process was ended by {signal.Signals(-self.exit_code).name}"


@dataclass
class _Worker(Generic[T]):
    process: BaseProcess
    connection: Connection
    task: T | None = None


class Pool(Generic[T, R]):
    """At most ``size`` processes that run ``work``, made when there are tasks for them; ``prepare`` runs once in each.

    Both are functions of modules, or partial ones of such: a process imports them.
    """

    def __init__(self, size: int, work: Work, prepare: Callable[[], None]) -> None:
        self._size, self._work, self._prepare = size, work, prepare
        # Spawned, not forked: the libraries start threads, which do not survive a fork.
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker[T]] = []

    def __enter__(self) -> Pool[T, R]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.connection.close()  # an idle process takes it as the end
            if worker.task is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(10)
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()

    def run(self, tasks: Iterable[T], told: Callable[[T, str], None]) -> Iterator[tuple[T, R | Died]]:
        """Each task with its result, as they end; ``told`` is called with each step that a task tells."""
        waiting = deque(tasks)
        while waiting or any(worker.task is not None for worker in self._workers):
            self._hand_out(waiting)
            busy = {worker.connection: (worker, worker.task) for worker in self._workers if worker.task is not None}
            for ready in wait(list(busy)):
                worker, task = busy[ready]  # type: ignore[index]
                try:
                    kind, content = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    self._workers.remove(worker)
                    worker.process.join()
                    yield task, Died(worker.process.exitcode or 0)
                    continue
                if kind == "step":
                    told(task, content)
                else:
                    worker.task = None
                    yield task, content

    def _hand_out(self, waiting: deque[T]) -> None:
        idle = [worker for worker in self._workers if worker.task is None]
        while waiting and (idle or len(self._workers) < self._size):
            worker = idle.pop() if idle else self._start()
            worker.task = waiting.popleft()
            try:
                worker.connection.send(worker.task)
            except (BrokenPipeError, ConnectionResetError):
                # It died idle: no task is lost with it.
                waiting.appendleft(worker.task)
                self._workers.remove(worker)

    def _start(self) -> _Worker[T]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._work, self._prepare), daemon=True)
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]


def _serve(connection: Connection, work: Work, prepare: Callable[[], None]) -> None:
    """The life of a process: tasks until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's to answer
    prepare()
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        result = work(task, lambda step: connection.send(("step", step)))
        connection.send(("done", result))
