"""The recorder: turns what is said into what is recorded, in groups.

Hundreds of reports share one commit. Each is decided against the state that the ones before it in
the group lead to, and answered on its own: a refusal does not touch its neighbours. A report that
was recorded before leads to nothing, because the state shows that it was; one whose commit was lost
on its way is found again by the ids of its events.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from bus.failpoints import reach
from bus.ports import Append, Clock, Store, StreamMoved
from bus.states import MOST_PARTS, SNAPSHOT_EVERY, Known, States
from domain.deciders import ForeignReport, decider_of
from domain.errors import Refused, StreamMovedOn, TaskloomError, Unavailable, UnreadableStream
from domain.policies import AnyReport, Event
from domain.recorded import Recorded, Report, derived_id
from domain.run import Run
from domain.steering import body_of
from domain.vouched import refuse_foreign_agents

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a report led to."""

    stream: str
    version: int
    """The stream's version afterwards."""

    position: int
    """The position of the last event it led to; 0 when it led to none."""

    events: Sequence[Recorded[Event]] = ()


class Poisonous(Refused):
    """A report makes the rules themselves fail: a bug of ours, kept apart from its neighbours."""

    code = "poisonous"

    def __init__(self, error: Exception) -> None:
        super().__init__(f"the rules fail on it with {type(error).__name__}: {error}")


class Contended(Unavailable):
    """Others appended to the same streams first, even in a turn: it was taken away."""

    code = "contended"

    def __init__(self, stream: str) -> None:
        super().__init__(f"others keep appending to {stream} first; say it again")


@dataclass(slots=True)
class _Said:
    report: Report[AnyReport]
    answer: asyncio.Future[Outcome]
    events: list[Recorded[Event]] = field(default_factory=list[Recorded[Event]])
    refusal: Refused | None = None
    based_on: int = 0


