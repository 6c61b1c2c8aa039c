"""A plan that is to be reviewed waits for a person, whose verdict is about what was looked at."""

from functools import reduce

import pytest

from domain.errors import Refused
from domain.goals import Goal, Options
from domain.graph import UnknownDependency
from domain.plan import GoalSubmitted, Plan, PlanEvent, PlanReady, evolve, next_run_of
from domain.plan_decisions import decide
from domain.policies import react
from domain.reviews import NotUnderReview, PlanApproved, PlanRejected, PlanReviewed, Verdict
from domain.revisions import PlanUpdated
from domain.tasks import Task
from tests.support.making import PLAN_ID, task
from tests.support.scenario import NOW

GRAPH = (task("a"), task("b", "a"))


def proposed() -> tuple[PlanEvent, ...]:
    goal = Goal(title="Build a rover")
    options = Options(auto_execute=True, review=True)
    report = GoalSubmitted(plan_id=PLAN_ID, goal=goal, options=options, tasks=GRAPH)
    return tuple(decide(None, report, NOW))


def plan_after(*events: PlanEvent) -> Plan:
    plan = reduce(evolve, events, None)
    assert plan is not None
    return plan


def verdict(what: Verdict, *tasks: Task, revision: int = 1) -> PlanReviewed:
    return PlanReviewed(
        plan_id=PLAN_ID, verdict=what, revision=revision, author="ada", reason="so", tasks=tasks
    )


def test_nothing_begins_before_it_is_approved() -> None:
    plan = plan_after(*proposed())
    assert plan.status == "proposed"
    ready = proposed()[-1]
    assert isinstance(ready, PlanReady)
    assert not list(react(ready))
    with pytest.raises(Refused):
        next_run_of(plan)


def test_what_is_approved_begins_where_it_was_to_begin_by_itself() -> None:
    (event,) = decide(plan_after(*proposed()), verdict("approve"), NOW)
    assert isinstance(event, PlanApproved)
    assert (event.author, event.tasks) == ("ada", GRAPH)
    (reaction,) = react(event)
    assert (reaction.body.type, reaction.stream) == ("run.requested", "exec_1-1")
    approved = plan_after(*proposed(), event)
    assert approved.status == "ready"
    assert decide(approved, verdict("approve"), NOW) == []


def test_an_amendment_is_a_revision_with_its_author_and_waits_again() -> None:
    new = (GRAPH[0], task("b", "a", cost=7), task("c", "b"))
    (event,) = decide(plan_after(*proposed()), verdict("amend", *new), NOW)
    assert isinstance(event, PlanUpdated)
    assert (event.revision, event.added, event.modified) == (2, ("c",), ("b",))
    assert (event.author, event.cost, event.delay) == ("ada", 7, 3_600)
    plan = plan_after(*proposed(), event)
    assert (plan.status, plan.tasks) == ("proposed", new)
    with pytest.raises(NotUnderReview, match="has revision 2 by now, not 1"):
        decide(plan, verdict("approve"), NOW)
    assert decide(plan, verdict("approve", revision=2), NOW)


def test_what_is_rejected_is_over() -> None:
    (event,) = decide(plan_after(*proposed()), verdict("reject"), NOW)
    assert isinstance(event, PlanRejected)
    plan = plan_after(*proposed(), event)
    assert (plan.status, plan.is_over, plan.reason) == ("rejected", True, "so")
    with pytest.raises(NotUnderReview, match="is rejected"):
        decide(plan, verdict("approve"), NOW)


def test_a_graph_that_cannot_be_run_is_no_amendment() -> None:
    plan = plan_after(*proposed())
    with pytest.raises(UnknownDependency):
        decide(plan, verdict("amend", task("b", "z")), NOW)
    with pytest.raises(NotUnderReview, match="already as it should be"):
        decide(plan, verdict("amend", *GRAPH), NOW)
