"""A simulation that misses what was planted proves nothing."""

import pytest

from infra.simulation.hunting import MOST, Catch, plant_of, selftest
from infra.simulation.plants import PLANTS
from tests.support.telling import Tell

ABOUT = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I11", "I12", "I13", "I16", "I17")


def test_every_invariant_has_a_plant() -> None:
    found = {invariant for plant in PLANTS for invariant in plant.expected}
    assert found >= set(ABOUT)


@pytest.mark.timeout(900)
def test_every_planted_bug_is_found(tell: Tell) -> None:
    assert len(PLANTS) >= 12
    catches: list[Catch] = []
    for catch in selftest(most=MOST):
        catches.append(catch)
        tell(f"{catch.plant}: seed {catch.seed}, {catch.violation}")
    missed = [catch.plant for catch in catches if not catch.is_right]
    assert not missed


def test_a_plant_is_gone_afterwards() -> None:
    from bus.inbox import Inbox

    settle = Inbox._settle
    with plant_of("ack-before-commit").planted():
        assert Inbox._settle is not settle
    assert Inbox._settle is settle
