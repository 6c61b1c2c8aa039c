"""Breakers at work: they watch what becomes of attempts, and hold back work for types that fail.

An agent that cannot do its work fails fast, and takes all there is. While the breaker of its type
is open, new work for the type takes the way through ``taskloom.retry``, where it can be seen to
wait; what comes back from there, and the probe that a half-open breaker lets through, shows whether
things are better. Only failures that are no fault of the tasks count.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from bus.ports import Clock
from bus.recorder import Recorder
from bus.signals import Heartbeat
from bus.telling import saying, tell
from domain.agent import AgentDeregistered, AgentRegistered
from domain.breaker import (
    Breaker,
    BreakerClosed,
    BreakerHalfOpened,
    BreakerOpened,
    BreakerReport,
    breaker_stream,
)
from domain.circuits import Circuit, CircuitState, Fuse, cooled, failed, let_through, succeeded
from domain.errors import Unavailable
from domain.health import FAULTS
from domain.policies import AnyReport, Event
from domain.recorded import Recorded, Report
from domain.run_events import TaskCompleted, TaskFailed, TaskLost
from domain.values import AgentType, Role

log = structlog.get_logger(__name__)

ACTOR = "taskloom.breakers"

DETOUR: Final = 16
"""Seconds that held back work waits: one of the delays that there is a queue for."""

PACE: Final = 0.5
"""Seconds between two looks."""

_AFTERWARDS: Final = timedelta(seconds=DETOUR + 2)
"""How long after the last detour some work may still be on one."""

_CLOSED: Final = Circuit()

Kind = tuple[Role, AgentType]
_Ended = TaskCompleted | TaskFailed | TaskLost
_HEARD: Final[frozenset[type[Event]]] = frozenset(
    {AgentRegistered, AgentDeregistered, TaskCompleted, TaskFailed, TaskLost}
)
_Told = tuple[CircuitState, int]


class Registry(Protocol):
    """What is recorded of breakers and agents."""

    async def breakers(self) -> Sequence[Breaker]:
        """Return every breaker that was ever open."""
        ...

    async def kinds(self) -> Mapping[str, Kind]:
        """Return the role and type of every registered agent, by its id."""
        ...


class Breakers:
    """A circuit for each role and type of agents."""

    def __init__(
        self, *, registry: Registry, recorder: Recorder, clock: Clock, fuse: Fuse | None = None
    ) -> None:
        self._registry = registry
        self._recorder = recorder
        self._clock = clock
        self._fuse = fuse or Fuse()
        self._circuits: dict[Kind, Circuit] = {}
        self._open: set[Kind] = set()
        self._told: dict[Kind, _Told] = {}
        self._held_at: dict[Kind, datetime] = {}
        self._kinds: dict[str, Kind] = {}
        self._lost: dict[str, datetime] = {}
        self._noted = 0
        self._changed = asyncio.Event()

    def delay_of(self, role: Role, agent_type: AgentType) -> int:
        """Return the seconds that the next work for agents of a type has to wait."""
        kind = (role, agent_type)
        if kind not in self._open:
            return 0
        now = self._clock.now()
        circuit = self._circuits[kind]
        if circuit.state == "half_open":
            probing = let_through(circuit, now, fuse=self._fuse)
            if probing is not None:
                self._circuits[kind] = probing
                return 0
        self._held_at[kind] = now
        return DETOUR

    def holds_back(self, role: Role, agent_type: AgentType) -> bool:
        """Say whether work for a type may be on its detour."""
        held_at = self._held_at.get((role, agent_type))
        return held_at is not None and self._clock.now() - held_at < _AFTERWARDS

    def hear(self, heartbeat: Heartbeat) -> None:
        """Learn what kind of agent somebody is."""
        self._kinds[heartbeat.agent_id] = (heartbeat.role, heartbeat.agent_type)

    def note(self, events: Sequence[Recorded[Event]]) -> None:
        """Count what became of attempts; events that were noted before are passed over."""
        old = self._clock.now() - timedelta(seconds=self._fuse.window)
        for recorded in events:
            if recorded.position <= self._noted:
                continue
            self._noted = recorded.position
            if type(recorded.event) not in _HEARD:
                continue
            match recorded.event:
                case AgentRegistered(agent_id=agent_id, role=role, agent_type=agent_type):
                    self._kinds[agent_id] = (role, agent_type)
                case AgentDeregistered(agent_id=agent_id):
                    self._kinds.pop(agent_id, None)
                case TaskCompleted() | TaskFailed() | TaskLost() as ended:
                    if recorded.at >= old:
                        self._count(ended, recorded.at)
                case _:
                    pass

    async def recall(self) -> None:
        """Take up what is recorded: who is open stays open.

        Raises:
            Unavailable: Nobody knows what is recorded.
        """
        self._kinds |= await self._registry.kinds()
        for breaker in await self._registry.breakers():
            kind = (breaker.role, breaker.agent_type)
            self._told[kind] = (breaker.state, breaker.trips)
            circuit = Circuit(
                state=breaker.state,
                reason=breaker.reason,
                trips=breaker.trips,
                until=breaker.until,
            )
            self._put(kind, circuit)
            if breaker.state != "closed":
                self._held_at[kind] = self._clock.now()

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                log.warning("breakers.wait", why=str(error))
                await asyncio.sleep(PACE)
            # Not wait_for: in Python 3.11 it forgets a cancellation that comes with the event.
            try:
                async with asyncio.timeout(PACE if self._open else None):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def sweep(self) -> None:
        """Half-open what has cooled down, and say what has changed."""
        self._changed.clear()
        now = self._clock.now()
        for kind in tuple(self._open):
            self._put(kind, cooled(self._circuits[kind], now))
        owed = {
            kind: circuit
            for kind, circuit in self._circuits.items()
            if self._told.get(kind, ("closed", circuit.trips)) != (circuit.state, circuit.trips)
        }
        await tell(self._recorder, [_report(kind, owed[kind], now) for kind in owed])
        self._told |= {kind: (circuit.state, circuit.trips) for kind, circuit in owed.items()}

    def _count(self, event: _Ended, at: datetime) -> None:
        kind = self._kinds.get(event.agent_id)
        if kind is None:
            return
        circuit = self._circuits.get(kind, _CLOSED)
        match event:
            case TaskCompleted():
                circuit = succeeded(circuit, at, fuse=self._fuse)
            case TaskFailed(error_class=error_class):
                if error_class not in FAULTS:
                    return
                # What an agent says of a task may be personal, and a breaker is everybody's.
                why = f"{event.task_id} of {event.run_id}, {error_class}"
                circuit = failed(circuit, at, fuse=self._fuse, why=why)
            case TaskLost(agent_id=agent_id):
                if not self._is_news(agent_id, at):
                    return
                circuit = failed(circuit, at, fuse=self._fuse, why=f"{agent_id} was lost")
        self._put(kind, circuit)

    def _is_news(self, agent_id: str, at: datetime) -> bool:
        """Say whether a loss counts: an agent that dies loses much at once, and counts once."""
        old = at - timedelta(seconds=self._fuse.window)
        self._lost = {one: when for one, when in self._lost.items() if when > old}
        if agent_id in self._lost:
            return False
        self._lost[agent_id] = at
        return True

    def _put(self, kind: Kind, circuit: Circuit) -> None:
        before = self._circuits.get(kind, _CLOSED)
        self._circuits[kind] = circuit
        if circuit.state == "closed":
            self._open.discard(kind)
        else:
            self._open.add(kind)
        if before.state != circuit.state:
            log.warning("breaker.changes", kind=".".join(kind), state=circuit.state)
            self._changed.set()


def _report(kind: Kind, circuit: Circuit, now: datetime) -> Report[AnyReport]:
    role, agent_type = kind
    body: BreakerReport
    match circuit.state:
        case "open":
            assert circuit.until is not None  # noqa: S101 # an open circuit knows how long
            body = BreakerOpened(
                role=role,
                agent_type=agent_type,
                reason=circuit.reason,
                ended=circuit.ended,
                failed=circuit.failed,
                trips=circuit.trips,
                until=circuit.until,
            )
        case "half_open":
            body = BreakerHalfOpened(role=role, agent_type=agent_type, trips=circuit.trips)
        case "closed":
            reason = "a probe succeeded"
            body = BreakerClosed(role=role, agent_type=agent_type, reason=reason)
    stream, purpose = breaker_stream(role, agent_type), f"{circuit.state}/{now}"
    return saying(body, stream, purpose=purpose, now=now, actor=ACTOR)
