"""The gate: so many at once, the urgent first."""

import asyncio
from collections import Counter

from agents.kit.gate import STRIDES, Gate
from domain.values import Lane

LONG = 60.0


class Crowd:
    """A gate of one place that is taken, and who comes to it."""

    def __init__(self) -> None:
        self.gate = Gate(1)
        self.order: list[str] = []
        self._coming: set[asyncio.Task[None]] = set()

    async def come(self, lane: Lane, *names: str) -> None:
        for name in names:
            self._coming.add(asyncio.create_task(self._come(lane, name)))
        await asyncio.sleep(0)

    async def _come(self, lane: Lane, name: str) -> None:
        assert await self.gate.enter(lane, patience=LONG)
        self.order.append(name)

    async def let_in(self, many: int) -> list[str]:
        for _ in range(many):
            self.gate.leave()
            await asyncio.sleep(0)
        return self.order[-many:]


async def crowd() -> Crowd:
    here = Crowd()
    await here.come("normal", "first")
    return here


async def test_the_more_urgent_goes_first_and_each_lane_in_its_order() -> None:
    here = await crowd()
    for lane in reversed(STRIDES):
        await here.come(lane, f"{lane} 1", f"{lane} 2")
    assert await here.let_in(2) == ["critical 1", "high 1"]
    order = await here.let_in(6)
    assert {lane: [n for n in order if n.startswith(lane)] for lane in ("normal", "low")} == {
        "normal": ["normal 1", "normal 2"],
        "low": ["low 1", "low 2"],
    }
    here.gate.leave()
    assert here.gate.taken == 0


async def test_every_lane_gets_its_share_while_all_wait() -> None:
    here = await crowd()
    for lane in STRIDES:
        await here.come(lane, *[lane] * 40)
    for _ in range(3):
        shares = Counter(await here.let_in(15))
        assert shares == {"critical": 8, "high": 4, "normal": 2, "low": 1}


async def test_an_urgent_one_takes_the_next_place_before_any_backlog() -> None:
    here = await crowd()
    for lane in ("high", "normal", "low"):
        await here.come(lane, *[lane] * 100)
    for served in range(3, 18):  # after a critical one, each other lane may have had one place
        await here.let_in(served)
        await here.come("critical", f"urgent {served}")
        assert await here.let_in(1) == [f"urgent {served}"]


async def test_a_stream_of_urgent_work_leaves_the_rest_its_share() -> None:
    here = await crowd()
    await here.come("low", *["low"] * 10)
    for number in range(90):  # each comes only when the one before has its place
        await here.come("critical", f"urgent {number}")
        await here.let_in(1)
    assert here.order.count("low") == 10


async def test_a_lane_claims_nothing_for_the_time_when_it_was_empty() -> None:
    here = await crowd()
    await here.come("critical", *["urgent"] * 50)
    await here.let_in(20)
    await here.come("low", *["low"] * 10)
    assert Counter(await here.let_in(9)) == {"urgent": 8, "low": 1}


async def test_who_loses_patience_gets_no_place_and_takes_none() -> None:
    gate = Gate(1)
    assert await gate.enter("normal", patience=LONG)
    assert not await gate.enter("critical", patience=0.01)
    gate.leave()
    assert gate.taken == 0
    assert await gate.enter("normal", patience=LONG)


async def test_a_place_given_to_who_is_cancelled_is_not_lost() -> None:
    gate = Gate(1)
    assert await gate.enter("normal", patience=LONG)
    coming = asyncio.create_task(gate.enter("normal", patience=LONG))
    await asyncio.sleep(0)
    gate.leave()
    coming.cancel()
    await asyncio.wait([coming])
    assert gate.taken == 0


async def test_a_closed_gate_sends_everybody_away() -> None:
    gate = Gate(1)
    assert await gate.enter("normal", patience=LONG)
    coming = asyncio.create_task(gate.enter("critical", patience=LONG))
    await asyncio.sleep(0)
    gate.close()
    assert not await coming
    assert not await gate.enter("normal", patience=LONG)
