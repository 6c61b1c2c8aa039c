"""One seed, from its beginning to its verdict."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import structlog

from bus import failpoints
from domain.values import AgentType
from infra.simulation.broker import Broker
from infra.simulation.database import Database
from infra.simulation.effects import Outside
from infra.simulation.invariants import record, rows, wire, work
from infra.simulation.loop import Stuck
from infra.simulation.nemesis import Nemesis
from infra.simulation.plants import Plant
from infra.simulation.staff import Surroundings
from infra.simulation.town import Town
from infra.simulation.verdict import Verdict
from infra.simulation.workload import Users
from infra.simulation.world import Violation, World, drawn, new_world
from projections.catalog import VIEWS

RAGE = 8.0
"""Virtual seconds in which everything may fail."""

IN_TIME = 90.0
"""Virtual seconds in which everything must have ended after that."""

_SETTLED = 10.0


def simulate(seed: int, *, plant: Plant | None = None, is_kept: bool = False) -> Verdict:
    """Live through the world of a seed, and say which promises were broken.

    A plant is a bug that is put into the product for this long; ``is_kept`` keeps the trace.
    """
    world = new_world(seed, is_kept=is_kept)
    with _quiet(), plant.planted() if plant else contextlib.nullcontext():
        try:
            return _simulate(world, plant)
        finally:
            world.loop.dispose()


def _simulate(world: World, plant: Plant | None) -> Verdict:
    around, town, nemesis = _built(world)
    failpoints.watch(nemesis.passed)
    try:
        world.loop.run_until_complete(_live(world, town, nemesis))
        if not world.violations:
            world.violations += _judged(around, town.users)
    except Stuck as error:
        world.violate("I16", str(error))
    finally:
        failpoints.watch(None)
    return Verdict(
        seed=world.seed,
        plant=plant.name if plant else None,
        violations=tuple(world.violations),
        checksum=world.trace.checksum,
        seconds=world.now,
        steps=world.loop.steps,
        events=len(around.database.events),
        effects=len(around.outside.effects),
        faults=nemesis.counts,
        lines=world.trace.lines or (),
    )


def _built(world: World) -> tuple[Surroundings, Town, Nemesis]:
    lots = drawn(world.seed, "settings")
    types: tuple[AgentType, ...] = ("NOOP",) if lots.random() < 0.5 else ("NOOP", "CAD")
    database = Database(world)

    def advanced(follower: str, before: int, after: int) -> None:
        if after < before or after > database.head:
            world.violate("I10", f"{follower} went from {before} to {after}")

    lives = record.Lives()
    database.on_advance = advanced
    database.on_commit = lambda event: world.violations.extend(lives.hear(event))
    around = Surroundings(
        world=world,
        database=database,
        broker=Broker(world),
        outside=Outside(world),
        types=types,
        group=lots.choice((1, 3, 20, 500)),
        most_parts=lots.choice((1, 10, 200_000)),
        snapshot_every=lots.choice((2, 5, 500)),
        batch=lots.choice((1, 5, 500)),
        concurrency=lots.choice((1, 2, 4)),
        is_led=lots.random() < 0.8,
    )
    users = Users(around, world.seed)
    users.plan()
    town = Town(around, users)
    town.settle()
    return around, town, Nemesis(town, around, RAGE)


async def _live(world: World, town: Town, nemesis: Nemesis) -> None:
    """Let everybody live, through the harm and after it, until nothing is left to do."""
    supervising = asyncio.create_task(town.supervise())
    asking = asyncio.create_task(town.users.live())
    await nemesis.rage()
    by = world.now + IN_TIME
    while not (asking.done() and _have_ended(town)) and world.is_well_until(by):  # noqa: ASYNC110 # a look
        await asyncio.sleep(0.5)
    by = world.now + _SETTLED
    while world.is_well_until(by) and not _is_settled(town.around):  # noqa: ASYNC110 # from outside
        await asyncio.sleep(0.5)
    supervising.cancel()
    if asking.done():
        asking.result()
    elif not world.violations:
        world.violate("I16", "a user still waits for an answer")


def _have_ended(town: Town) -> bool:
    ended = town.around.database.ended
    return all(wish.run_id in ended or _is_void(town, wish.plan_id) for wish in town.users.wishes)


def _is_void(town: Town, plan_id: str | None) -> bool:
    """Tell whether a goal was called off before its run was asked for."""
    if plan_id is None:
        return False
    events = town.around.database.streams.get(plan_id, [])
    return any(event.type == "plan.cancelled" for event in events) and not any(
        event.type == "plan.started" for event in events
    )


def _is_settled(around: Surroundings) -> bool:
    """Tell whether everybody has heard everything, and nothing is under way."""
    positions, head = around.database.positions, around.database.head
    followers = ["relay", "reactions", "audit", *(view.follower for view in VIEWS)]
    return all(positions.get(name, 0) == head for name in followers) and not any(
        around.broker.left()
    )


def _judged(around: Surroundings, users: Users) -> Iterator[Violation]:
    events, broker = around.database.events, around.broker
    for wish in users.wishes:
        if wish.run_id in around.database.streams and wish.run_id not in around.database.ended:
            yield Violation("I16", f"{wish.run_id} has not ended")
    yield from (Violation("I1", f"refused: {why}") for why in users.refused)
    yield from record.promises(users.promised, events)
    yield from record.order(events, around.seen)
    yield from wire.ids(broker, events)
    yield from wire.reports(broker, events, around.database.letters)
    yield from wire.letters(around.database.letters, users.poison, broker)
    yield from wire.leftovers(broker)
    external = work.external_of(users.wishes)
    yield from work.effects(around.outside.effects, external)
    yield from work.ends(users.wishes, around.outside, events)
    yield from rows.folds(around.database)


@contextmanager
def _quiet() -> Generator[None]:
    """Say nothing while it lasts, and leave the garbage for afterwards."""
    config = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        structlog.configure(**config)
        if was_collecting:
            gc.enable()
