"""How long requests take at several servers: by formula and by simulation.

Source: L. Kleinrock, Queueing Systems, vol. 1, 1975, section 3.5 (M/M/m, Erlang's C formula);
the simulation follows each request through a first-come-first-served queue.
"""

import heapq
from dataclasses import dataclass
from math import ceil
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The facts about what a service has to bear."""

    request_rate_per_s: float
    service_time_s: float
    growth_factor: float
    utilization_limit: float
    server_availability: float
    maximum_response_time_s: float
    minimum_availability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """A number of equal servers and the load on them."""

    servers: int
    arrival_rate_per_s: float
    service_time_s: float
    utilization: float


def size(load: Load, *, spare: int = 0) -> Capacity:
    """Return how many servers keep the utilization below its limit after the growth."""
    rate = load.request_rate_per_s * load.growth_factor
    offered = rate * load.service_time_s
    servers = max(1, ceil(offered / load.utilization_limit)) + spare
    return Capacity(
        servers=servers,
        arrival_rate_per_s=rate,
        service_time_s=load.service_time_s,
        utilization=offered / servers,
    )


def waiting_probability(capacity: Capacity) -> float:
    """Return the chance that a request has to wait (Erlang C), by Erlang B's recursion."""
    offered = capacity.arrival_rate_per_s * capacity.service_time_s
    blocked = 1.0
    for servers in range(1, capacity.servers + 1):
        blocked = offered * blocked / (servers + offered * blocked)
    return blocked / (1 - capacity.utilization * (1 - blocked))


def mean_response(capacity: Capacity) -> float:
    """Return the mean time in seconds from arrival to answer, C τ / (m (1 - u)) + τ."""
    waiting = waiting_probability(capacity) * capacity.service_time_s
    return waiting / (capacity.servers * (1 - capacity.utilization)) + capacity.service_time_s


def simulated_response(capacity: Capacity, *, requests: int, seed: int) -> float:
    """Return the mean time of simulated requests; the same seed gives the same answer."""
    chance = Random(seed)  # noqa: S311 # a simulation, nothing secret
    free_at = [0.0] * capacity.servers
    heapq.heapify(free_at)
    clock = total = 0.0
    for _ in range(requests):
        clock += chance.expovariate(capacity.arrival_rate_per_s)
        begin = max(clock, free_at[0])
        end = begin + chance.expovariate(1 / capacity.service_time_s)
        heapq.heapreplace(free_at, end)
        total += end - clock
    return total / requests


def availability(capacity: Capacity, *, server_availability: float) -> float:
    """Return the chance that enough servers stand to bear the load, k of n.

    Binomial: C(n, i) aⁱ (1 - a)ⁿ⁻ⁱ, added for i from k on; k keep the utilization below 1.
    """
    needed = int(capacity.arrival_rate_per_s * capacity.service_time_s) + 1
    term = server_availability**capacity.servers
    if term == 0.0:
        return 0.0
    total, standing = 0.0, capacity.servers
    while standing >= needed:
        total += term
        term *= (
            standing
            * (1 - server_availability)
            / ((capacity.servers - standing + 1) * server_availability)
        )
        standing -= 1
    return min(1.0, total)
