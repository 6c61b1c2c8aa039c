"""The loop of the simulation: what it leans on in asyncio, and what it promises."""

import asyncio
import subprocess
import sys
from random import Random

import pytest

from infra.simulation.loop import SimulatedLoop, Stuck
from infra.simulation.processes import Process
from infra.simulation.world import new_world


def a_loop(seed: int = 1) -> SimulatedLoop:
    return SimulatedLoop(Random(seed), most_steps=10_000)


def test_time_passes_only_while_everybody_waits() -> None:
    loop = a_loop()

    async def wait() -> list[float]:
        times: list[float] = []

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(seconds)
            times.append(loop.time())

        async with asyncio.timeout(10_000):
            await asyncio.gather(sleep(3_600), sleep(1), sleep(60))
        return times

    assert loop.run_until_complete(wait()) == [1, 60, 3_600]
    loop.dispose()


def test_a_timeout_strikes_in_virtual_time() -> None:
    loop = a_loop()

    async def wait() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7_200):
                await asyncio.Event().wait()
        return loop.time()

    assert loop.run_until_complete(wait()) == 7_200
    loop.dispose()


def test_it_says_when_everybody_waits_for_ever() -> None:
    loop = a_loop()
    with pytest.raises(Stuck):
        loop.run_until_complete(asyncio.Event().wait())
    loop.dispose()


def test_the_seed_decides_who_comes_first() -> None:
    def order(seed: int) -> list[int]:
        loop, found = a_loop(seed), list[int]()

        async def come(number: int) -> None:
            await asyncio.sleep(0)
            found.append(number)

        async def all_come() -> None:
            await asyncio.gather(*map(come, range(5)))

        loop.run_until_complete(all_come())
        loop.dispose()
        return found

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(10)}) > 5


def test_who_was_killed_does_not_even_clean_up() -> None:
    world, cleaned = new_world(1), list[str]()

    async def live(name: str) -> None:
        try:
            await asyncio.sleep(5)
        finally:
            cleaned.append(name)

    async def story() -> None:
        killed, left = Process(world, "killed", 1), Process(world, "left", 1)
        for process in (killed, left):
            process.spawn(live(process.role))
        await asyncio.sleep(1)
        killed.kill()
        await asyncio.sleep(60)

    world.loop.run_until_complete(story())
    assert cleaned == ["left"]
    world.loop.dispose()


def test_who_is_paused_goes_on_where_it_stood() -> None:
    world, woken = new_world(1), list[float]()

    async def live() -> None:
        await asyncio.sleep(1)
        woken.append(world.now)

    async def story() -> None:
        process = Process(world, "zombie", 1)
        process.spawn(live())
        await asyncio.sleep(0.5)
        process.pause()
        await asyncio.sleep(10)
        process.go_on()
        await asyncio.sleep(1)

    world.loop.run_until_complete(story())
    assert woken == [10.5]
    world.loop.dispose()


@pytest.mark.timeout(300)
def test_the_same_seed_has_the_same_trace_whatever_hashes_are() -> None:
    code = (
        "from infra.simulation.simulate import simulate;"
        "print([simulate(seed).checksum for seed in (3, 14, 15)])"
    )

    def run(hash_seed: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": str(hash_seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    first = run(0)
    assert first == run(1) == run(2)
    assert len(set(first.split())) == 3
