"""Schedules with limited resources: feasible, never below the bound, and good."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import CyclicGraph, UnknownDependency
from domain.scheduling.bounds import lower_bound
from domain.scheduling.generation import parallel, ranked, serial
from domain.scheduling.network import Activity, DemandTooLarge, Network, Time, network
from domain.scheduling.priorities import RULES
from domain.scheduling.rooms import ListedRooms, PackedRooms, rooms_for
from domain.scheduling.searching import QUICK, Found, search, single_pass
from tests.support.feasible import faults_of, shortest
from tests.support.projects import projects

Drawn = tuple[tuple[Activity, ...], tuple[int, ...]]

# One crane, two masons: whoever builds the tower first has to wait for the crane at the end.
YARD = (
    Activity(id="dig", duration=3, demand=(0, 1)),
    Activity(id="tower", duration=4, needs=("dig",), demand=(1, 1)),
    Activity(id="wall", duration=5, needs=("dig",), demand=(0, 2)),
    Activity(id="roof", duration=2, needs=("tower", "wall"), demand=(1, 1)),
    Activity(id="fence", duration=6, demand=(0, 1)),
)
CAPACITIES = (1, 2)


def named(project: Network, starts: list[Time] | tuple[Time, ...]) -> dict[str, float]:
    return dict(zip(project.ids, starts, strict=True))


def test_a_yard_with_two_masons_is_built_as_early_as_it_can_be() -> None:
    found = search(network(YARD, CAPACITIES))
    assert not faults_of(YARD, CAPACITIES, named(network(YARD, CAPACITIES), found.starts))
    assert found.makespan == shortest(YARD, CAPACITIES) == 14
    assert (found.bound, found.is_optimal) == (13, False)
    assert found.gap == pytest.approx(1 / 13)


def test_without_resources_the_critical_path_is_the_schedule() -> None:
    project = network([replace(each, demand=()) for each in YARD])
    found = search(project)
    assert (found.makespan, found.starts) == (10, project.earliest)


def test_nothing_takes_no_time() -> None:
    assert search(network(())) == Found(starts=(), makespan=0, bound=0, passes=1)


def test_a_demand_that_is_never_met_is_refused() -> None:
    with pytest.raises(DemandTooLarge, match="wall demands 2 of resource 2; there are 1"):
        network(YARD, (1, 1))
    with pytest.raises(DemandTooLarge, match="dig demands 1 of resource 2; there are 0"):
        network(YARD[:2])


def test_activities_that_wait_for_each_other_are_refused() -> None:
    with pytest.raises(CyclicGraph):
        network(
            [Activity(id="a", duration=1, needs=("b",)), Activity(id="b", duration=1, needs=("a",))]
        )


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(UnknownDependency):
        network([Activity(id="a", duration=1, needs=("b",))])


@given(projects())
def test_every_scheme_with_every_rule_makes_a_schedule_that_can_be_carried_out(
    drawn: Drawn,
) -> None:
    activities, capacities = drawn
    project = network(activities, capacities)
    horizon = sum(project.durations)
    for rule in RULES.values():
        priorities = rule(project)
        placed = serial(project, ranked(project, priorities), rooms_for(project, horizon))
        assert placed is not None
        for starts in (placed, parallel(project, priorities)):
            assert not faults_of(activities, capacities, named(project, starts))
            assert project.makespan_of(starts) >= lower_bound(project)


@given(projects(9, longest=9))
def test_both_rooms_place_alike(drawn: Drawn) -> None:
    project = network(*drawn)
    horizon = sum(project.durations)
    packed, listed = PackedRooms(project, int(horizon)), ListedRooms(project)
    for rule in RULES.values():
        order = ranked(project, rule(project))
        assert serial(project, order, packed) == serial(project, order, listed)


@given(projects(5, longest=4))
@settings(max_examples=60)
def test_the_bound_is_not_above_and_the_schedule_not_below_the_shortest(drawn: Drawn) -> None:
    activities, capacities = drawn
    project = network(activities, capacities)
    found = search(project, effort=QUICK // 10)
    best = shortest(activities, capacities)
    assert found.bound <= best <= found.makespan
    assert not faults_of(activities, capacities, named(project, found.starts))
    # So few activities leave nothing to miss.
    assert found.makespan == best


@given(projects(8, longest=9))
def test_a_search_is_never_worse_than_one_pass_and_more_effort_never_worse_than_less(
    drawn: Drawn,
) -> None:
    project = network(*drawn)
    alone, quick, more = (
        single_pass(project),
        search(project, effort=100),
        search(project, effort=400),
    )
    assert alone.makespan >= quick.makespan >= more.makespan >= more.bound


@given(projects(5))
@settings(max_examples=25)
def test_the_order_in_which_activities_are_given_does_not_matter(drawn: Drawn) -> None:
    activities, capacities = drawn
    expected = search(network(activities, capacities), effort=200)
    for other in list(permutations(activities))[:6]:
        assert search(network(other, capacities), effort=200) == expected


@given(projects(6), st.sampled_from([0.1, 0.3, 1 / 3]))
def test_durations_may_be_fractions(drawn: Drawn, scale: float) -> None:
    whole, capacities = drawn
    activities = [
        Activity(id=a.id, duration=a.duration * scale, needs=a.needs, demand=a.demand)
        for a in whole
    ]
    project = network(activities, capacities)
    found = search(project, effort=200)
    assert not faults_of(activities, capacities, named(project, found.starts))
    assert found.makespan == pytest.approx(
        search(network(whole, capacities), effort=200).makespan * scale, rel=0.25
    )


def test_ten_thousand_activities_are_scheduled_in_one_go() -> None:
    chain = [
        Activity(
            id=f"a{n:05}",
            duration=1 + n % 7,
            needs=(f"a{n - 100:05}",) if n >= 100 else (),
            demand=(1,),
        )
        for n in range(10_000)
    ]
    found = search(network(chain, (16,)))
    assert not faults_of(chain, (16,), named(network(chain, (16,)), found.starts))
    assert found.bound <= found.makespan <= found.bound * 1.02
