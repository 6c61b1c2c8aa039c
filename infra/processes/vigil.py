"""Watches over agents whose process lives and whose heart does not, and starts them again.

Only who starts processes can do that, and it needs no view and no database to see it: it hears the
same heartbeats as everybody. An agent that lets nothing else run for a minute falls silent by
itself; one that stands still does at once.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

import structlog

from bus.connect import connect, reconnect_interval
from bus.ears import Ears
from bus.leases import DEAF
from bus.lost import LOST, telling_loss
from bus.publishing import Publisher
from bus.signals import Heartbeat
from bus.together import run_together
from infra.processes.children import Condition, Status

log = structlog.get_logger(__name__)

BIRTH: Final = 60.0
"""Seconds that an agent may take from its start to its first heartbeat."""

_PACE: Final = 0.5

Statuses = Callable[[], Collection[Status]]
Replace = Callable[[str, str], None]
"""Ends the process of a program by its name, and why, so that it is started again."""


class Vigil:
    """Hears heartbeats, and ends the processes of agents that have none any more."""

    def __init__(
        self, agents: Collection[str], *, statuses: Statuses, replace: Replace, hung_after: float
    ) -> None:
        """Take the programs that are agents, by their ids, and the seconds they may be silent."""
        self._agents = frozenset(agents)
        self._statuses = statuses
        self._replace = replace
        self._hung_after = hung_after
        self._heard: dict[str, float] = {}
        self._echo = self._since = _now()

    async def run(self, url: str) -> None:
        """Watch until cancelled."""
        while True:
            try:
                with telling_loss():
                    await self._watch(url)
            except LOST as error:
                log.warning("vigil.waits", why=str(error))
                await asyncio.sleep(reconnect_interval())

    def hear(self, heartbeat: Heartbeat) -> None:
        """Take note of a heartbeat."""
        if heartbeat.agent_id in self._agents:
            self._heard[heartbeat.agent_id] = _now()

    def hear_itself(self) -> None:
        """Take note that what is said is heard; after a pause everybody is given as long again."""
        now = _now()
        if now - self._echo > DEAF.total_seconds():
            self._since = now
        self._echo = now

    def look(self) -> None:
        """Look once whether somebody hangs."""
        now = _now()
        if now - self._echo > DEAF.total_seconds():
            return
        for status in self._statuses():
            if status.name in self._agents and status.condition is not Condition.ENDED:
                self._judge(status, now)

    def _judge(self, status: Status, now: float) -> None:
        if status.pid is None:
            return
        began = now - status.uptime_seconds
        heard = self._heard.get(status.name, 0.0)
        patience = self._hung_after if heard > began else max(BIRTH, self._hung_after)
        silence = now - max(heard, began, self._since)
        if silence > patience:
            self._replace(status.name, f"no heartbeat for {silence:.0f} s")

    async def _watch(self, url: str) -> None:
        async with (
            await connect(url, name="vigil hears") as hearing,
            await connect(url, name="vigil speaks") as speaking,
            Publisher(speaking) as publisher,
        ):
            ears = Ears(publisher)
            await ears.open(hearing)
            with ears.listening(self.hear, echo=self.hear_itself):
                await run_together(ears.run(), self._look_on())

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(_PACE)
            self.look()


def _now() -> float:
    return asyncio.get_running_loop().time()
