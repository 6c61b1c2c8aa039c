"""The bugs themselves: each has the place, and the types, of a function of the real code."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agents.kit.held import Held
from bus import relay
from bus.inbox import Inbox
from bus.leases import LeaseKeeper
from bus.ports import StreamMoved
from bus.recorder import Outcome, Recorder
from domain import run_decisions
from domain.errors import Conflict
from domain.leases import ANYBODY
from domain.recorded import derived_id
from domain.run_course import Course

_settle: Any = Inbox._settle  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


async def ack_first(self: Any, opened: Any) -> None:
    await opened.group.ack()
    await asyncio.sleep(0.02)
    await _settle(self, opened)


async def ack_before_burial(self: Any, opened: Any) -> None:
    await self._insist(opened)
    await opened.group.ack()
    await asyncio.sleep(0.3)
    await _settle(self, opened)


def never_repeated(state: Any, report: Any) -> bool:
    del state, report
    return False


_why_ignored: Any = run_decisions._why_ignored  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


def no_fence(state: Any, report: Any) -> str:
    return str(_why_ignored(replace(state, epoch=min(state.epoch, report.epoch)), report))


def no_holder(state: Any, report: Any) -> str:
    return str(_why_ignored(replace(state, agent_id=report.agent_id), report))


def no_end(state: Any, report: Any) -> str:
    if state.status == "cancelled":
        return ""
    return str(_why_ignored(state, report))


_messages_of: Any = relay.messages_of


_numbers = iter(range(10**12))


def fresh_ids(recorded: Any, **options: Any) -> Any:
    return [
        replace(message, message_id=derived_id(message.message_id, f"again/{next(_numbers)}"))
        for message in _messages_of(recorded, **options)
    ]


async def advance_first(self: Any) -> None:
    position = await self._positions.position_of(self.name)
    while True:
        events = await self._log.read_all(after=position, limit=self._batch)
        if not events:
            await self._log.wait(1.0)
            continue
        position = events[-1].position
        await self._positions.advance(self.name, position)
        await self._hear(events)


def forget_held(self: Any, held: Any, taken: Any) -> None:
    del held
    again = asyncio.ensure_future(_carry_again(self, taken))
    self._running.add(again)


async def _carry_again(carrier: Any, taken: Any) -> None:
    recorded = carrier._read(taken.body)  # noqa: SLF001
    taken.ack()
    held = Held(taken)
    await carrier._attempt(recorded.event, held)  # noqa: SLF001


def nothing_ended(self: Any, attempt: Any) -> None:
    del self, attempt


async def two_transactions(self: Any, group: Any, events: Any) -> None:
    views = [followed.view for followed in group]
    last = events[-1].position
    async with self._store.turn(views) as turn:
        for view in views:
            await turn.fold(view, events)
    async with self._store.turn(views) as turn:
        await turn.advance(views, to=last)
    for followed in group:
        followed.position = last


async def position_first(self: Any, group: Any, events: Any) -> None:
    views = [followed.view for followed in group]
    last = events[-1].position
    async with self._store.turn(views) as turn:
        await turn.advance(views, to=last)
    async with self._store.turn(views) as turn:
        for view in views:
            await turn.fold(view, events)
    for followed in group:
        followed.position = last


def never_lost(*_: Any, **__: Any) -> bool:
    return False


_hear: Any = LeaseKeeper.hear


def by_their_clock(self: Any, heartbeat: Any) -> None:
    _hear(self, heartbeat)
    self._heard.agents[heartbeat.agent_id] = heartbeat.at
    for task in heartbeat.tasks:
        for agent_id in (heartbeat.agent_id, ANYBODY):
            key = (task.run_id, task.task_id, task.epoch, agent_id)
            self._heard.attempts[key] = heartbeat.at


async def conflict(self: Any, group: Sequence[Any]) -> list[Any]:
    for said in group:
        self._states.forget(said.report.stream)
        if said.events and not said.answer.done():
            said.events = []
            said.answer.set_exception(Conflict("somebody else was first"))
            said.answer.exception()
    return [said for said in group if not said.answer.done()]


_without_lost_commits: Any = Recorder._without_lost_commits  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


async def lose_cancels(self: Any, group: Sequence[Any]) -> list[Any]:
    waiting = await _without_lost_commits(self, group)
    for said in waiting:
        if said.report.body.type == "run.cancel_requested" and not said.answer.done():
            said.events = []
            said.answer.set_result(_silence(said))
    return [said for said in waiting if not said.answer.done()]


def _silence(said: Any) -> Any:
    return Outcome(stream=said.report.stream, version=said.based_on, position=0)


_decide_all: Any = Recorder._decide_all  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


def keep_early(self: Any, group: Any) -> Mapping[str, Any]:
    changed: Mapping[str, Any] = _decide_all(self, group)
    for stream, known in changed.items():
        keeping = self._states._keep(stream, known.state, known.version)  # noqa: SLF001
        self._states._keeping.add(asyncio.ensure_future(keeping))  # noqa: SLF001
    return changed


async def look_away(self: Any) -> None:
    del self


def any_number(run: Any, task: Any) -> int:
    del run, task
    return 1_000


async def append_unlocked(self: Any, events: Any) -> Any:
    """Draw positions before the commit, without the lock that orders all appends."""
    await self.call()
    database = self._database
    taken = {event.stream: len(database.streams.get(event.stream, ())) for event in events}
    if any(event.version <= taken[event.stream] for event in events):
        raise StreamMoved
    first = getattr(database, "head", 0) + 1
    first = max(first, _drawn.get(id(database), 0) + 1)
    positions = range(first, first + len(events))
    _drawn[id(database)] = positions[-1]
    await asyncio.sleep(self._world.latency(0.01))
    taken = {event.stream: len(database.streams.get(event.stream, ())) for event in events}
    if any(event.version <= taken[event.stream] for event in events):
        raise StreamMoved
    database.commit(events, positions, self._process.name)
    return positions


_drawn: dict[int, int] = {}


async def never_look(self: Any, silent: Any) -> bool:
    del self, silent
    return False


def answer_the_last(self: Any, held: Any, taken: Any) -> None:
    del self
    if held.state == "waiting":
        held.delivery = taken
    else:
        taken.ack()


def always_room(self: Any, agent_type: Any) -> bool:
    del self, agent_type
    return True


async def claim_nothing(self: Any, recorded: Any, held: Any) -> None:
    del self, recorded
    held.state = "running"


_go_on: Any = Course.go_on


def never_rest(self: Any) -> Any:
    for place in sorted(self.run.ready):
        self._dispatch_from(place)
    return _go_on(self)
