"""The holders' check: an agent learns what the record says of what it has in hand."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pytest

from bus.holders import HoldersCheck, TaskKey, verdict
from bus.messages import Message, Outcome
from bus.orders import TaskGrant, TaskStop, decode_order
from bus.signals import Heartbeat, HeldTask
from domain.leases import Attempt
from tests.support.heartbeats import a_heartbeat
from tests.support.making import RUN_ID
from tests.support.recorders import SteppedClock
from tests.support.scenario import NOW


@dataclass
class Told:
    """A sender that remembers what it was given."""

    messages: list[Message] = field(default_factory=list[Message])

    def send(self, message: Message) -> asyncio.Future[Outcome]:
        self.messages.append(message)
        return asyncio.get_running_loop().create_future()

    async def publish_all(self, messages: Iterable[Message]) -> Sequence[Outcome]:
        raise AssertionError("orders are sent one by one")


@dataclass
class Open:
    attempts: dict[TaskKey, Attempt] = field(default_factory=dict[TaskKey, Attempt])

    async def at(self, tasks: Sequence[TaskKey]) -> Mapping[TaskKey, Attempt]:
        return {key: self.attempts[key] for key in tasks if key in self.attempts}


def attempt(
    epoch: int = 1,
    agent_id: str | None = "ann",
    state: Literal["dispatched", "started"] = "started",
) -> Attempt:
    return Attempt(
        run_id=RUN_ID,
        task_id="a",
        epoch=epoch,
        state=state,
        since=NOW,
        agent_id=agent_id,
        agent_type="NOOP",
        role="execution",
        lane="normal",
        delay=0,
        position=1,
    )


def beat(state: Literal["waiting", "claiming", "running"] = "running", epoch: int = 1) -> Heartbeat:
    return a_heartbeat(
        agent_type="NOOP",
        lifecycle="working",
        load=1,
        at=NOW,
        tasks=(HeldTask(run_id=RUN_ID, task_id="a", epoch=epoch, state=state),),
    )


@pytest.mark.parametrize(
    ("recorded", "settled", "expected"),
    [
        (attempt(1, "ann"), True, "grant"),
        (attempt(1, "bob"), True, "stop"),
        (attempt(2, None, "dispatched"), False, "stop"),
        (attempt(1, None, "dispatched"), True, "wait"),
        (None, False, "wait"),
        (None, True, "stop"),
    ],
    ids=["its own", "another's", "a later epoch", "not recorded yet", "maybe late", "over"],
)
def test_what_an_agent_is_told_follows_from_the_record(
    recorded: Attempt | None,
    *,
    settled: bool,
    expected: str,
) -> None:
    assert verdict(recorded, 1, "ann", is_settled=settled) == expected


async def test_a_claim_that_is_recorded_is_granted_at_once() -> None:
    told, clock = Told(), SteppedClock()
    check = HoldersCheck(Open({(RUN_ID, "a"): attempt()}), told, clock)
    check.hear(beat("claiming"))
    await check.look()
    [message] = told.messages
    assert message.key == "order.ann"
    assert decode_order(message.body) == TaskGrant(run_id=RUN_ID, task_id="a", epoch=1)


async def test_what_an_earlier_start_has_claimed_is_not_granted_to_a_later_one() -> None:
    # Found by the simulation: an agent that came back under its name repeated an effect.
    claimed = replace(attempt(), instance="0")
    told, clock = Told(), SteppedClock()
    check = HoldersCheck(Open({(RUN_ID, "a"): claimed}), told, clock)
    check.hear(beat("claiming"))
    await check.look()
    [message] = told.messages
    assert decode_order(message.body) == TaskStop(run_id=RUN_ID, task_id="a", epoch=1)


async def test_an_attempt_that_is_over_is_stopped_once_the_record_cannot_be_late() -> None:
    told, clock = Told(), SteppedClock()
    check = HoldersCheck(Open(), told, clock)
    for _ in range(3):
        check.hear(beat())
        await check.look()
        assert told.messages == []
        clock.pass_by(1.0)
    check.hear(beat())
    await check.look()
    assert decode_order(told.messages[0].body) == TaskStop(run_id=RUN_ID, task_id="a", epoch=1)


async def test_who_holds_what_the_record_says_is_left_alone() -> None:
    told, clock = Told(), SteppedClock()
    check = HoldersCheck(Open({(RUN_ID, "a"): attempt()}), told, clock)
    for _ in range(5):
        check.hear(beat())
        clock.pass_by(1.0)
        await check.look()
    assert told.messages == []


async def test_what_nobody_names_any_more_is_forgotten() -> None:
    told, clock = Told(), SteppedClock()
    check = HoldersCheck(Open(), told, clock)
    check.hear(beat())
    clock.pass_by(60)
    await check.look()
    check.hear(beat())
    await check.look()
    assert told.messages == []
