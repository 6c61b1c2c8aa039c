"""Ways between a process and a server that are cut, clogged or slow."""

import asyncio
from collections.abc import Sequence
from typing import Final

from infra.chaos.faults.fault import Fault, Means, Outcome, came, fault
from infra.chaos.proxy import BOTH, Proxy


def _chosen(means: Means) -> tuple[str, Proxy]:
    name = means.lots.choice(sorted(means.world.proxies))
    return name, means.world.proxies[name]


async def _partition(means: Means) -> Outcome:
    name, proxy = _chosen(means)
    means.begun(way=name)
    proxy.stall()
    await asyncio.sleep(means.lots.choice((1.0, 2.0, 5.0)))
    proxy.heal()
    return came(fired=proxy.connections > 0, way=name)


async def _half_open(means: Means) -> Outcome:
    name, proxy = _chosen(means)
    direction = means.lots.choice(BOTH)
    means.begun(way=name, direction=direction)
    proxy.stall(direction)
    await asyncio.sleep(means.lots.uniform(1.0, 4.0))
    proxy.cut()
    proxy.heal()
    return came(fired=proxy.connections > 0, way=name)


async def _slow(means: Means) -> Outcome:
    name, proxy = _chosen(means)
    means.begun(way=name)
    if means.lots.random() < 0.5:
        proxy.latency, proxy.jitter = means.lots.choice((0.05, 0.2)), 0.05
    else:
        proxy.rate = 64_000 / 8
    await asyncio.sleep(means.lots.uniform(1.0, 4.0))
    proxy.heal()
    return came(fired=proxy.connections > 0, way=name)


async def _reset(means: Means) -> Outcome:
    name, proxy = _chosen(means)
    means.begun(way=name)
    if means.lots.random() < 0.5:
        return came(fired=proxy.cut() > 0, way=name)
    proxy.cut_after = means.lots.randint(1, 20_000)
    for _ in range(20):
        await asyncio.sleep(0.1)
        if proxy.has_cut():
            return came(fired=True, way=name)
    proxy.heal()
    return came(fired=proxy.cut() > 0, way=name)


async def _swizzle(means: Means) -> Outcome:
    """Clog ways one by one, and let them go in another order."""
    names = sorted(means.world.proxies)
    clogged = means.lots.sample(names, k=max(2, len(names) // 2))
    means.begun(ways=clogged)
    for name in clogged:
        means.world.proxies[name].stall()
        await asyncio.sleep(means.lots.uniform(0.0, 0.4))
    for name in means.lots.sample(clogged, k=len(clogged)):
        means.world.proxies[name].heal()
        await asyncio.sleep(means.lots.uniform(0.0, 0.4))
    return came(fired=True, ways=clogged)


NETWORK: Final[Sequence[Fault]] = (
    fault("F-N1", "network", "one way cut for 1 to 5 s, its connections kept", _partition),
    fault("F-N2", "network", "one direction of one way lost, then reset", _half_open),
    fault("F-N3", "network", "one way slow: 50 to 250 ms, or 64 kbit/s", _slow),
    fault("F-N4", "network", "one way reset, at any byte", _reset),
    fault("F-N5", "network", "ways clogged one by one, let go in another order", _swizzle),
)
