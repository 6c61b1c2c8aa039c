"""A plan says what no registered agent can do."""

from projections.capability import unserved
from tests.support.making import task

DRAW = task("a", agent="CAD", action="draw")
PAINT = task("b", agent="CAD", action="paint")
BUY = task("c", agent="SUPP", action="buy")


def test_a_type_without_an_agent_is_named_with_its_tasks() -> None:
    (lacking,) = unserved([DRAW, BUY], {"CAD": [frozenset({"draw"})]})
    assert (lacking.agent, lacking.action, lacking.tasks) == ("SUPP", None, ["c"])
    assert lacking.reason == "no agent of type SUPP is registered"


def test_an_action_that_no_agent_of_the_type_has_is_named() -> None:
    there = {"CAD": [frozenset({"draw"}), frozenset({"bend"})], "SUPP": [frozenset({"*"})]}
    (lacking,) = unserved([DRAW, PAINT, BUY], there)
    assert (lacking.agent, lacking.action, lacking.tasks) == ("CAD", "paint", ["b"])


def test_who_does_not_say_what_it_can_do_is_trusted() -> None:
    assert unserved([DRAW, PAINT], {"CAD": [frozenset({"bend"}), None]}) == []
