"""The solver makes schedules shorter, proves what it can, and is never relied on."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from agents.optimizing import improving
from agents.optimizing.improving import improved
from agents.optimizing.problem import Solution
from domain.scheduling.network import Activity, network
from domain.scheduling.searching import Found, left_justified, search, single_pass
from tests.support.feasible import faults_of, shortest
from tests.support.projects import projects

# Latest finish alone takes the long one last, though it would fit beside all others.
ROW = (
    *(Activity(id=f"short{n}", duration=2, demand=(1,)) for n in range(6)),
    Activity(id="half", duration=3, needs=("short0",), demand=(2,)),
    Activity(id="long", duration=7, demand=(1,)),
)
CAPACITIES = (2,)


def sequential(scale: int = 1) -> tuple[Found, tuple[Activity, ...]]:
    """Return a schedule as bad as they come: one activity after the other."""
    activities = tuple(replace(each, duration=each.duration * scale) for each in ROW)
    project = network(activities, CAPACITIES)
    starts, now = list[int](), 0
    for duration in project.durations:
        starts.append(now)
        now += int(duration)
    return Found(starts=tuple(starts), makespan=now, bound=1, passes=1), activities


async def test_a_bad_schedule_becomes_the_shortest_in_whatever_unit_it_is() -> None:
    pytest.importorskip("ortools")
    bad, activities = sequential(scale=3_600_000_000)
    project = network(activities, CAPACITIES)
    better = await improved(project, bad, seconds=10)
    starts = dict(zip(project.ids, better.found.starts, strict=True))
    assert not faults_of(activities, CAPACITIES, starts)
    assert better.status == "optimal"
    assert better.found.makespan == better.found.bound
    assert better.found.makespan <= single_pass(project).makespan
    assert better.found.makespan == 13 * 3_600_000_000


@pytest.mark.parametrize("said", ["nothing", "nonsense"])
async def test_a_solver_that_dies_leaves_the_schedule_as_it_was(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "pass" if said == "nothing" else "print('{}')"
    monkeypatch.setattr(improving, "_COMMAND", ("-c", program))
    monkeypatch.setattr(improving, "find_spec", lambda _: True)
    bad, activities = sequential()
    better = await improved(network(activities, CAPACITIES), bad, seconds=1)
    assert (better.status, better.found) == ("unavailable", bad)


async def test_a_solver_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(improving, "_COMMAND", ("-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(improving, "find_spec", lambda _: True)
    monkeypatch.setattr(improving, "GRACE", 0.2)
    bad, activities = sequential()
    async with asyncio.timeout(20):
        better = await improved(network(activities, CAPACITIES), bad, seconds=0.1)
    assert (better.status, better.found) == ("unavailable", bad)


async def test_without_the_extra_the_schedule_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(improving, "find_spec", lambda _: None)
    bad, activities = sequential()
    better = await improved(network(activities, CAPACITIES), bad, seconds=1)
    assert (better.status, better.found) == ("unavailable", bad)


async def test_what_is_too_large_or_not_whole_is_not_asked() -> None:
    many = network([Activity(id=f"a{n}", duration=1, demand=(1,)) for n in range(1_001)], (1,))
    found = replace(single_pass(many), bound=1)
    assert (await improved(many, found, seconds=1)).status == "too_large"
    parts = network([Activity(id="a", duration=0.5), Activity(id="b", duration=1)])
    found = replace(single_pass(parts), bound=0)
    assert (await improved(parts, found, seconds=1)).status == "too_large"


async def test_a_proved_schedule_is_not_asked_about() -> None:
    project = network([Activity(id="a", duration=1)])
    assert (await improved(project, search(project), seconds=1)).status == "optimal"


@given(projects(5, longest=4))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_the_solver_finds_what_trying_everything_finds(
    drawn: tuple[tuple[Activity, ...], tuple[int, ...]],
) -> None:
    pytest.importorskip("ortools")
    from agents.optimizing.solver import solve

    activities, capacities = drawn
    project = network(activities, capacities)
    found = single_pass(project)
    if not project.unit:
        return
    solution = solve(improving.problem_of(project, found, seconds=5, workers=1))
    assert solution.status == "optimal"
    assert solution.bound * project.unit == shortest(activities, capacities)
    starts = left_justified(project, [each * project.unit for each in solution.starts])
    assert not faults_of(activities, capacities, dict(zip(project.ids, starts, strict=True)))
    assert project.makespan_of(starts) == solution.bound * project.unit


async def test_a_solver_that_lies_is_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, activities = sequential()
    project = network(activities, CAPACITIES)
    lie = Solution(status="optimal", starts=[0] * len(project), bound=0)
    program = f"print({lie.model_dump_json()!r})"
    monkeypatch.setattr(improving, "_COMMAND", ("-c", program))
    monkeypatch.setattr(improving, "find_spec", lambda _: True)
    better = await improved(project, bad, seconds=1)
    starts = dict(zip(project.ids, better.found.starts, strict=True))
    assert not faults_of(activities, CAPACITIES, starts)
    assert better.found.makespan < bad.makespan
