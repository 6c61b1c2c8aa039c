"""The inbox: takes reports off the queue, hears what they say, and answers when it is durable.

Decoding goes ahead while the recorder commits. A group is acknowledged as a whole, in order, when
each of its messages is recorded or lies with the dead letters; until then the broker keeps it.
What is delivered again may have killed its reader: it is entered in a ledger before it is read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import structlog

from bus.dead_letters import DeadLetters, earlier_life
from bus.failpoints import reach
from bus.heard import Heard, hear
from bus.held import Holding, Moving
from bus.ports import Group, Source
from bus.recorder import Outcome, Recorder
from bus.redrives import Acceptance
from bus.refusals import UnsupportedEncoding
from bus.suspects import MOST, KillsItsReader, Ledger, fingerprint, portions
from bus.together import run_together
from domain.errors import Refused, Unavailable, UnreadableStream

log = structlog.get_logger(__name__)

T = TypeVar("T")

AHEAD = 4
"""How many groups are decoded before the oldest is answered."""


@dataclass(slots=True)
class _Open:
    group: Group
    heard: Sequence[Heard]
    answers: Sequence[asyncio.Future[Outcome]]
    suspects: Sequence[str]
    """What was entered in the ledger for it."""

    moving: Moving = ()


class Redriven(Protocol):
    """Remembers what became of dead letters that were sent again."""

    async def accepted(self, acceptances: Sequence[Acceptance]) -> None:
        """Remember that what letters say is recorded; saying it again does no harm.

        Raises:
            Unavailable: It may be remembered or not.
        """
        ...


class Gatekeeper(Protocol):
    """Says whether whoever sent a report may say it."""

    async def check(self, group: Sequence[Heard]) -> None:
        """Refuse what is not for its senders to say.

        Raises:
            Unavailable: The database does not answer; checking again does no harm.
        """
        ...

    async def tell(self, group: Sequence[Heard]) -> None:
        """Record the offences in a group that is answered.

        Raises:
            Unavailable: Some may not be recorded; telling them again does no harm.
        """
        ...


class Inbox:
    """Feeds one queue of reports to the recorder."""

    def __init__(
        self,
        source: Source,
        recorder: Recorder,
        dead_letters: DeadLetters,
        *,
        ledger: Ledger | None = None,
        redriven: Redriven | None = None,
        gate: Gatekeeper | None = None,
        holding: Holding | None = None,
        group: int = 500,
    ) -> None:
        """Take where reports come from and go to.

        Without a ledger, what is delivered again is read one by one. ``redriven`` is told what
        became of letters that were sent again. Without a gate, everybody may say everything, but
        nobody has agreed on sending it compressed. Without ``holding``, nobody has to wait.
        """
        self._holding = holding
        self._gate = gate
        self._source = source
        self._recorder = recorder
        self._dead_letters = dead_letters
        self._ledger = ledger
        self._redriven = redriven
        self._group = group
        self._open: asyncio.Queue[_Open] = asyncio.Queue(AHEAD)
        self.accepted = 0
        """How many reports were recorded, or need not be."""

        self.again = 0
        """How many messages came that had come before; they are counted once more above."""

        self.refused = 0
        """How many messages have become dead letters."""

        self.held = 0
        """How many messages wait elsewhere."""

        self._under_way = 0

    async def run(self) -> None:
        """Take, hear and answer until cancelled; what is unanswered then comes again."""
        try:
            await run_together(self._take(), self._answer())
        finally:
            counts = {"accepted": self.accepted, "refused": self.refused, "again": self.again}
            log.info("inbox.ends", queue=self._source.queue, **counts, held=self.held)

    def is_idle(self) -> bool:
        """Say whether nothing is being heard."""
        return not self._under_way

    async def _take(self) -> None:
        async for group in self._source.groups(self._group):
            reach("inbox.after_receive")
            if not group.deliveries[0].is_redelivered:
                await self._read(group)
                continue
            self.again += len(group.deliveries)
            await self._open.join()
            if self._ledger is None:
                for place in range(len(group.deliveries)):
                    await self._read(group.part(place, place + 1))
                    await self._open.join()
            else:
                await self._suspect(group, self._ledger)

    async def _suspect(self, group: Group, ledger: Ledger) -> None:
        """Read what is delivered again so that, if it kills, it shows what it was."""
        names = [fingerprint(delivery) for delivery in group.deliveries]
        entries = await _insist_on(lambda: ledger.entries(names))
        for start, end in portions(names, entries):
            part, named = group.part(start, end), names[start:end]
            deaths = entries.get(named[0], 0)
            if deaths >= MOST:
                await self._bury(part, KillsItsReader(deaths))
                await _insist_on(partial(ledger.clear, named))
                continue
            await _insist_on(partial(ledger.enter, named))
            await self._read(part, suspects=named)
            await self._open.join()

    async def _bury(self, group: Group, refusal: Refused) -> None:
        log.error("inbox.buries", code=refusal.code, why=str(refusal))
        refused = [(delivery, refusal) for delivery in group.deliveries]
        await self._dead_letters.send(refused, queue=self._source.queue)
        self.refused += len(refused)
        await group.ack()

    async def _read(self, group: Group, *, suspects: Sequence[str] = ()) -> None:
        heard = [hear(delivery) for delivery in group.deliveries]
        await self._check(heard)
        moving: Moving = () if self._holding is None else self._holding.begin(heard)
        self._under_way += 1
        answers = self._recorder.record_all(
            each.report for each in heard if each.report is not None
        )
        await self._open.put(_Open(group, heard, answers, suspects, moving))

    async def _check(self, group: Sequence[Heard]) -> None:
        if (gate := self._gate) is not None:
            await _insist_on(lambda: gate.check(group))
            return
        for heard in group:
            if heard.report is not None and heard.encoding is not None:
                heard.refuse(UnsupportedEncoding(f"nobody agreed on {heard.encoding}"))

    async def _answer(self) -> None:
        while True:
            opened = await self._open.get()
            await self._settle(opened)
            self._under_way -= 1
            self._open.task_done()

    async def _settle(self, opened: _Open) -> None:
        await self._insist(opened)
        refused = [(h.delivery, h.refusal) for h in opened.heard if h.refusal is not None]
        if refused:
            await self._dead_letters.send(refused, queue=self._source.queue)
            if (gate := self._gate) is not None:
                await _insist_on(lambda: gate.tell(opened.heard))
        if self._holding is not None:
            await self._holding.end(opened.moving)
        accepted = _accepted(opened.heard)
        if accepted and (redriven := self._redriven) is not None:
            await _insist_on(lambda: redriven.accepted(accepted))
        self.refused += len(refused)
        held = len(opened.moving)
        self.held += held
        self.accepted += len(opened.heard) - len(refused) - held
        if opened.suspects and (ledger := self._ledger) is not None:
            await _insist_on(lambda: ledger.clear(opened.suspects))
        reach("inbox.before_ack")
        await opened.group.ack()
        reach("inbox.after_ack")

    async def _insist(self, opened: _Open) -> None:
        """Wait until each report is recorded or refused.

        What is unavailable is said again, all of it in one group: after an outage nobody waits for
        as many commits as there are reports.
        """
        owed = [heard for heard in opened.heard if heard.report is not None]
        answers = opened.answers
        pause = 0.1
        while True:
            outcomes = await asyncio.gather(*answers, return_exceptions=True)
            unavailable: list[Heard] = []
            why = ""
            for heard, outcome in zip(owed, outcomes, strict=True):
                if isinstance(outcome, Refused | UnreadableStream):
                    heard.refusal = outcome
                elif isinstance(outcome, Unavailable):
                    unavailable.append(heard)
                    why = str(outcome)
                elif isinstance(outcome, BaseException):
                    raise outcome
                else:
                    heard.position = outcome.position
            if not unavailable:
                return
            log.warning("inbox.waits", reports=len(unavailable), why=why)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)
            owed = unavailable
            answers = self._recorder.record_all(
                heard.report for heard in owed if heard.report is not None
            )


async def _insist_on(question: Callable[[], Awaitable[T]]) -> T:
    """Ask the database until it answers."""
    while True:
        try:
            return await question()
        except Unavailable as error:
            log.warning("inbox.waits", why=str(error))
            await asyncio.sleep(0.2)


def _accepted(heard: Sequence[Heard]) -> Sequence[Acceptance]:
    return [
        Acceptance(letter=life[0], number=life[1], message_id=one.report.id, position=one.position)
        for one in heard
        if one.report is not None
        and one.refusal is None
        and (life := earlier_life(one.delivery.properties.headers))
    ]
