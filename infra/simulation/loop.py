"""An event loop in which a seed decides what runs next, and time passes only when all wait.

It knows no files and no threads. What belongs to a process that was killed never runs again, not
even to clean up; what belongs to one that is paused runs when it goes on. It leans on private names
of asyncio, which ``tests/infra/simulation/test_loop.py`` holds down for each version of Python.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from random import Random
from typing import Any, Protocol, cast


class Resident(Protocol):
    """Somebody to whom callbacks belong."""

    def admits(self, handle: asyncio.Handle) -> bool:
        """Tell whether a callback may run now; one that may not is kept or forgotten."""
        ...


RESIDENT: ContextVar[Resident | None] = ContextVar("resident", default=None)
"""Whose code is running; None is the world itself."""


class Stuck(Exception):
    """Nothing can happen any more, or too much has happened."""


class SimulatedTask(asyncio.Task[Any]):
    """A task whose hash is its number: sets of tasks have the same order in every process."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs callbacks in an order drawn from a seed, over virtual time."""

    def __init__(self, lots: Random, *, most_steps: int) -> None:
        super().__init__()
        self._lots = lots
        self._now = 0.0
        self._due: list[tuple[float, int, Any, tuple[Any, ...] | None]] = []
        """By time, then by number: a timer, or what the world itself does with its arguments."""

        self._number = 0
        # The base class puts there what is to run, and has no other name for it.
        self._queue: deque[Any] = cast("Any", self)._ready  # noqa: SLF001
        self._most_steps = most_steps
        self.steps = 0
        self.tasks: list[SimulatedTask] = []
        """Every task there was; they are kept so that none cleans up before the end."""

        self.set_task_factory(cast("Any", self._make_task))
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def call_at(  # type: ignore[override] # as the interface of typeshed, without its TypeVarTuple
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call something at a time; whoever is running owns the call."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._number += 1
        heapq.heappush(self._due, (when, self._number, timer, None))
        return timer

    def happen(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Have the world itself do something after some seconds: nobody can prevent it."""
        self._number += 1
        heapq.heappush(self._due, (self._now + delay, self._number, callback, args))

    def requeue(self, handles: list[asyncio.Handle]) -> None:
        """Let callbacks run that had to wait."""
        self._queue.extend(handles)

    def dispose(self) -> None:
        """End every coroutine that was left, quietly, and close."""
        for task in self.tasks:
            cast("Any", task)._log_destroy_pending = False  # noqa: SLF001 # they are meant to be left
            coroutine = cast("Coroutine[Any, Any, Any] | None", task.get_coro())
            if coroutine is None:
                continue
            try:
                coroutine.close()
            except (RuntimeError, ValueError):
                continue  # it wanted to wait once more
        self.tasks.clear()
        self._queue.clear()
        self._due.clear()
        self.close()

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any
    ) -> SimulatedTask:
        task = SimulatedTask(coro, loop=loop, **options)
        task.number = len(self.tasks)
        self.tasks.append(task)
        return task

    def _run_once(self) -> None:
        """Do what ``BaseEventLoop`` does, in another order and without waiting."""
        queue, due = self._queue, self._due
        if not queue:
            while due and due[0][3] is None and due[0][2].cancelled():
                heapq.heappop(due)
            if not due:
                raise Stuck("everybody waits for ever")
            self._now = max(self._now, due[0][0])
        batch: list[Any] = list(queue)
        queue.clear()
        while due and due[0][0] <= self._now:
            _, _, what, args = heapq.heappop(due)
            batch.append(what if args is None else (what, args))
        if len(batch) > 1:
            self._lots.shuffle(batch)
        self.steps += len(batch)
        if self.steps > self._most_steps:
            raise Stuck(f"more than {self._most_steps} steps")
        for handle in batch:
            if type(handle) is tuple:
                handle[0](*handle[1])
            elif not handle._cancelled:  # noqa: SLF001 # cancelled() is the same and slower
                resident = handle._context.get(RESIDENT)  # noqa: SLF001 # whose it is
                if resident is None or resident.admits(handle):
                    handle._run()  # noqa: SLF001 # as the base class does

    def _process_events(self, event_list: object) -> None:
        del event_list

    def _write_to_self(self) -> None:
        """Wake nobody: there is no other thread."""

    def run_in_executor(self, executor: object, func: object, *args: object) -> Any:
        """Refuse: a thread would not be decided by the seed."""
        del executor, func, args
        raise RuntimeError("a thread in the simulation")
