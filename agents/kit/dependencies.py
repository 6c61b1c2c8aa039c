"""What an agent needs of the world, and a circuit for each of it.

What does not answer is left alone for a while: whoever needs it fails fast and is tried again
later, instead of waiting for the same timeout once more. Each process learns for itself.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog

from agents.agent import CannotBeDone, TryAgain
from bus.ports import Clock
from bus.signals import Dependency
from domain.circuits import Circuit, Fuse, failed, let_through, succeeded

log = structlog.get_logger(__name__)

FUSE: Final = Fuse(least_failures=5, cool_down=5, longest=120)
"""What opens the circuit of a dependency that its agent says nothing else about."""

MOST: Final = 100
"""How many dependencies are remembered; then those that answer are forgotten first."""

_CLOSED: Final = Circuit()


class Dependencies:
    """The dependencies of one agent, as far as it has used them."""

    def __init__(self, fuses: Mapping[str, Fuse], *, clock: Clock) -> None:
        self._fuses = fuses
        self._clock = clock
        self._circuits: dict[str, Circuit] = {}

    @asynccontextmanager
    async def using(self, name: str) -> AsyncGenerator[None]:
        """Use a dependency; what is raised meanwhile counts against it, and is raised on.

        ``CannotBeDone`` speaks of the work, and a cancellation of nobody: they do not count.

        Raises:
            TryAgain: It has failed too often of late, and is left alone for now.
        """
        fuse = self._fuses.get(name, FUSE)
        circuit = self._circuits.get(name, _CLOSED)
        through = let_through(circuit, self._clock.now(), fuse=fuse)
        if through is None:
            raise TryAgain(_refusal(name, circuit))
        self._put(name, through)
        try:
            yield
        except CannotBeDone:
            raise
        except Exception as error:
            why = type(error).__name__  # what it says may be personal: the task's report has it
            now, circuit = self._clock.now(), self._circuits.get(name, _CLOSED)
            self._put(name, failed(circuit, now, fuse=fuse, why=why))
            raise
        now, circuit = self._clock.now(), self._circuits.get(name, _CLOSED)
        self._put(name, succeeded(circuit, now, fuse=fuse))

    def lacking(self) -> tuple[Dependency, ...]:
        """Return those that are left alone; the heart asks from its own thread."""
        return tuple(
            Dependency(name=name, state=circuit.state, reason=circuit.reason)
            for name, circuit in self._circuits.copy().items()
            if circuit.state != "closed"
        )

    def _put(self, name: str, circuit: Circuit) -> None:
        before = self._circuits.get(name, _CLOSED)
        if before.state != circuit.state:
            log.warning("dependency.changes", name=name, state=circuit.state, reason=circuit.reason)
        if name not in self._circuits and len(self._circuits) >= MOST:
            self._forget_one()
        self._circuits[name] = circuit

    def _forget_one(self) -> None:
        closed = (name for name, circuit in self._circuits.items() if circuit.state == "closed")
        del self._circuits[next(closed, next(iter(self._circuits)))]


def _refusal(name: str, circuit: Circuit) -> str:
    if circuit.until is None:
        return f"{name} is being probed: {circuit.reason}"
    return f"{name} is left alone until {circuit.until:%H:%M:%S} UTC: {circuit.reason}"
