"""Processes that die, stand still, or are asked to end."""

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import psutil

from infra.chaos.faults.fault import Fault, Heals, Means, Outcome, came, fault
from infra.chaos.points import CRASH_POINTS, CrashPoint, Kind
from infra.chaos.processes import Process, hit_of, send

_PATIENCE = 8.0
"""Seconds for a process to pass the place where it is to die."""

_LONG_PATIENCE = 20.0
"""The same where something rare has to happen first."""


_HEALS: Final[Mapping[Kind, Heals]] = {
    "api": "acknowledged",
    "coordinator": "completed",
    "projector": "projected",
    "agent": "moved",
}


def crash(point: CrashPoint) -> Fault:
    """Return the fault of dying at one place.

    Which coordinator leads only they know: both are armed, and who passes first dies alone.
    """

    async def inject(means: Means) -> Outcome:
        processes = means.world.processes
        armed = list(processes.of(point.kind))
        if point.kind == "agent" and armed:
            armed = [means.lots.choice(armed)]
        for one in armed:
            processes.arm(one, point.armed(means.lots.randint(1, point.passages)))
        means.begun(armed=[one.name for one in armed])
        living = [(one, one.forked) for one in armed if one.forked is not None]
        if point.need == "a lost lease":
            await _lose_a_lease(means)
        deadline = time.monotonic() + (_PATIENCE if point.passages > 1 else _LONG_PATIENCE)
        died: list[str] = []
        while not died and time.monotonic() < deadline:
            if point.need == "a command":
                means.nudge()
            await processes.any_ended([forked for _, forked in living], seconds=0.5)
            died = [
                one.name
                for one, forked in living
                if forked.returncode is not None
                and hit_of(processes.hits, forked.pid) == point.name
            ]
        for one in armed:
            processes.arm(one, "")
        return came(fired=bool(died), died=died)

    return fault(point.id, "crash", point.about, inject, _HEALS[point.kind])


async def _lose_a_lease(means: Means) -> None:
    agents = means.world.processes.of("agent")
    if agents:
        await means.world.processes.kill(means.lots.choice(agents), "killed for its leases")


async def _kill_one(means: Means) -> Outcome:
    running = [one for one in means.world.processes.every.values() if one.pid]
    return await _kill(means, [means.lots.choice(running)])


async def _kill_agent(means: Means) -> Outcome:
    return await _kill(means, [means.lots.choice(means.world.processes.of("agent"))])


async def _kill_coordinators(means: Means) -> Outcome:
    return await _kill(means, means.world.processes.of("coordinator"))


async def _kill_all(means: Means) -> Outcome:
    return await _kill(means, [one for one in means.world.processes.every.values() if one.pid])


async def _kill(means: Means, victims: Sequence[Process]) -> Outcome:
    names = [one.name for one in victims]
    means.begun(victims=names)
    await asyncio.gather(*(means.world.processes.kill(one) for one in victims))
    return came(fired=bool(names), victims=names)


async def _pause_agent(means: Means) -> Outcome:
    return await _pause(means, means.lots.choice(means.world.processes.of("agent")))


async def _pause_coordinator(means: Means) -> Outcome:
    return await _pause(means, means.lots.choice(means.world.processes.of("coordinator")))


async def _pause(means: Means, victim: Process) -> Outcome:
    """Let a process stand still for longer than its lease, and then go on as if nothing were."""
    means.begun(victims=[victim.name], pid=victim.pid)
    seconds = means.lots.uniform(2.0, 4.5)
    send(victim, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    with suppress(psutil.NoSuchProcess):
        stood = psutil.Process(victim.pid).status() == psutil.STATUS_STOPPED
        send(victim, signal.SIGCONT)
        return came(fired=stood, victims=[victim.name], seconds=seconds)
    return came(fired=False, victims=[victim.name])


async def _stop_one(means: Means) -> Outcome:
    running = [one for one in means.world.processes.every.values() if one.pid]
    victim = means.lots.choice(running)
    means.begun(victims=[victim.name])
    took = await means.world.processes.stop(victim, seconds=15)
    return came(fired=True, victims=[victim.name], seconds=took)


PROCESSES: Final[Sequence[Fault]] = (
    *(crash(point) for point in CRASH_POINTS),
    fault("F-K1", "kill", "kill -9 of any process", _kill_one),
    fault("F-K2", "kill", "kill -9 of an agent", _kill_agent, "moved"),
    fault("F-K3", "kill", "kill -9 of all coordinators", _kill_coordinators),
    fault("F-K4", "kill", "kill -9 of every process at once", _kill_all),
    fault("F-T1", "zombie", "agent stopped for longer than its lease", _pause_agent, "moved"),
    fault("F-T4", "zombie", "coordinator stopped for longer than a lease", _pause_coordinator),
    fault("F-W5", "stop", "SIGTERM in the middle of work", _stop_one),
)
