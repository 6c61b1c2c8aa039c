"""The rehearsal: what today's code would make of a dead letter, without recording anything.

Letters are heard in order, each against what is recorded now and what the ones before it would lead
to, as the inbox and the recorder would do, or an agent of the type.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, cast

from bus.envelope import decode_recorded
from bus.heard import hear
from bus.letters import SENT_AGAIN, CannotBeSentAgain, KeptLetter
from bus.messages import arrived
from bus.ports import Clock, Store
from bus.recorder import Poisonous
from bus.states import MOST_PARTS, Known
from bus.suspects import KillsItsReader
from bus.topology import WORK, work_key
from domain.deciders import ForeignReport, decider_of
from domain.errors import Refused, UnknownRun, UnreadableStream
from domain.policies import AnyReport
from domain.recorded import Report
from domain.run import Run
from domain.run_events import ReportIgnored, TaskDispatched

Answer = Literal["accepted", "repeated", "ignored", "refused"]

_WORK: Final = {"task.dispatched": TaskDispatched}


class ForeignWork(Refused):
    """Work is on its way to another queue than the agents of its type read."""

    code = "foreign-work"


class _NotTried(Refused):
    """Nobody should try to read it."""

    code = KillsItsReader.code

    def __init__(self) -> None:
        super().__init__("who read it has died of it: it is not tried here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What would become of a letter: ``repeated`` is recorded already, ``ignored`` too late."""

    letter: int
    cause: str
    answer: Answer
    reason: str = ""
    """Why not, as a stable code."""

    detail: str = ""


class Rehearsal:
    """Hears letters as if they were sent again now."""

    def __init__(self, store: Store, clock: Clock, *, most_parts: int = MOST_PARTS) -> None:
        self._store = store
        self._clock = clock
        self._most_parts = most_parts
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._parts = 0

    async def hear(self, letters: Sequence[KeptLetter]) -> Sequence[Verdict]:
        """Say what would become of letters, one after the other.

        Raises:
            Unavailable: The database does not answer.
        """
        return [await self._hear(letter) for letter in letters]

    async def is_taken(self, letter: KeptLetter) -> bool:
        """Tell whether an agent has taken the work in a letter, or it is needed no more."""
        verdict = await self._hear(letter)
        return verdict.answer == "ignored"

    async def _hear(self, letter: KeptLetter) -> Verdict:
        try:
            if letter.exchange not in SENT_AGAIN:
                raise CannotBeSentAgain(letter.id, letter.exchange)  # as the others
            if letter.reason == KillsItsReader.code:
                raise _NotTried  # as the others
            if letter.exchange == WORK:
                answer, detail = await self._work(letter)
            else:
                answer, detail = await self._report(letter)
        except (Refused, UnreadableStream) as error:
            return Verdict(
                letter=letter.id,
                cause=letter.cause,
                answer="refused",
                reason=error.code,
                detail=str(error),
            )
        return Verdict(letter=letter.id, cause=letter.cause, answer=answer, detail=detail)

    async def _report(self, letter: KeptLetter) -> tuple[Answer, str]:
        heard = hear(arrived(letter.message()))
        if heard.report is None:
            raise heard.refusal or Refused("it cannot be read")
        report: Report[AnyReport] = heard.report
        decider = decider_of(report.stream)
        if type(report.body) not in decider.reports:
            raise ForeignReport(report.body.type, report.stream)
        known = await self._load(report.stream)
        try:
            events = decider.decide(known.state, report.body, self._clock.now())
            state = known.state
            for event in events:
                state = decider.evolve(state, event)
        except Refused:
            raise
        except Exception as error:  # as the recorder: a bug of ours is a reason of its own
            raise Poisonous(error) from error
        if not events:
            return "repeated", "it is recorded already"
        self._remember(report.stream, replace(known, state=state))
        if isinstance(first := events[0], ReportIgnored):
            return "ignored", first.reason
        return "accepted", f"leads to {', '.join(sorted({str(event.type) for event in events}))}"

    async def _work(self, letter: KeptLetter) -> tuple[Answer, str]:
        message = letter.message()
        recorded = decode_recorded(message.body, _WORK)
        task = recorded.event
        if not message.key.endswith(key := work_key(task.role, task.agent, task.lane)):
            raise ForeignWork(f"its key is {message.key}; agents of its type read {key}")
        run = cast("Run | None", (await self._load(task.run_id)).state)
        state = run.state(task.task_id) if run else None
        if state is None:
            raise UnknownRun(task.run_id)
        if state.epoch != task.epoch:
            return "ignored", f"the task is at epoch {state.epoch}"
        if state.status != "dispatched":
            return "ignored", f"the task is {state.status}"
        return "accepted", f"{task.role} agents of type {task.agent} take it"

    async def _load(self, stream: str) -> Known:
        if (known := self._known.get(stream)) is None:
            state, version = await self._store.load(stream)
            known = Known(state, version, version)
            self._remember(stream, known)
        return known

    def _remember(self, stream: str, known: Known) -> None:
        if (before := self._known.pop(stream, None)) is not None:
            self._parts -= before.parts
        self._known[stream] = known
        self._parts += known.parts
        while self._parts > self._most_parts and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            self._parts -= dropped.parts
