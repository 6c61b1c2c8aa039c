"""The gate: so many at once, the urgent first."""

import asyncio

from agents.kit.gate import Gate

LONG = 60.0


async def test_the_priority_lane_goes_first_and_each_lane_in_its_order() -> None:
    gate = Gate(1)
    assert await gate.enter("normal", patience=LONG)
    order: list[str] = []

    async def come(name: str) -> None:
        assert await gate.enter("priority" if name.startswith("p") else "normal", patience=LONG)
        order.append(name)
        gate.leave()

    coming = [asyncio.create_task(come(name)) for name in ("n1", "n2", "p1", "p2")]
    await asyncio.sleep(0)
    gate.leave()
    await asyncio.gather(*coming)
    assert order == ["p1", "p2", "n1", "n2"]
    assert gate.taken == 0


async def test_who_loses_patience_gets_no_place_and_takes_none() -> None:
    gate = Gate(1)
    assert await gate.enter("normal", patience=LONG)
    assert not await gate.enter("priority", patience=0.01)
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
    coming = asyncio.create_task(gate.enter("priority", patience=LONG))
    await asyncio.sleep(0)
    gate.close()
    assert not await coming
    assert not await gate.enter("normal", patience=LONG)
