"""The redriver: carries redrives out. A letter is claimed before it is sent, and marked afterwards.

Whatever ends it in between, the claim is kept: whoever comes next sends what was claimed again,
under the same id and with the same number, so that it is recorded once and dies at most once.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from bus.connect import reconnect_interval
from bus.failpoints import reach
from bus.letters import KeptLetter
from bus.messages import Outcome
from bus.ports import Clock, Sender, Store
from bus.redrives import Acceptance, Claims, Redrive
from bus.rehearsal import Rehearsal
from bus.together import end
from bus.topology import WORK
from domain.errors import TaskloomError, Unavailable

log = structlog.get_logger(__name__)

AT_ONCE: Final = 200
"""Letters that are claimed together: as many as the publisher has unconfirmed."""

SIDE_BY_SIDE: Final = 8
"""Redrives that are carried out at the same time; others wait for their turn."""

_LOOK_AGAIN: Final = 0.5
_STEPS_A_SECOND: Final = 5
"""Into so many portions a second of a slow redrive is cut."""

_REFUSALS: Final = 5
"""How often no queue takes a letter before it is kept again."""


class Redriver:
    """Looks for redrives and carries them out until cancelled."""

    def __init__(
        self,
        claims: Claims,
        publisher: Sender,
        store: Store,
        clock: Clock,
        *,
        patience: float = 30.0,
    ) -> None:
        """Take the ports; a canary is halted after ``patience`` seconds without its fate."""
        self._claims = claims
        self._publisher = publisher
        self._store = store
        self._clock = clock
        self._patience = patience
        self._busy: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Carry out what is asked for, several redrives side by side."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(_LOOK_AGAIN)
        finally:
            await end(self._busy.values())

    async def carry_out(self, redrive: Redrive) -> None:
        """Send what a redrive has left, then the rest of it, to its end.

        Raises:
            Unavailable: The database does not answer; the redrive goes on another time.
        """
        while left := await self._claims.left(redrive.id, limit=AT_ONCE):
            await self._send(redrive, left)
        if redrive.status != "running":
            return
        if not redrive.is_canary_well and not await self._try_canary(redrive):
            return
        while await self._send_next(redrive, limit=_portion(redrive)):
            pass
        await self._claims.end(redrive.id, "completed")
        log.info("redrive.completed", redrive=redrive.id)

    async def _look(self) -> None:
        for number, task in tuple(self._busy.items()):
            if task.done():
                del self._busy[number]
        try:
            under_way = await self._claims.under_way()
        except Unavailable as error:
            log.warning("redrive.waits", why=str(error))
            return
        for redrive in under_way:
            if redrive.id not in self._busy and len(self._busy) < SIDE_BY_SIDE:
                self._busy[redrive.id] = asyncio.create_task(self._safely(redrive))

    async def _safely(self, redrive: Redrive) -> None:
        """Carry out one redrive; what fails on a letter must not stop the coordinator."""
        try:
            await self.carry_out(redrive)
        except Unavailable as error:
            log.warning("redrive.waits", redrive=redrive.id, why=str(error))
        except Exception as error:
            if not isinstance(error, TaskloomError):
                log.exception("redrive.failed", redrive=redrive.id)
            await self._give_up(redrive, f"it fails with {type(error).__name__}: {error}")

    async def _try_canary(self, redrive: Redrive) -> bool:
        """Send the first few and wait for their fate; tell whether the rest may follow."""
        wanted = redrive.wish.canary
        while missing := wanted - (await self._claims.show(redrive.id)).fates.claimed:
            if not await self._send_next(redrive, limit=min(missing, AT_ONCE)):
                break
        deadline = asyncio.get_running_loop().time() + self._patience
        while True:
            await self._ask_agents(redrive)
            seen = await self._claims.show(redrive.id)
            if seen.status != "running":
                return False
            fates = seen.fates
            if bad := fates.died + fates.returned:
                await self._halt(redrive, f"{bad} of the first {fates.claimed} died again")
                return False
            if not fates.unanswered:
                await self._claims.canary_is_well(redrive.id)
                return True
            if asyncio.get_running_loop().time() > deadline:
                why = f"{fates.unanswered} of the first {fates.claimed} have had no answer"
                await self._halt(redrive, f"{why} within {self._patience:g} s")
                return False
            await asyncio.sleep(_LOOK_AGAIN / 2)

    async def _ask_agents(self, redrive: Redrive) -> None:
        """Find out which work of a canary was taken: nobody reports on the message itself."""
        rehearsal = Rehearsal(self._store, self._clock)
        waiting = await self._claims.canaries(redrive.id)
        taken = [
            Acceptance(
                letter=letter.id,
                number=letter.redrives,
                message_id=letter.message().message_id,
                position=0,
            )
            for letter in waiting
            if letter.exchange == WORK and await rehearsal.is_taken(letter)
        ]
        if taken:
            await self._claims.accepted(taken)

    async def _send_next(self, redrive: Redrive, *, limit: int) -> bool:
        """Claim and send the next letters; tell whether there may be more."""
        found = await self._claims.next(redrive.id, limit=limit)
        if not found:
            return False
        wanted = found
        if redrive.wish.only_accepted:
            verdicts = await Rehearsal(self._store, self._clock).hear(found)
            wanted = [
                letter
                for letter, verdict in zip(found, verdicts, strict=True)
                if verdict.answer == "accepted"
            ]
        claimed = await self._claims.claim(
            redrive.id,
            [letter.id for letter in wanted],
            up_to=found[-1].id,
            skipped=len(found) - len(wanted),
        )
        reach("redrive.after_claim", redrive.id)
        await self._send(redrive, claimed)
        if redrive.wish.rate is not None:
            await asyncio.sleep(len(claimed) / redrive.wish.rate)
        return True

    async def _send(self, redrive: Redrive, letters: Sequence[KeptLetter]) -> None:
        """Publish letters until the broker has each of them, or no queue for it."""
        owed = letters
        refusals = 0
        while owed:
            outcomes = await self._publisher.publish_all(letter.message() for letter in owed)
            told = list(zip(owed, outcomes, strict=True))
            reach("redrive.after_publish", redrive.id)
            await self._claims.sent(redrive.id, _numbers(told, "confirmed"))
            reach("redrive.after_mark", redrive.id)
            owed = [letter for letter, outcome in told if outcome != "confirmed"]
            if not owed:
                return
            unroutable = _numbers(told, "unroutable")
            refusals = refusals + 1 if len(unroutable) == len(owed) else 0
            if refusals == _REFUSALS:
                await self._claims.returned(redrive.id, unroutable, why="no queue takes it")
                return
            log.warning("redrive.repeats", redrive=redrive.id, letters=len(owed))
            await asyncio.sleep(reconnect_interval())

    async def _give_up(self, redrive: Redrive, why: str) -> None:
        """Halt a redrive, and keep what it has under way: else it would fail again and again."""
        await self._halt(redrive, why)
        try:
            while left := await self._claims.left(redrive.id, limit=AT_ONCE):
                await self._claims.returned(redrive.id, [one.id for one in left], why=why[:500])
        except Unavailable as error:
            log.warning("redrive.waits", redrive=redrive.id, why=str(error))

    async def _halt(self, redrive: Redrive, why: str) -> None:
        log.warning("redrive.halted", redrive=redrive.id, why=why)
        try:
            await self._claims.end(redrive.id, "halted", outcome=why[:500])
        except Unavailable as error:
            log.warning("redrive.waits", redrive=redrive.id, why=str(error))


def _portion(redrive: Redrive) -> int:
    """Return how many letters are sent in one go, so that a slow redrive is even."""
    rate = redrive.wish.rate
    return AT_ONCE if rate is None else max(1, min(AT_ONCE, int(rate / _STEPS_A_SECOND)))


def _numbers(told: Sequence[tuple[KeptLetter, Outcome]], outcome: Outcome) -> Sequence[int]:
    return [letter.id for letter, became in told if became == outcome]
