"""The holders' check: what agents say they have in hand, held against the record.

An order that was missed is given again here: to let go of an attempt that is over, or to begin an
external effect whose claim is recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

import structlog

from bus.looking import look_again
from bus.orders import TaskGrant, TaskStop, encode_order
from bus.ports import Clock, Sender
from bus.signals import Heartbeat, HeldTask
from domain.leases import Attempt
from domain.recorded import derived_id

log = structlog.get_logger(__name__)

PAUSE: Final = 0.5
"""Seconds between two looks."""

PATIENCE: Final = timedelta(seconds=2)
"""How long an agent may name what the record does not show: what it did may be on its way there."""

TaskKey = tuple[str, str]
_Named = tuple[str, str, int, str]


class Holders(Protocol):
    """The open attempts at tasks, as far as the log has been followed."""

    async def at(self, tasks: Sequence[TaskKey]) -> Mapping[TaskKey, Attempt]:
        """Return the open attempt at each task that has one."""
        ...


@dataclass(slots=True)
class _Held:
    task: HeldTask
    instance: str
    since: datetime
    """When the agent named it first."""

    last: datetime


class HoldersCheck:
    """Gives orders to agents whose idea of what they hold is not that of the record."""

    def __init__(self, holders: Holders, sender: Sender, clock: Clock) -> None:
        self._holders = holders
        self._sender = sender
        self._clock = clock
        self._named: dict[_Named, _Held] = {}
        self._orders = 0

    def hear(self, heartbeat: Heartbeat) -> None:
        """Take note of what an agent has in hand."""
        now = self._clock.now()
        for task in heartbeat.tasks:
            if task.state == "waiting":
                continue
            key = (task.run_id, task.task_id, task.epoch, heartbeat.agent_id)
            known = self._named.get(key)
            self._named[key] = _Held(task, heartbeat.instance, known.since if known else now, now)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        await look_again(self.look, every=PAUSE, who="holders")

    async def look(self) -> None:
        """Look once."""
        now = self._clock.now()
        self._named = {
            key: held for key, held in self._named.items() if now - held.last <= PATIENCE
        }
        doubtful = {
            key: held
            for key, held in self._named.items()
            if held.task.state == "claiming" or now - held.since > PATIENCE
        }
        if not doubtful:
            return
        open_ = await self._holders.at(sorted({key[:2] for key in doubtful}))
        for (run_id, task_id, epoch, agent_id), held in doubtful.items():
            is_settled = now - held.since > PATIENCE
            attempt = open_.get((run_id, task_id))
            match verdict(attempt, epoch, agent_id, is_settled=is_settled):
                case "grant" if held.task.state == "claiming":
                    self._give(_answer(attempt, held), agent_id)
                case "stop":
                    self._give(TaskStop(run_id=run_id, task_id=task_id, epoch=epoch), agent_id)
                case _:
                    pass

    def _give(self, order: TaskStop | TaskGrant, agent_id: str) -> None:
        log.info("holders.order", order=order.type, task=order.task_id, agent=agent_id)
        self._orders += 1
        purpose = f"{order.task_id}/{order.epoch}/{order.type}/{self._orders}"
        message_id = derived_id(f"{order.run_id}/{self._clock.now()}", purpose)
        self._sender.send(encode_order(order, agent_id, message_id=message_id))


def _answer(attempt: Attempt | None, held: _Held) -> TaskStop | TaskGrant:
    """Return what a holder is told that waits for leave to begin an external effect.

    What an earlier start of the same agent has claimed, it may have begun: nobody else may.
    """
    task, entitled = held.task, None if attempt is None else attempt.instance
    if entitled not in (None, held.instance):
        return TaskStop(run_id=task.run_id, task_id=task.task_id, epoch=task.epoch)
    return TaskGrant(run_id=task.run_id, task_id=task.task_id, epoch=task.epoch, instance=entitled)


def verdict(
    attempt: Attempt | None, epoch: int, agent_id: str, *, is_settled: bool
) -> Literal["grant", "stop", "wait"]:
    """Say what an agent is to be told that names an epoch of a task.

    ``attempt`` is the task's open attempt by the record. Where the record may only be late, and is
    not ``is_settled``, nothing is told.
    """
    if attempt is None:
        return "stop" if is_settled else "wait"
    if attempt.epoch > epoch:
        return "stop"
    if attempt.epoch < epoch or attempt.state == "dispatched":
        return "wait"  # what the agent says is not recorded yet
    return "grant" if attempt.agent_id == agent_id else "stop"