class Recorder:
    """Decides and appends what is said, one group after the other."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        group: int = 500,
        most_parts: int = MOST_PARTS,
        snapshot_every: int = SNAPSHOT_EVERY,
        tries: int = 3,
    ) -> None:
        """Take where to record, and how often to lose against others before asking for a turn."""
        self._store = store
        self._clock = clock
        self._group = group
        self._tries = tries
        self._states = States(store, most_parts=most_parts, snapshot_every=snapshot_every)
        self._said: deque[_Said] = deque()
        self._something = asyncio.Event()
        self._is_to_forget = False

    def forget(self) -> None:
        """Load every state anew before the next report: somebody was forgotten."""
        self._is_to_forget = True

    async def record(self, report: Report[AnyReport]) -> Outcome:
        """Record one report and return what it led to, after it is durable.

        Raises:
            Refused: It cannot be true.
            Unavailable: It may be recorded or not; saying it again does no harm.
        """
        return await self._hear(report)

    def record_all(self, reports: Iterable[Report[AnyReport]]) -> list[asyncio.Future[Outcome]]:
        """Hand in reports that belong into one group, and return the answer to come for each."""
        return [self._hear(report) for report in reports]

    async def run(self) -> None:
        """Record groups until cancelled; what was handed in by then is answered or cancelled."""
        try:
            while True:
                await self._something.wait()
                self._something.clear()
                while self._said:
                    if self._is_to_forget:
                        self._states.forget_all()
                        self._is_to_forget = False
                    count = min(self._group, len(self._said))
                    await self._record([self._said.popleft() for _ in range(count)])
        finally:
            for said in self._said:
                said.answer.cancel()
            self._states.close()

    def _hear(self, report: Report[AnyReport]) -> asyncio.Future[Outcome]:
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._said.append(_Said(report, answer))
        self._something.set()
        return answer

    async def _record(self, group: Sequence[_Said]) -> None:
        waiting = list(group)
        try:
            if await self._try(waiting, self._store.append):
                return
            for _ in range(self._tries - 1):
                waiting = await self._without_lost_commits(waiting)
                if await self._try(waiting, self._store.append):
                    return
            # Whoever is slower would lose for ever against one that appends without a pause.
            async with self._store.turn() as append:
                waiting = await self._without_lost_commits(waiting)
                is_settled = await self._try(waiting, append)
        except Unavailable as error:
            for said in waiting:
                _fail(said, error)
        except BaseException:
            for said in waiting:
                said.answer.cancel()
            raise
        else:
            if not is_settled:
                for said in await self._without_lost_commits(waiting):
                    _fail(said, Contended(said.report.stream))

    async def _try(self, group: Sequence[_Said], append: Append) -> bool:
        """Decide and append a group; return False when a stream has moved."""
        loaded = await self._load(group)
        changed = self._decide_all(group)
        if await self._has_missed(group, proven=loaded | changed.keys()):
            await self._load(group)
            changed = self._decide_all(group)
        events = [event for said in group for event in said.events]
        if events:
            reach("recorder.before_append")
            try:
                positions = iter(await append(events))
            except StreamMoved:
                return False
            reach("recorder.after_append")
            for said in group:
                said.events = [replace(event, position=next(positions)) for event in said.events]
        self._states.learn(changed)
        for said in group:
            _answer(said)
        return True

    async def _load(self, group: Sequence[_Said]) -> set[str]:
        """Have the states of a group at hand, and return the streams that were not before."""
        loaded, unreadable = await self._states.load(said.report.stream for said in group)
        for stream, error in unreadable.items():
            _fail_stream(group, stream, error)
        return loaded

    async def _has_missed(self, group: Sequence[_Said], *, proven: AbstractSet[str]) -> bool:
        """Catch up with what others have appended, where no append would show it.

        What leads to no event is answered from memory alone: a refusal must not rest on a state
        that was true once.
        """
        silent = {said.report.stream for said in group if not said.answer.done()} - proven
        return await self._states.have_moved(silent)

    def _decide_all(self, group: Sequence[_Said]) -> dict[str, Known]:
        """Decide each report on the state that those before it lead to, and return the states."""
        now = self._clock.now()
        changed: dict[str, Known] = {}
        for said in group:
            self._decide(said, changed, now)
        return changed

    def _decide(self, said: _Said, changed: dict[str, Known], now: datetime) -> None:
        said.events, said.refusal = [], None
        if said.answer.done():
            return
        report = said.report
        current = changed.get(report.stream) or self._states[report.stream]
        said.based_on = current.version
        decider = decider_of(report.stream)
        try:
            if type(report.body) not in decider.reports:
                raise ForeignReport(report.body.type, report.stream)  # noqa: TRY301 # as the rules would
            if report.at_version not in (None, current.version):
                raise StreamMovedOn(report.stream, report.at_version, current.version)  # noqa: TRY301 # as above
            if report.vouched and isinstance(current.state, Run):
                refuse_foreign_agents(current.state, report.body, report.vouched)
            events: Sequence[Event]
            events, state = decider.advance(current.state, body_of(report), now)
        except Refused as refusal:
            said.refusal = refusal
            return
        except Exception as error:
            log.exception("report.poisonous", report=report.id, stream=report.stream)
            said.refusal = Poisonous(error)
            return
        said.events = [
            Recorded(
                id=derived_id(report.id, str(number)),
                position=0,
                stream=report.stream,
                version=current.version + number,
                event=event,
                at=now,
                actor=report.actor,
                correlation_id=report.correlation_id,
                causation_id=report.id,
                traceparent=report.traceparent,
            )
            for number, event in enumerate(events, start=1)
        ]
        if events:
            version = current.version + len(events)
            changed[report.stream] = Known(state, version, current.kept)

    async def _without_lost_commits(self, group: Sequence[_Said]) -> list[_Said]:
        """Answer the reports whose events are in the log after all, and return the others."""
        expected: dict[str, int] = {}
        for said in group:
            if said.events:
                expected.setdefault(said.report.stream, said.based_on)
        found: dict[str, Recorded[Event]] = {}
        for stream, version in expected.items():
            try:
                tail = await self._store.read(stream, after=version)
            except UnreadableStream as error:
                self._states.forget(stream)
                _fail_stream(group, stream, error)
                continue
            except Unavailable as error:
                for said in group:
                    _fail(said, error)
                return []
            self._states.catch_up(stream, tail)
            found |= {event.id: event for event in tail}
        waiting: list[_Said] = []
        for said in group:
            if said.events and all(event.id in found for event in said.events):
                said.events = [found[event.id] for event in said.events]
                _answer(said)
            else:
                waiting.append(said)
        return waiting


def _answer(said: _Said) -> None:
    if said.answer.done():
        return
    if said.refusal is not None:
        _fail(said, said.refusal)
        return
    last = said.events[-1] if said.events else None
    said.answer.set_result(
        Outcome(
            stream=said.report.stream,
            version=said.based_on if last is None else last.version,
            position=0 if last is None else last.position,
            events=said.events,
        )
    )


def _fail(said: _Said, error: TaskloomError) -> None:
    said.events = []
    if not said.answer.done():
        said.answer.set_exception(error)
        said.answer.exception()  # a caller that has gone meanwhile is not missed


def _fail_stream(group: Sequence[_Said], stream: str, error: TaskloomError) -> None:
    for said in group:
        if said.report.stream == stream:
            _fail(said, error)
