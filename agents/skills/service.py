"""Designing and simulating a service: servers, response time, availability."""

from agents.agent import CannotBeDone, Work
from agents.engineering.queueing import (
    Capacity,
    Load,
    availability,
    mean_response,
    simulated_response,
    size,
)
from agents.reading import read, result
from agents.skills.asked import draft_of, facts
from domain.values import JsonObject

REQUESTS = 20_000
MOST_SPARES = 20
MOST_SERVERS = 5_000


async def draft_capacity(work: Work) -> JsonObject:
    """Size the service for the expected load, with no spare server."""
    return _found("First draft", _sized(facts(work, Load), spare=0), changes=0)


async def refine_capacity(work: Work) -> JsonObject:
    """Add spare servers until the service is fast and available enough by formula."""
    load = facts(work, Load)
    for spare in range(MOST_SPARES):
        capacity = _sized(load, spare=spare)
        is_fast = mean_response(capacity) <= load.maximum_response_time_s
        standing = availability(capacity, server_availability=load.server_availability)
        if is_fast and standing >= load.minimum_availability:
            return _found("Fast and available enough", capacity, changes=spare)
        work.progress(spare / MOST_SPARES)
    return _found(
        "Not enough, with every spare allowed",
        _sized(load, spare=MOST_SPARES),
        changes=MOST_SPARES,
    )


async def screen_capacity(work: Work) -> JsonObject:
    """Estimate response time and availability of the draft by formula."""
    load, capacity = facts(work, Load), read(work, draft_of(work), Capacity)
    response = mean_response(capacity)
    standing = availability(capacity, server_availability=load.server_availability)
    return result(
        f"By formula an answer takes {response * 1000:.1f} ms; available {standing:.5f}",
        {
            "response_time_s": response,
            "availability": standing,
            "is_strong_enough": response <= load.maximum_response_time_s
            and standing >= load.minimum_availability,
        },
    )


async def simulate_load(work: Work) -> JsonObject:
    """Send twenty thousand requests through the final design's queue."""
    capacity = read(work, "design", Capacity)
    response = simulated_response(capacity, requests=REQUESTS, seed=1)
    formula = mean_response(capacity)
    return result(
        f"In the simulation an answer takes {response * 1000:.1f} ms",
        {
            "response_time_s": response,
            "formula_response_time_s": formula,
            "requests": REQUESTS,
            "seed": 1,
        },
    )


async def assess_availability(work: Work) -> JsonObject:
    """Compute how often enough servers stand."""
    load, capacity = facts(work, Load), read(work, "design", Capacity)
    standing = availability(capacity, server_availability=load.server_availability)
    return result(
        f"Enough of {capacity.servers} servers stand {standing:.4%} of the time",
        {"availability": standing, "downtime_hours_per_year": (1 - standing) * 8760},
    )


def _sized(load: Load, *, spare: int) -> Capacity:
    capacity = size(load, spare=spare)
    if capacity.servers > MOST_SERVERS:
        raise CannotBeDone(
            f"the load needs {capacity.servers} servers; at most {MOST_SERVERS} are modelled:"
            " check the request rate and the service time"
        )
    return capacity


def _found(what: str, capacity: Capacity, *, changes: int) -> JsonObject:
    return result(
        f"{what}: {capacity.servers} servers at {capacity.utilization:.0%}"
        f" for {capacity.arrival_rate_per_s:g} requests a second",
        capacity,
        {"changes": changes},
    )
