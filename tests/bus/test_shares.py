"""An agent that says too much waits for itself, and nobody waits for it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from bus.dead_letters import EXCHANGE, REDRIVE, carried
from bus.heard import hear
from bus.held import AT_ONCE, HeldReports
from bus.messages import Delivery, Message, Outcome, arrived
from bus.shares import Shares
from bus.signing import KEY_ID, SIGNATURE
from bus.topology import HELD
from tests.support.inboxes import Letters, World, delivery, goal, hello
from tests.support.recorders import SteppedClock


def said(agent_id: str, *numbers: int, **properties: Any) -> list[Delivery]:
    """Return what an agent says of itself, something else each time."""
    return [
        delivery(
            hello(agent_id, ident=f"{agent_id}-{number}", metadata={"number": number}),
            **properties,
        )
        for number in numbers
    ]


def world(*, rate: float = 10, burst: float = 3) -> World:
    made = World()
    made.shares = Shares(made.clock, rate=rate, burst=burst)
    return made


def held(told: World, *, user_id: str | None = None) -> list[Delivery]:
    """Return what is held, as it comes from there; our own user has sent it."""
    messages, told.holding.sent, told.shares = told.holding.sent, [], None
    found = [arrived(message, tag=number) for number, message in enumerate(messages, 1)]
    return [
        replace(one, properties=replace(one.properties, user_id=user_id or "coordinator"))
        for one in found
    ]


async def test_what_is_beyond_a_share_is_held_and_neither_refused_nor_lost() -> None:
    told = world()
    assert await told.hear([*said("ann", *range(10)), *said("bob", 1, 2)]) == []
    assert told.types == ["agent.registered"] * 5
    assert [message.exchange for message in told.holding.sent] == [HELD] * 7
    assert told.accepted == 5
    assert await told.hear(held(told)) == []
    assert told.types == ["agent.registered"] * 12


async def test_a_share_grows_again_as_time_passes() -> None:
    told = world()
    await told.hear(said("ann", *range(3)))
    told.clock.pass_by(0.2)
    await told.hear(said("ann", *range(3, 8)))
    assert len(told.holding.sent) == 3
    told.clock.pass_by(-60)  # a clock may be set
    await told.hear(said("ann", 8))
    told.clock.pass_by(60)
    await told.hear(said("ann", *range(9, 12)))
    assert len(told.holding.sent) == 4


async def test_nobody_uses_up_the_share_of_another_users_agents() -> None:
    told = world()
    assert await told.hear(said("ann", *range(9), user_id="another-service")) == []
    assert len(told.holding.sent) == 6
    assert await told.hear(said("ann", *range(9, 12), user_id="agent.execution.cad")) == []
    assert len(told.holding.sent) == 6


async def test_what_no_agent_says_has_no_share() -> None:
    told = world(burst=1)
    assert await told.hear([delivery(goal(f"plan_{number}")) for number in range(4)]) == []
    assert told.holding.sent == []
    assert told.types.count("plan.created") == 4


async def test_what_is_held_keeps_what_proves_who_has_said_it() -> None:
    told = world(burst=1)
    proofs = {KEY_ID: "key_1", SIGNATURE: "00" * 32, REDRIVE: "17/2"}
    user = "agent.execution.cad"
    first, second = said("ann", 1, 2, user_id=user, headers=proofs)
    await told.hear([first, second])
    (message,) = told.holding.sent
    assert (message.body, message.message_id, message.key) == (
        second.body,
        "ann-2",
        "agent.registered",
    )
    assert carried(message.headers) == carried(proofs)
    assert (message.headers or {})[REDRIVE] == "17/2"
    (again,) = held(told)
    assert hear(again).report == hear(second).report
    (lie,) = said(
        "eve", 1, user_id="coordinator", headers={"x-taskloom-user": "agent.execution.sim"}
    )
    assert await told.hear([replace(lie, exchange=HELD)]) == ["identity-mismatch"]
    assert (told.letters.sent[-1].headers or {})[EXCHANGE] == "taskloom.reports"


class Lane:
    """Has a hundred held reports, in groups as large as they are wanted."""

    queue = HELD

    async def groups(self, most: int) -> AsyncGenerator[Any]:
        for start in range(0, 100, most):
            yield _Group(said("ann", *range(start, start + most)))


class _Group:
    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self.deliveries = deliveries


@pytest.mark.parametrize("is_idle", [True, False])
async def test_what_is_held_comes_at_once_where_nobody_waits_and_else_at_one_share(
    *, is_idle: bool
) -> None:
    clock = SteppedClock()
    lane = HeldReports(cast("Any", Lane()), clock, rate=AT_ONCE, is_idle=lambda: is_idle)
    groups = lane.groups(500)
    assert len((await anext(groups)).deliveries) == AT_ONCE
    coming = asyncio.ensure_future(anext(groups))
    done, _ = await asyncio.wait([coming], timeout=0.2)
    assert bool(done) == is_idle
    clock.pass_by(1)
    async with asyncio.timeout(5):
        assert len((await coming).deliveries) == AT_ONCE


class _Doubtful(Letters):
    """Does not take what it is sent for the first time."""

    def send(self, message: Message) -> asyncio.Future[Outcome]:
        is_first = message not in self.sent
        answer = super().send(message)
        if not is_first:
            return answer
        refused: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        refused.set_result("nacked")
        return refused


async def test_what_is_held_is_sent_until_the_broker_has_it() -> None:
    told = world(burst=1)
    told.holding = _Doubtful()
    assert await told.hear(said("ann", 1, 2)) == []
    assert [message.message_id for message in told.holding.sent] == ["ann-2", "ann-2"]
