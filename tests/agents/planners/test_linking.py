import pytest

from agents.agent import CannotBeDone
from agents.planners.linking import link
from agents.planners.proposals import Bound, DomainPlan, Proposal
from domain.errors import BadGraph
from domain.findings import Conflict, Origin
from domain.tasks import Task
from tests.agents.carrying import PLANNERS, work


def proposal(
    key: str,
    *,
    produces: str | None = None,
    needs: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    action: str | None = None,
) -> Proposal:
    return Proposal(
        key=key,
        name=key,
        action=action or key,
        produces=(produces or key,),
        needs=needs,
        after=after,
        rule="test",
    )


def plan(domain: str, *proposals: Proposal) -> DomainPlan:
    return DomainPlan(domain=domain, tasks=proposals)


def by_name(tasks: tuple[Task, ...]) -> dict[str, Task]:
    return {task.name: task for task in tasks}


def test_an_artefact_links_tasks_across_domains() -> None:
    linked = link(
        [
            plan("SIM", proposal("stress", needs=("design",))),
            plan("CAD", proposal("draw", produces="design")),
        ]
    )
    tasks = by_name(linked.tasks)
    assert tasks["stress"].inputs == {"design": tasks["draw"].id}
    assert [task.agent for task in linked.tasks] == ["CAD", "SIM"]


def test_free_tasks_are_numbered_by_domain_and_then_by_place() -> None:
    linked = link(
        [
            plan("SUPP", proposal("s")),
            plan("OTHER", proposal("o")),
            plan("META", proposal("z"), proposal("a")),
            plan("CAD", proposal("c")),
        ]
    )
    assert [(task.id, task.name) for task in linked.tasks] == [
        ("task_001", "z"),
        ("task_002", "a"),
        ("task_003", "c"),
        ("task_004", "s"),
        ("task_005", "o"),
    ]


def test_an_order_that_follows_anyway_is_left_out_and_an_input_never() -> None:
    linked = link(
        [
            plan(
                "META",
                proposal("first"),
                proposal("second", needs=("first",)),
                proposal("third", needs=("second",), after=("first",)),
                proposal("fourth", needs=("second", "first"), after=("second",)),
            )
        ]
    )
    tasks = by_name(linked.tasks)
    assert tasks["third"].depends_on == ()
    assert tasks["fourth"].depends_on == ()
    assert set(tasks["fourth"].inputs) == {"first", "second"}


def test_an_order_without_an_artefact_stays() -> None:
    linked = link([plan("META", proposal("first"), proposal("second", after=("first",)))])
    assert by_name(linked.tasks)["second"].depends_on == ("task_001",)


def test_equal_proposals_become_one_task() -> None:
    linked = link(
        [
            plan(
                "META",
                proposal("check", action="work", produces="x"),
                proposal("again", action="work", produces="x"),
                proposal("last", after=("again",)),
            )
        ]
    )
    assert [task.name for task in linked.tasks] == ["check", "last"]
    assert linked.merged == ["META again into check"]
    assert linked.tasks[1].depends_on == ("task_001",)


def test_missing_artefacts_and_conflicts_are_reported() -> None:
    linked = link(
        [
            plan("CAD", proposal("draw", produces="design", needs=("wishes",))),
            plan("SIM", proposal("invent", produces="design", after=("nothing",))),
        ]
    )
    assert linked.missing == [
        "CAD draw needs wishes, which nobody produces",
        "SIM invent comes after nothing, which SIM does not propose",
    ]
    assert linked.conflicts == [
        Conflict(
            kind="artefact",
            subject="design",
            origins=(
                Origin(domain="CAD", key="draw", rule="test", task_id="task_001"),
                Origin(domain="SIM", key="invent", rule="test", task_id="task_002"),
            ),
            decision="the one of CAD draw is used, not that of SIM invent",
        )
    ]


def test_the_order_of_the_plans_does_not_matter() -> None:
    plans = [
        plan("SIM", proposal("stress", needs=("design",))),
        plan("CAD", proposal("draw", produces="design")),
        plan("META", proposal("ask")),
    ]
    assert link(plans).tasks == link(plans[::-1]).tasks


