"""Processes that can be killed without a chance to clean up, paused and let go on."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from infra.simulation.loop import RESIDENT
from infra.simulation.world import World


class Killed(BaseException):
    """Unwinds the code of a process that was killed in the middle of it.

    Not an ``Exception``: product code must not be able to catch it and go on.
    """


class Process:
    """One start of a process."""

    def __init__(self, world: World, role: str, number: int) -> None:
        self.world = world
        self.role = role
        self.name = f"{role}#{number}"
        self.is_alive = True
        self.is_paused = False
        self.paused_at = 0.0
        self.on_end: list[Callable[[], object]] = []
        """What the world does when the process is gone: its connections break."""

        self._waiting: list[asyncio.Handle] = []
        self.context = Context()
        self.context.run(RESIDENT.set, self)

    def admits(self, handle: asyncio.Handle) -> bool:
        """Tell whether a callback of this process may run now."""
        if not self.is_alive:
            return False
        if self.is_paused:
            self._waiting.append(handle)
            return False
        return True

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task in this process."""
        return self.context.run(self.world.loop.create_task, coroutine)

    def call(self, callback: Callable[..., object], *args: Any) -> None:
        """Have this process do something as soon as it can."""
        self.world.loop.call_soon(callback, *args, context=self.context.copy())

    def check(self) -> None:
        """Stop code that unwinds although its process is gone.

        Raises:
            Killed: It is gone.
        """
        if not self.is_alive:
            raise Killed

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        if not self.is_alive:
            return
        self.world.note("kill", self.name)
        self.is_alive = False
        self._waiting.clear()
        for broken in self.on_end:
            self.world.later(self.world.latency(0.02), broken)

    def pause(self) -> None:
        """Stop it as SIGSTOP does."""
        self.world.note("pause", self.name)
        self.is_paused, self.paused_at = True, self.world.now

    def go_on(self) -> None:
        """Let it go on as SIGCONT does."""
        if not self.is_paused:
            return
        self.world.note("resume", self.name)
        self.is_paused = False
        waiting, self._waiting = self._waiting, []
        self.world.loop.requeue(waiting)
