"""Hours of work and a broker that has no patience: they do not meet."""

import asyncio
from typing import Any

import pytest

from agents.kit.carrier import Carrier
from domain.run_events import RunRequested
from domain.tasks import RetryPolicy, Task
from domain.values import Lane
from infra.simulation.broker import Broker
from infra.simulation.database import Database
from infra.simulation.effects import Outside, Script
from infra.simulation.staff import Surroundings
from infra.simulation.town import Town
from infra.simulation.workload import Users
from infra.simulation.world import World, new_world

HOURS = 3 * 3_600.0
ACK_TIMEOUT = 40 * 60.0
RUN_ID = "exec_long"


def a_town(world: World) -> Town:
    """Return a town in which nothing fails, whose broker closes what is unanswered for long."""
    around = Surroundings(
        world=world,
        database=Database(world),
        broker=Broker(world, ack_timeout=ACK_TIMEOUT),
        outside=Outside(world),
        types=("NOOP",),
        heartbeat=1.0,
    )
    around.outside.scripts[(RUN_ID, "long")] = Script(seconds=HOURS)
    town = Town(around, Users(around, world.seed))
    town.settle()
    return town


async def live(town: Town, hours: float) -> None:
    """Ask for a task of many hours, and let the time pass."""
    supervising = asyncio.create_task(town.supervise())
    task = Task(id="long", name="long", agent="NOOP", retry=RetryPolicy(attempts=1))
    await asyncio.sleep(1)
    await town.users.insist(RunRequested(run_id=RUN_ID, tasks=(task,)), "long")
    await asyncio.sleep(hours + 60)
    supervising.cancel()


def types_of(town: Town) -> list[str]:
    return [event.type for event in town.around.database.streams[RUN_ID]]


@pytest.mark.timeout(300)
def test_a_task_of_three_hours_outlasts_an_ack_timeout_of_forty_minutes() -> None:
    world = new_world(7, most_steps=10_000_000)
    town = a_town(world)
    world.loop.run_until_complete(live(town, HOURS))
    world.loop.dispose()
    assert world.now > HOURS
    assert types_of(town) == [
        "run.started",
        "task.dispatched",
        "task.started",
        "task.completed",
        "run.completed",
    ]
    assert town.around.broker.closed_channels == 0


@pytest.mark.timeout(300)
def test_one_that_acknowledged_at_its_end_would_not(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Carrier._begin

    async def hold_open(self: Carrier, attempt: Any, recorded: Any, taken: Any, lane: Lane) -> None:
        monkeypatch.setattr(taken, "ack", lambda: None)
        await begin(self, attempt, recorded, taken, lane)

    monkeypatch.setattr(Carrier, "_begin", hold_open)
    world = new_world(7, most_steps=10_000_000)
    town = a_town(world)
    world.loop.run_until_complete(live(town, ACK_TIMEOUT))
    world.loop.dispose()
    assert town.around.broker.closed_channels > 0