def test_one_at_a_time_chains_the_tasks_of_a_domain_and_of_no_two() -> None:
    plans = [plan("META", proposal("a"), proposal("b")), plan("CAD", proposal("c"))]
    linked = by_name(link(plans, one_at_a_time=True).tasks)
    assert linked["a"].depends_on == linked["c"].depends_on == ()
    assert linked["b"].depends_on == (linked["a"].id,)


def test_domains_that_wait_for_each_other_do_so_in_the_order_of_the_domains() -> None:
    linked = link(
        [
            plan("CAD", proposal("draw", needs=("stress",), produces="design")),
            plan("SIM", proposal("bend", needs=("design",), produces="stress")),
        ]
    )
    tasks = by_name(linked.tasks)
    assert (tasks["draw"].needs, tasks["bend"].needs) == ((), (tasks["draw"].id,))
    (conflict,) = linked.conflicts
    assert (conflict.kind, conflict.subject) == ("order", "stress")
    assert [side.domain for side in conflict.origins] == ["SIM", "CAD"]
    assert conflict.decision == "CAD draw does not wait for SIM bend: they wait for each other"


def test_a_mere_order_gives_way_before_an_artefact() -> None:
    linked = link(
        [
            plan(
                "CAD",
                proposal("first", after=("last",)),
                proposal("second", needs=("first",)),
                proposal("last", needs=("second",)),
            )
        ]
    )
    assert [task.name for task in linked.tasks] == ["first", "second", "last"]
    assert [conflict.subject for conflict in linked.conflicts] == ["first after last"]


def test_more_cycles_than_anybody_would_read_are_refused() -> None:
    plans = [
        plan("CAD", *(proposal(f"c{n}", needs=(f"s{n}",)) for n in range(60))),
        plan("SIM", *(proposal(f"s{n}", needs=(f"c{n}",)) for n in range(60))),
    ]
    with pytest.raises(BadGraph, match="CAD:c50"):
        link(plans)


def test_what_only_one_can_have_at_a_time_is_had_one_after_the_other() -> None:
    bench = {"uses": ("test bench",)}
    linked = link(
        [
            plan("CAD", proposal("fit").model_copy(update=bench)),
            plan(
                "SIM",
                proposal("shake").model_copy(update=bench),
                proposal("later", needs=("fit",)).model_copy(update=bench),
            ),
        ]
    )
    tasks = by_name(linked.tasks)
    assert tasks["shake"].needs == (tasks["fit"].id,)
    assert tasks["later"].needs == (tasks["fit"].id, tasks["shake"].id)
    (conflict,) = linked.conflicts
    assert (conflict.kind, conflict.subject) == ("resource", "test bench")
    assert [side.task_id for side in conflict.origins] == [tasks["fit"].id, tasks["shake"].id]
    assert conflict.decision == "CAD fit has it first, then SIM shake"


@pytest.mark.parametrize(
    ("high", "conflicts"), [(1.0, [("constraint", "n")]), (2.0, []), (None, [])], ids=str
)
def test_bounds_that_nothing_can_keep_both_are_a_conflict(
    high: float | None, conflicts: list[tuple[str, str]]
) -> None:
    linked = link(
        [
            plan("META", proposal("risks").model_copy(update={"bounds": {"n": Bound(low=2)}})),
            plan("SUPP", proposal("buy").model_copy(update={"bounds": {"n": Bound(high=high)}})),
        ]
    )
    assert [(each.kind, each.subject) for each in linked.conflicts] == conflicts


def test_every_task_says_where_it_came_from_and_what_it_stands_for() -> None:
    linked = link(
        [
            plan(
                "META",
                proposal("check", action="work", produces="x"),
                proposal("again", action="work", produces="x"),
                proposal("other").model_copy(update={"rule": ""}),
            )
        ]
    )
    assert [task.origin for task in linked.tasks] == [
        "META: test; also again",
        "META: no rule given",
    ]


async def test_synthesis_refuses_what_is_no_plan() -> None:
    synthesize = PLANNERS["META_PLANNER"].carries("synthesize")
    with pytest.raises(CannotBeDone, match="the plan of CAD cannot be used"):
        await synthesize(work("synthesize", {"goal": "A thing"}, CAD={"tasks": 7}))
    with pytest.raises(CannotBeDone, match="no domain's plan"):
        await synthesize(work("synthesize", {"goal": "A thing"}))
