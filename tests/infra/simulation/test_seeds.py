"""Thousands of worlds in which everything may fail, and no promise is broken."""

import time

import pytest

from infra.simulation.hunting import survey
from infra.simulation.simulate import simulate
from infra.simulation.verdict import Verdict
from tests.support.telling import Tell

SEEDS = 3_000
SECONDS = 240.0
"""After so long no further seeds are begun: a machine under load shall finish as well."""

LEAST = 60

# What once broke a promise, and may never do so again.
ONCE_BROKEN = (
    102,  # a delivery that came twice while it waited was never answered
    103,
    168,  # an agent that was not known yet said goodbye, and the goodbye was dead
    189,
    111,  # an agent was told to stop while it reported its start, and kept its place for ever
    128,  # an agent that came back under its name repeated an external effect
    185,
    719,  # a pause was heard again after the run had been resumed
    2923,  # and a cancellation, after the run had been rolled back
    529,  # a hello that came again after its goodbye
)


def told(verdict: Verdict) -> str:
    return f"seed {verdict.seed}: " + "; ".join(map(str, verdict.violations))


@pytest.mark.timeout(600)
def test_no_seed_breaks_a_promise(tell: Tell) -> None:
    began, seeds, events = time.monotonic(), 0, 0
    faults: dict[str, int] = {}
    for verdict in survey(range(1, SEEDS + 1), until=began + SECONDS):
        assert verdict.is_good, told(verdict)
        seeds, events = seeds + 1, events + verdict.events
        for fault, count in verdict.faults.items():
            faults[fault] = faults.get(fault, 0) + count
    pace = seeds / (time.monotonic() - began)
    tell(f"simulation: {seeds} seeds, {events} events, {pace:.1f} seeds/s")
    tell("  " + ", ".join(f"{fault} {count}" for fault, count in sorted(faults.items())))
    assert seeds >= LEAST
    assert len(faults) > 20, "faults that never happen prove nothing"


@pytest.mark.parametrize("seed", ONCE_BROKEN)
def test_what_once_broke_a_promise_keeps_it_now(seed: int) -> None:
    verdict = simulate(seed)
    assert verdict.is_good, told(verdict)
