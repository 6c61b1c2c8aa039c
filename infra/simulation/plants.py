"""Bugs that are put into the product on purpose: a simulation that misses them proves nothing.

Each replaces one function of the real code for as long as it is planted. None of the product knows
of them.
"""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from agents.kit.carrier import Carrier
from agents.kit.ended import Ended
from agents.kit.held import Held
from bus import leases, relay
from bus.follower import Follower
from bus.inbox import Inbox
from bus.leases import LeaseKeeper
from bus.owed import OwedWork
from bus.ports import StreamMoved
from bus.recorder import Outcome, Recorder
from bus.states import States
from domain import run_attempts, run_decisions
from domain.errors import Conflict
from domain.leases import ANYBODY
from domain.recorded import derived_id
from domain.run import Run, TaskState
from domain.run_course import Course
from infra.simulation.store import SimulatedStore
from projections.runner import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A bug that can be planted for a while."""

    name: str
    what: str
    expected: frozenset[str]
    """The invariants of which at least one must find it."""

    planted: Callable[[], AbstractContextManager[None]]


def _swap(*swaps: tuple[Any, str, Any]) -> Callable[[], AbstractContextManager[None]]:
    """Return what replaces attributes of modules and classes for a while."""

    @contextmanager
    def planted() -> Generator[None]:
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in swaps]
        for owner, name, bug in swaps:
            setattr(owner, name, bug)
        try:
            yield
        finally:
            for owner, name, good in before:
                setattr(owner, name, good)

    return planted


# The bugs reach into private parts by design, and have the types of what they replace.


_settle: Any = Inbox._settle  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


async def _ack_first(self: Any, opened: Any) -> None:
    await opened.group.ack()
    await asyncio.sleep(0.02)
    await _settle(self, opened)


async def _ack_before_burial(self: Any, opened: Any) -> None:
    await self._insist(opened)
    await opened.group.ack()
    await asyncio.sleep(0.3)
    await _settle(self, opened)


def _never_repeated(state: Any, report: Any) -> bool:
    del state, report
    return False


_why_ignored: Any = run_decisions._why_ignored  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


def _no_fence(state: Any, report: Any) -> str:
    return str(_why_ignored(replace(state, epoch=min(state.epoch, report.epoch)), report))


def _no_holder(state: Any, report: Any) -> str:
    return str(_why_ignored(replace(state, agent_id=report.agent_id), report))


def _no_end(state: Any, report: Any) -> str:
    if state.status == "cancelled":
        return ""
    return str(_why_ignored(state, report))


_messages_of: Any = relay.messages_of
_numbers = iter(range(10**12))


def _fresh_ids(recorded: Any, **options: Any) -> Any:
    return [
        replace(message, message_id=derived_id(message.message_id, f"again/{next(_numbers)}"))
        for message in _messages_of(recorded, **options)
    ]


async def _advance_first(self: Any) -> None:
    position = await self._positions.position_of(self.name)
    while True:
        events = await self._log.read_all(after=position, limit=self._batch)
        if not events:
            await self._log.wait(1.0)
            continue
        position = events[-1].position
        await self._positions.advance(self.name, position)
        await self._hear(events)


def _forget_held(self: Any, held: Any, taken: Any) -> None:
    del held
    again = asyncio.ensure_future(_carry_again(self, taken))
    self._running.add(again)


async def _carry_again(carrier: Any, taken: Any) -> None:
    recorded = carrier._read(taken.body)  # noqa: SLF001
    taken.ack()
    held = Held(taken)
    await carrier._attempt(recorded.event, held)  # noqa: SLF001


def _nothing_ended(self: Any, attempt: Any) -> None:
    del self, attempt


async def _two_transactions(self: Any, group: Any, events: Any) -> None:
    views = [followed.view for followed in group]
    last = events[-1].position
    async with self._store.turn(views) as turn:
        for view in views:
            await turn.fold(view, events)
    async with self._store.turn(views) as turn:
        await turn.advance(views, to=last)
    for followed in group:
        followed.position = last


async def _position_first(self: Any, group: Any, events: Any) -> None:
    views = [followed.view for followed in group]
    last = events[-1].position
    async with self._store.turn(views) as turn:
        await turn.advance(views, to=last)
    async with self._store.turn(views) as turn:
        for view in views:
            await turn.fold(view, events)
    for followed in group:
        followed.position = last


def _never_lost(*_: Any, **__: Any) -> bool:
    return False


_hear: Any = LeaseKeeper.hear


def _by_their_clock(self: Any, heartbeat: Any) -> None:
    _hear(self, heartbeat)
    self._heard.agents[heartbeat.agent_id] = heartbeat.at
    for task in heartbeat.tasks:
        for agent_id in (heartbeat.agent_id, ANYBODY):
            key = (task.run_id, task.task_id, task.epoch, agent_id)
            self._heard.attempts[key] = heartbeat.at


async def _conflict(self: Any, group: Sequence[Any]) -> list[Any]:
    for said in group:
        self._states.forget(said.report.stream)
        if said.events and not said.answer.done():
            said.events = []
            said.answer.set_exception(Conflict("somebody else was first"))
            said.answer.exception()
    return [said for said in group if not said.answer.done()]


_without_lost_commits: Any = Recorder._without_lost_commits  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


async def _lose_cancels(self: Any, group: Sequence[Any]) -> list[Any]:
    waiting = await _without_lost_commits(self, group)
    for said in waiting:
        if said.report.body.type == "run.cancel_requested" and not said.answer.done():
            said.events = []
            said.answer.set_result(_silence(said))
    return [said for said in waiting if not said.answer.done()]


def _silence(said: Any) -> Any:
    return Outcome(stream=said.report.stream, version=said.based_on, position=0)


_decide_all: Any = Recorder._decide_all  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


def _keep_early(self: Any, group: Any) -> Mapping[str, Any]:
    changed: Mapping[str, Any] = _decide_all(self, group)
    for stream, known in changed.items():
        keeping = self._states._keep(stream, known.state, known.version)  # noqa: SLF001
        self._states._keeping.add(asyncio.ensure_future(keeping))  # noqa: SLF001
    return changed


async def _look_away(self: Any) -> None:
    del self


def _any_number(run: Any, task: Any) -> int:
    del run, task
    return 1_000


async def _append_unlocked(self: Any, events: Any) -> Any:
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


async def _never_look(self: Any, silent: Any) -> bool:
    del self, silent
    return False


def _answer_the_last(self: Any, held: Any, taken: Any) -> None:
    del self
    if held.state == "waiting":
        held.delivery = taken
    else:
        taken.ack()


def _always_room(self: Any, agent_type: Any) -> bool:
    del self, agent_type
    return True


async def _claim_nothing(self: Any, recorded: Any, held: Any) -> None:
    del self, recorded
    held.state = "running"


def _never_rest(self: Any) -> Any:
    for place in sorted(self.run.ready):
        self._dispatch_from(place)
    return _go_on(self)


_go_on: Any = Course.go_on


PLANTS: Final[Sequence[Plant]] = (
    Plant(
        name="ack-before-commit",
        what="the inbox acknowledges reports before they are recorded",
        expected=frozenset({"I11", "I12"}),
        planted=_swap((Inbox, "_settle", _ack_first)),
    ),
    Plant(
        name="ack-before-burial",
        what="the inbox acknowledges what it refuses before it lies with the dead letters",
        expected=frozenset({"I12", "I11"}),
        planted=_swap((Inbox, "_settle", _ack_before_burial)),
    ),
    Plant(
        name="repeats-count",
        what="the rules do not recognise what the record says already",
        expected=frozenset({"I2", "I5", "I6"}),
        planted=_swap((run_decisions, "_is_repeated", _never_repeated)),
    ),
    Plant(
        name="no-epoch-fence",
        what="a report of an earlier attempt counts",
        expected=frozenset({"I8", "I6"}),
        planted=_swap((run_decisions, "_why_ignored", _no_fence)),
    ),
    Plant(
        name="no-holder-fence",
        what="a report counts whoever holds the attempt",
        expected=frozenset({"I8"}),
        planted=_swap((run_decisions, "_why_ignored", _no_holder)),
    ),
    Plant(
        name="end-is-not-final",
        what="a report counts although the task was cancelled",
        expected=frozenset({"I5"}),
        planted=_swap((run_decisions, "_why_ignored", _no_end)),
    ),
    Plant(
        name="fresh-ids",
        what="the relay gives a message another id each time",
        expected=frozenset({"I4"}),
        planted=_swap((relay, "messages_of", _fresh_ids)),
    ),
    Plant(
        name="advance-before-hearing",
        what="followers move their position before what it stands for is done",
        expected=frozenset({"I4", "I16", "I3"}),
        planted=_swap((Follower, "_follow", _advance_first)),
    ),
    Plant(
        name="carried-out-twice",
        what="an agent carries out an attempt again when it is delivered again",
        expected=frozenset({"I7"}),
        planted=_swap((Carrier, "_meet_again", _forget_held), (Ended, "report_of", _nothing_ended)),
    ),
    Plant(
        name="first-delivery-unanswered",
        what="an agent answers only the latest of two deliveries of the same attempt",
        expected=frozenset({"I17"}),
        planted=_swap((Carrier, "_meet_again", _answer_the_last)),
    ),
    Plant(
        name="needs-not-awaited",
        what="a task counts as ready before all that it needs",
        expected=frozenset({"I13"}),
        planted=_swap(
            (TaskState, "is_ready", property(lambda self: self.status in ("pending", "lost")))  # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType]
        ),
    ),
    Plant(
        name="effect-before-claim",
        what="an agent does not wait until its claim of an external effect is granted",
        expected=frozenset({"I7"}),
        planted=_swap((Carrier, "_claim", _claim_nothing)),
    ),
    Plant(
        name="never-rests",
        what="a run that was paused goes on dispatching",
        expected=frozenset({"I6"}),
        planted=_swap((Course, "go_on", _never_rest)),
    ),
    Plant(
        name="room-for-any-number",
        what="a run dispatches however much it has under way",
        expected=frozenset({"I6"}),
        planted=_swap((Run, "has_room", _always_room)),
    ),
    Plant(
        name="position-later",
        what="a view commits its position in a second transaction",
        expected=frozenset({"I9"}),
        planted=_swap((Runner, "_commit", _two_transactions)),
    ),
    Plant(
        name="position-earlier",
        what="a view commits its rows in a second transaction",
        expected=frozenset({"I9"}),
        planted=_swap((Runner, "_commit", _position_first)),
    ),
    Plant(
        name="leases-never-end",
        what="nothing is ever lost with its agent",
        expected=frozenset({"I16"}),
        planted=_swap((leases, "is_lost", _never_lost)),
    ),
    Plant(
        name="leases-by-agents-clocks",
        what="the lease keeper believes the clocks of the agents",
        expected=frozenset({"I16"}),
        planted=_swap((LeaseKeeper, "hear", _by_their_clock)),
    ),
    Plant(
        name="lost-commit-refused",
        what="a commit whose answer was lost is taken for somebody else's",
        expected=frozenset({"I1", "I12"}),
        planted=_swap((Recorder, "_without_lost_commits", _conflict)),
    ),
    Plant(
        name="cancel-lost-in-race",
        what="a cancellation that meets another append is answered and forgotten",
        expected=frozenset({"I1", "I16"}),
        planted=_swap((Recorder, "_without_lost_commits", _lose_cancels)),
    ),
    Plant(
        name="snapshot-before-commit",
        what="snapshots are kept before what they show is recorded",
        expected=frozenset({"I2", "I16", "I18", "I6", "I5"}),
        planted=_swap((Recorder, "_decide_all", _keep_early)),
    ),
    Plant(
        name="stale-refusals",
        what="what leads to no event is answered from memory alone",
        expected=frozenset({"I1", "I11", "I12"}),
        planted=_swap((States, "forget_outdated", _never_look)),
    ),
    Plant(
        name="owed-never-sent",
        what="work that got lost is never sent again",
        expected=frozenset({"I16"}),
        planted=_swap((OwedWork, "look", _look_away)),
    ),
    Plant(
        name="retry-without-bound",
        what="a task may fail as often as it likes",
        expected=frozenset({"I6"}),
        planted=_swap((run_attempts, "_attempts", _any_number)),
    ),
    Plant(
        name="positions-before-commit",
        what="positions are drawn before the commit, and no lock orders the commits",
        expected=frozenset({"I3", "I4", "I9"}),
        planted=_swap((SimulatedStore, "append", _append_unlocked)),
    ),
)
