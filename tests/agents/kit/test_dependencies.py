"""What does not answer is left alone, and tried again with one probe."""

import asyncio
from datetime import timedelta

import pytest

from agents.agent import CannotBeDone, TryAgain, Work
from agents.kit.dependencies import FUSE, MOST, Dependencies
from domain.circuits import Fuse
from tests.support.recorders import SteppedClock
from tests.support.scenario import NOW


class World:
    """Dependencies of an agent, under a clock that moves when it is told to."""

    def __init__(self, **fuses: Fuse) -> None:
        self.clock = SteppedClock()
        self.dependencies = Dependencies(fuses, clock=self.clock)

    async def use(self, name: str = "erp", error: BaseException | None = None) -> None:
        async with self.dependencies.using(name):
            if error is not None:
                raise error

    async def fail(self, times: int = FUSE.least_failures, name: str = "erp") -> None:
        for _ in range(times):
            with pytest.raises(ConnectionError):
                await self.use(name, ConnectionError("connection refused"))

    def lacking(self) -> list[tuple[str, str]]:
        return [(one.name, one.state) for one in self.dependencies.lacking()]


async def test_what_works_is_used() -> None:
    world = World()
    for _ in range(100):
        await world.use()
    assert world.lacking() == []


async def test_what_fails_too_often_is_left_alone_and_named() -> None:
    world = World()
    await world.fail(4)
    assert world.lacking() == []
    await world.fail(1)
    with pytest.raises(TryAgain) as refusal:
        await world.use()
    assert str(refusal.value) == (
        "erp is left alone until 12:00:05 UTC: 5 of 5 attempts failed within 30 s;"
        " the last: ConnectionError"
    )
    assert world.lacking() == [("erp", "open")]
    await world.use("crm")


async def test_one_probe_shows_that_it_is_well_again() -> None:
    world = World()
    await world.fail()
    world.clock.pass_by(5)
    probe = world.dependencies.using("erp")
    await probe.__aenter__()
    assert world.lacking() == [("erp", "half_open")]
    with pytest.raises(TryAgain, match="erp is being probed"):
        await world.use()
    await probe.__aexit__(None, None, None)
    await world.use()
    assert world.lacking() == []


async def test_a_probe_that_fails_leaves_it_alone_for_longer() -> None:
    world = World()
    await world.fail()
    world.clock.pass_by(5)
    await world.fail(1)
    world.clock.pass_by(9)
    with pytest.raises(TryAgain):
        await world.use()
    world.clock.pass_by(1)
    await world.use()


@pytest.mark.parametrize("error", [CannotBeDone("no bore"), asyncio.CancelledError()])
async def test_what_says_nothing_of_the_dependency_does_not_count(error: BaseException) -> None:
    world = World()
    for _ in range(20):
        with pytest.raises(type(error)):
            await world.use(error=error)
    assert world.lacking() == []


async def test_an_agent_may_say_when_a_dependency_is_left_alone() -> None:
    world = World(erp=Fuse(least_failures=1, cool_down=60))
    await world.fail(1)
    (erp,) = world.dependencies.lacking()
    assert erp.state == "open"
    world.clock.pass_by(59)
    with pytest.raises(TryAgain, match=f"{NOW + timedelta(seconds=60):%H:%M:%S}"):
        await world.use()


async def test_however_many_names_there_are_few_are_remembered() -> None:
    world = World()
    await world.fail(name="the-one")
    for number in range(MOST * 3):
        await world.use(f"host-{number}")
    assert world.lacking() == [("the-one", "open")]
    assert len(world.dependencies._circuits) == MOST  # pyright: ignore[reportPrivateUsage] # memory has no other face


async def test_in_a_repl_everything_may_be_used() -> None:
    work = Work(run_id="exec_1", task_id="t", epoch=1, name="n", action="a", params={})
    async with work.dependency("erp"):
        pass
