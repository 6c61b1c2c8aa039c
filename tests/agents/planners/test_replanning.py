"""What the planners do about work that cannot be done as it was planned."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from agents.agent import CannotBeDone
from agents.planners import other_ways
from agents.planners.affected import MOST_TASKS
from domain.goals import Goal
from domain.graph import check, order
from domain.tasks import Task
from domain.values import JsonObject
from tests.agents.carrying import PLANNERS, WORKERS, carried_out, planned, tasks_of, work

GOALS = {
    file.stem: Goal.model_validate(json.loads(file.read_text())["goal"])
    for file in sorted((Path(__file__).parents[3] / "agents" / "goals").glob("*.json"))
}
every_goal = pytest.mark.parametrize("name", sorted(GOALS))
LIVING: Mapping[str, list[str] | None] = {
    name: sorted(agent.actions) for name, agent in WORKERS.items()
}


def but(*gone: str) -> dict[str, list[str] | None]:
    return {name: actions for name, actions in LIVING.items() if name not in gone}


def task(name: str, agent: str, action: str = "make", **fields: Any) -> Task:
    origin = fields.pop("origin", f"{agent}: some rule")
    return Task(id=name, name=name, agent=agent, action=action, origin=origin, **fields)


def question(
    tasks: list[Task] | tuple[Task, ...],
    available: Mapping[str, list[str] | None],
    *,
    met: tuple[str, ...] = (),
    failed: str | None = None,
    gone: str | None = None,
) -> JsonObject:
    return {
        "goal": {"title": "A goal"},
        "options": {},
        "replan": {
            "tasks": [each.model_dump(mode="json") for each in tasks],
            "met": list(met),
            "task_id": failed,
            "agent_type": gone,
            "reason": "something went wrong",
            "available": cast(JsonObject, dict(available)),
        },
    }


async def alternatives(domain: str, params: JsonObject) -> JsonObject:
    return await PLANNERS[domain].carries("replan")(work("replan", params))


async def revised(params: JsonObject, **answers: JsonObject) -> JsonObject:
    return await PLANNERS["META_PLANNER"].carries("revise")(work("revise", params, **answers))


def by_id(found: JsonObject) -> dict[str, Task]:
    return {each.id: each for each in tasks_of(found)}


async def test_another_type_that_names_the_action_gets_the_task() -> None:
    params = question([task("a", "OLD")], {"ZED": ["make"], "NEW": ["make"], "ANY": None})
    found = await revised(params)
    assert by_id(found)["a"].agent == "NEW"
    assert by_id(found)["a"].origin == (
        "OLD: some rule; META_PLANNER: reassignment: NEW instead of OLD"
    )
    assert found["notes"] == ["a a: reassignment: NEW instead of OLD"]


async def test_the_fallback_of_a_task_comes_first() -> None:
    params = question([task("a", "OLD", fallback="ZED")], {"ZED": ["make"], "NEW": ["make"]})
    assert by_id(await revised(params))["a"].agent == "ZED"


async def test_a_task_that_failed_has_had_its_fallback() -> None:
    living = {"OLD": ["make"], "ZED": ["make"], "NEW": ["make"], "A": ["make"]}
    params = question([task("a", "OLD", fallback="A")], living, failed="a")
    assert by_id(await revised(params))["a"].agent == "NEW"


async def test_who_takes_anything_gets_only_tasks_that_no_planner_proposed() -> None:
    own = question([task("a", "OLD", origin="")], {"ANY": None, "STAR": ["*"]})
    assert by_id(await revised(own))["a"].agent == "ANY"
    with pytest.raises(CannotBeDone, match="no other way to a a"):
        await revised(question([task("a", "OLD")], {"ANY": None, "STAR": ["*"]}))


async def test_a_type_that_is_said_to_be_gone_is_not_believed_to_live() -> None:
    living = {"OLD": ["make"], "NEW": ["make"]}
    assert (
        by_id(await revised(question([task("a", "OLD")], living, gone="OLD")))["a"].agent == "NEW"
    )


async def test_what_is_done_stays_byte_for_byte() -> None:
    tasks = [task("a", "OLD"), task("b", "OLD", depends_on=("a",)), task("c", "NEW")]
    params = question(tasks, {"NEW": ["make"]}, met=("a",))
    stored = cast(Any, params["replan"])["tasks"]
    stored[0]["duration"] = "P0DT3600S"  # as somebody else may have written an hour
    found = cast("list[JsonObject]", (await revised(params))["tasks"])
    assert [found[0], found[2]] == [stored[0], stored[2]]
    assert found[1]["agent"] == "NEW"


async def test_a_domain_that_touches_what_is_done_is_not_followed() -> None:
    tasks = [task("a", "OLD"), task("b", "OLD", depends_on=("a",))]
    answer: JsonObject = {
        "domain": "OLD",
        "replacements": [{"task_id": name, "task": None, "rule": "away"} for name in ("a", "x")],
    }
    found = await revised(question(tasks, {"NEW": ["make"]}, met=("a",)), OLD=answer)
    assert set(by_id(found)) == {"a", "b"}
    assert "OLD: a stays as it is: it is done, or replaced already" in cast(Any, found["notes"])
    assert "OLD: x stays as it is: nobody knows it" in cast(Any, found["notes"])


async def test_the_edges_to_what_is_left_out_are_gone() -> None:
    tasks = [
        task("extra", "GONE"),
        task("design", "CAD"),
        task(
            "release",
            "CAD",
            "release_design",
            inputs={"design": "design", "tolerances": "extra"},
            depends_on=("extra",),
        ),
    ]
    answer: JsonObject = {
        "domain": "GONE",
        "replacements": [{"task_id": "extra", "task": None, "rule": "away"}],
    }
    found = by_id(await revised(question(tasks, {"CAD": None}), GONE=answer))
    assert set(found) == {"design", "release"}
    assert found["release"].needs == ("design",)
    assert found["release"].params == {"without": ["tolerances"]}


async def test_new_tasks_of_two_domains_get_ids_of_their_own() -> None:
    tasks = [task("a", "ONE"), task("b", "TWO")]
    answers: dict[str, JsonObject] = {
        domain: {
            "domain": domain,
            "added": [task("task_003", "NEW").model_dump(mode="json")],
            "replacements": [
                {
                    "task_id": old,
                    "task": task(old, "NEW", inputs={"x": "task_003"}).model_dump(mode="json"),
                    "rule": "another pass",
                }
            ],
        }
        for domain, old in (("ONE", "a"), ("TWO", "b"))
    }
    found = by_id(await revised(question(tasks, {"NEW": None}), **answers))
    assert list(found) == ["a", "b", "task_003", "task_004"]
    assert (found["a"].inputs, found["b"].inputs) == ({"x": "task_003"}, {"x": "task_004"})


async def test_a_domain_that_does_not_answer_or_speaks_nonsense_is_gone_without() -> None:
    params = question([task("a", "OLD")], {"NEW": ["make"]})
    found = await revised(params, ONE={}, TWO={"domain": 2})
    assert by_id(found)["a"].agent == "NEW"
    notes = cast("list[str]", found["notes"])
    assert notes[0] == "ONE has not answered"
    assert notes[1].startswith("the answer of TWO cannot be used")


async def test_alternatives_that_make_a_circle_are_refused() -> None:
    tasks = [task("a", "OLD"), task("b", "NEW", depends_on=("a",))]
    circle = task("a", "NEW", depends_on=("b",)).model_dump(mode="json")
    answer: JsonObject = {
        "domain": "OLD",
        "replacements": [{"task_id": "a", "task": circle, "rule": "round and round"}],
    }
    with pytest.raises(CannotBeDone, match="do not fit together"):
        await revised(question(tasks, {"NEW": None}), OLD=answer)


async def test_a_question_that_is_none_is_refused() -> None:
    with pytest.raises(CannotBeDone, match="the question for another plan"):
        await revised({"replan": {"tasks": []}})
    too_many = [{"id": f"t{count}"} for count in range(MOST_TASKS + 1)]
    with pytest.raises(CannotBeDone, match="the question for another plan"):
        await alternatives("SIM", {"replan": {"tasks": cast(Any, too_many)}})


async def test_where_nobody_has_an_alternative_it_is_said_what_was_tried() -> None:
    tasks = [task("a", "META", "extract_requirements"), task("b", "CAD", "select_material")]
    b = tasks[1].model_copy(update={"inputs": {"requirements": "a"}, "deliverable": True})
    params = question([tasks[0], b], but("META"), gone="META")
    answer = await alternatives("META", params)
    with pytest.raises(CannotBeDone) as refused:
        await revised(params, META=answer)
    assert "no other way to a a (META extract_requirements)" in str(refused.value)
    assert "META: a a: META knows no other way" in str(refused.value)
    assert "CAD, COMP" in str(refused.value)


async def test_what_nobody_asks_about_may_wait_where_there_is_no_other_way() -> None:
    tasks = [task("a", "OLD"), task("b", "LATER", "draw")]
    found = await revised(question(tasks, {"NEW": ["make"]}, gone="OLD"))
    assert by_id(found)["b"] == tasks[1]
    assert "b b: nobody lives who can draw; it waits for LATER" in cast(Any, found["notes"])


# The domains' own rules, each on the task of a sample goal that it is about.


async def goal_tasks(name: str) -> tuple[Task, ...]:
    return tasks_of(await planned(GOALS[name]))


def doing(tasks: tuple[Task, ...], action: str) -> Task:
    return next(each for each in tasks if each.action == action)


def before(tasks: tuple[Task, ...], name: str) -> tuple[str, ...]:
    names = order(tasks)
    return tuple(names[: names.index(name)])


async def after_failure(name: str, action: str) -> tuple[Task, dict[str, Task], JsonObject]:
    """Let a task of a goal fail for good while everybody lives; return it, the new plan, all."""
    tasks = await goal_tasks(name)
    failed = doing(tasks, action)
    params = question(tasks, LIVING, met=before(tasks, failed.id), failed=failed.id)
    answer = await alternatives(failed.agent, params)
    found = await revised(params, **{failed.agent: answer})
    return failed, by_id(found), found


@pytest.mark.parametrize(
    ("name", "fine", "formula"),
    [
        ("brake-caliper", "analyse_stress", "screen_stress"),
        ("drone-arm", "analyse_beam", "screen_beam"),
        ("travel-mug", "simulate_cooling", "screen_cooling"),
        ("data-platform", "simulate_load", "screen_capacity"),
        ("data-platform", "assess_availability", "screen_capacity"),
        ("sleep-study", "simulate_power", "screen_power"),
    ],
)
async def test_multi_fidelity_puts_the_formula_in_the_place_of_the_fine_analysis(
    name: str, fine: str, formula: str
) -> None:
    failed, tasks, found = await after_failure(name, fine)
    new = tasks[failed.id]
    assert (new.agent, new.action, new.params) == ("SIM", formula, {"of": "design"})
    assert new.origin == f"{failed.origin}; SIM: {other_ways.MULTI_FIDELITY}"
    assert new.duration < failed.duration
    assert any(other_ways.MULTI_FIDELITY in note for note in cast("list[str]", found["notes"]))
    assert set(await carried_out(tuple(tasks.values()))) == set(tasks)


async def test_two_models_are_not_compared_where_one_is_left() -> None:
    failed, tasks, _ = await after_failure("drone-arm", "analyse_beam")
    old = doing(await goal_tasks("drone-arm"), "compare_fidelities")
    assert failed.id in old.inputs.values()
    assert old.id not in tasks


async def test_a_simulation_without_a_formula_is_left_out_and_not_shown() -> None:
    failed, tasks, found = await after_failure("brake-caliper", "simulate_fade")
    assert failed.id not in tasks
    assert any(other_ways.NAMED_OPEN["SIM"] in note for note in cast("list[str]", found["notes"]))


async def test_iterative_design_goes_on_in_a_stronger_material() -> None:
    failed, tasks, _ = await after_failure("drone-arm", "refine_tube")
    added = [each for each in tasks.values() if each.origin == f"CAD: {other_ways.STRONGER}"]
    assert [each.action for each in added] == ["select_material"]
    assert tasks[failed.id].inputs["material"] == added[0].id
    assert doing(tuple(tasks.values()), "analyse_beam").inputs["material"] == added[0].id


async def test_a_design_that_failed_in_the_strongest_material_has_no_other() -> None:
    failed, tasks, _ = await after_failure("drone-arm", "refine_tube")
    params = question(
        tuple(tasks.values()),
        LIVING,
        met=before(tuple(tasks.values()), failed.id),
        failed=failed.id,
    )
    with pytest.raises(CannotBeDone, match="CAD knows no other way"):
        await revised(params, CAD=await alternatives("CAD", params))


async def test_a_design_that_cannot_be_lightened_stands_as_it_was_strengthened() -> None:
    failed, tasks, _ = await after_failure("drone-arm", "lighten_tube")
    assert tasks[failed.id].action == "refine_tube"
    assert tasks[failed.id].inputs["concept"] == failed.inputs["refined"]


async def test_a_draft_that_failed_becomes_one_pass_that_sizes_itself() -> None:
    failed, tasks, _ = await after_failure("brake-caliper", "draft_housing")
    assert tasks[failed.id].action == "refine_housing"
    assert other_ways.SIZING_ITSELF in tasks[failed.id].origin


async def test_a_bill_whose_reuse_failed_has_new_parts_only() -> None:
    failed, tasks, _ = await after_failure("brake-caliper", "draft_bom")
    assert set(failed.inputs) - set(tasks[failed.id].inputs) == {"reuse"}
    assert other_ways.NEW_PARTS in tasks[failed.id].origin


async def test_a_bill_is_costed_whatever_it_is_made_of() -> None:
    costed = task("cost", "COMP", "cost_bom", inputs={"bom-draft": "a", "material": "b"})
    others = [task("a", "CAD"), task("b", "CAD"), costed]
    params = question(others, {"CAD": None, "COMP": None}, met=("a", "b"), failed="cost")
    found = by_id(await revised(params, COMP=await alternatives("COMP", params)))
    assert found["cost"].inputs == {"bom-draft": "a"}
    assert other_ways.UNNAMED in found["cost"].origin


async def test_where_two_suppliers_cannot_be_had_one_is_enough() -> None:
    failed, tasks, _ = await after_failure("brake-caliper", "choose_suppliers")
    assert tasks[failed.id].params == failed.params | {"sources": 1}
    assert other_ways.ONE_SOURCE in tasks[failed.id].origin


async def test_a_release_names_what_was_left_out_before_it() -> None:
    failed, tasks, _ = await after_failure("drone-arm", "checklist")
    assert failed.id not in tasks
    failed, tasks, _ = await after_failure("brake-caliper", "audit")
    assert failed.id not in tasks
    release = doing(tuple(tasks.values()), "decide_release")
    assert release.params["without"] == [
        name
        for name, need in doing(await goal_tasks("brake-caliper"), "decide_release").inputs.items()
        if need == failed.id
    ]
    matrix: JsonObject = {"met": 3, "not_met": 0, "without_evidence": 0}
    told = await WORKERS["META"].carries("decide_release")(
        work("decide_release", release.params, compliance_matrix=matrix)
    )
    assert told["decision"] == "release with conditions"
    assert "is not shown" in str(told["conditions"])


@every_goal
@pytest.mark.parametrize("place", [0, 1, -2, -1])
async def test_without_its_simulators_a_goal_is_carried_out_by_the_others(
    name: str, place: int
) -> None:
    tasks = await goal_tasks(name)
    by_simulators = {each.id for each in tasks if each.agent == "SIM"}
    met = before(tasks, [each for each in order(tasks) if each in by_simulators][place])
    params = question(tasks, but("SIM"), met=met, gone="SIM")
    found = await revised(params, SIM=await alternatives("SIM", params))
    again = await revised(params, SIM=await alternatives("SIM", params))
    assert found == again
    new = by_id(found)
    check([*new.values()])
    open_tasks = [each for each in new.values() if each.id not in met]
    assert not any(each.agent == "SIM" for each in open_tasks)
    assert [new[each.id] for each in tasks if each.id in met] == [
        each for each in tasks if each.id in met
    ]
    assert {each.id for each in tasks if each.deliverable} <= set(new)
    results = await carried_out(tuple(new.values()))
    validation = doing(tuple(new.values()), "evaluate_acceptance")
    assert "acceptance tests passed" in str(results[validation.id]["summary"])


async def test_what_nobody_simulated_is_not_called_valid() -> None:
    tasks = await goal_tasks("drone-arm")
    params = question(tasks, but("SIM"), gone="SIM")
    new = by_id(await revised(params, SIM=await alternatives("SIM", params)))
    results = await carried_out(tuple(new.values()))
    validation = results[doing(tuple(new.values()), "evaluate_acceptance").id]
    assert validation["is_valid"] is False
    assert validation["not_shown"] == ["natural_frequency_hz", "life_cycles"]
    release = results[doing(tuple(new.values()), "release_design").id]
    assert release["is_released"] is False


@every_goal
@pytest.mark.parametrize("gone", ["META", "CAD", "COMP", "SUPP"])
async def test_what_only_one_domain_can_do_and_was_asked_for_is_not_made_up(
    name: str, gone: str
) -> None:
    tasks = await goal_tasks(name)
    params = question(tasks, but(gone), gone=gone)
    answer = await alternatives(gone, params)
    with pytest.raises(CannotBeDone, match=rf"no other way to .*\({gone} "):
        await revised(params, **{gone: answer})
