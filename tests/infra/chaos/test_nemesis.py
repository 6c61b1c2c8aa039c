"""What a deck holds, and what a workload is made of."""

import random

from infra.chaos.faults.catalogue import FAULTS
from infra.chaos.nemesis import Quotas
from infra.chaos.points import CRASH_POINTS
from infra.chaos.workload import graph


def test_there_are_twenty_two_crash_points() -> None:
    assert len({point.id for point in CRASH_POINTS}) == 22
    assert len({(point.kind, point.name) for point in CRASH_POINTS}) == 22


def test_a_deck_holds_every_kill_and_every_restart() -> None:
    wanted = Quotas(kills=300, hits=10, restarts=20).wanted()
    crashes = {point.id for point in CRASH_POINTS}
    assert {wanted[id_] for id_ in crashes} == {10}
    kills = sum(wanted[id_] for id_ in (*crashes, "F-K1", "F-K2", "F-K3", "F-K4"))
    assert kills >= 300
    assert wanted["F-B1a"] + wanted["F-B1b"] == 20
    assert wanted["F-P4a"] + wanted["F-P4b"] == 20


def test_only_some_can_be_wanted_and_so_many_times() -> None:
    assert set(Quotas(kills=60, hits=2, restarts=4, only=("database",)).wanted()) == {
        id_ for id_, fault in FAULTS.items() if fault.family == "database"
    }
    assert Quotas(kills=0, hits=0, restarts=0, only=("F-K2",), times=100).wanted() == {"F-K2": 100}


def test_long_outages_are_only_there_when_they_are_asked_for() -> None:
    assert "F-B8" not in Quotas(kills=60, hits=2, restarts=4).wanted()
    assert "F-B8" in Quotas(kills=60, hits=2, restarts=4, only=("outage",)).wanted()


def test_the_same_seed_makes_the_same_graph() -> None:
    one, other = (graph(random.Random("7"), 200, has_external=True) for _ in range(2))
    assert one == other
    assert len(one) == 200
    known = {task["id"] for task in one}
    assert all(set(task["depends_on"]) < known for task in one)
    assert any(task.get("effect") == "external" for task in one)
