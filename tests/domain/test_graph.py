"""Task graphs: what is accepted, in which order, and what exactly is wrong with the rest."""

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest
from hypothesis import given

from domain.errors import (
    BadGraph,
    CyclicGraph,
    DuplicateTask,
    EmptyGraph,
    GraphTooLarge,
    UnknownDependency,
)
from domain.graph import Limits, check, depths, downstream, order, successors
from domain.tasks import Task
from tests.support.graphs import acyclic, any_graph
from tests.support.making import task

MANY = 10_000


def edges(tasks: tuple[Task, ...]) -> set[tuple[str, str]]:
    return {(need, each.id) for each in tasks for need in each.needs}


def test_a_graph_without_tasks_is_refused() -> None:
    with pytest.raises(EmptyGraph, match="give at least one"):
        check(())


def test_tasks_with_one_name_are_named() -> None:
    with pytest.raises(DuplicateTask, match="more than one task is called a, b"):
        check([task("b"), task("a"), task("b"), task("a"), task("c")])


def test_a_task_that_the_graph_has_already_cannot_be_added() -> None:
    with pytest.raises(DuplicateTask, match="called a"):
        check([task("a")], known={"a": task("a")})


def test_every_unknown_dependency_is_named() -> None:
    with pytest.raises(UnknownDependency) as refused:
        check([task("a", "x"), task("b", "a", inputs={"m": "y"})])
    assert str(refused.value) == "tasks depend on tasks that do not exist: a on x, b on y"


def test_of_more_than_fifty_unknown_dependencies_the_rest_is_counted() -> None:
    with pytest.raises(UnknownDependency) as refused:
        check([task(f"t{number:02}", "gone") for number in range(53)])
    assert str(refused.value).count(" on gone") == 50
    assert str(refused.value).endswith(" and 3 more")


def test_a_new_task_may_need_one_that_the_graph_has_already() -> None:
    known = {"a": task("a")}
    check([task("b", "a")], known=known)
    assert order([task("c", "b"), task("b", "a")], known=known) == ["b", "c"]
    assert depths([task("c", "b"), task("b", "a")], known=known) == {"b": 1, "c": 2}


@pytest.mark.proves("S-20c")
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(tasks=2), "has 3 tasks; at most 2"),
        (Limits(edges=1), "has 2 edges; at most 1"),
        (Limits(depth=2), "has 3 levels; at most 2"),
        (Limits(types=0), "has 1 types of agents; at most 0"),
    ],
    ids=["tasks", "edges", "depth", "types"],
)
def test_a_graph_beyond_a_limit_is_refused(limits: Limits, message: str) -> None:
    chain = [task("a"), task("b", "a"), task("c", "b")]
    with pytest.raises(GraphTooLarge, match=message):
        check(chain, limits=limits)
    check(chain, limits=Limits(tasks=3, edges=2, depth=3))


def test_every_type_that_may_get_a_task_counts_towards_the_limit() -> None:
    with pytest.raises(GraphTooLarge, match="3 types of agents"):
        check(
            [task("b", agent="CAD", fallback="SIM")],
            known={"a": task("a", agent="NOOP")},
            limits=Limits(types=2),
        )


def test_tasks_that_are_there_already_count_towards_the_limit() -> None:
    with pytest.raises(GraphTooLarge, match="3 tasks"):
        check([task("c")], known={"a": task("a"), "b": task("b")}, limits=Limits(tasks=2))


def test_a_task_that_waits_for_itself_is_a_circle() -> None:
    with pytest.raises(CyclicGraph, match=r"each other: a → a$"):
        check([task("a", "a"), task("b", "a")])


def test_a_circle_is_named_from_its_least_task_and_nothing_beside_it() -> None:
    tasks = [
        task("root"),
        task("c", "b", "root"),
        task("a", "c"),
        task("b", "a"),
        task("0-behind", "c"),
    ]
    with pytest.raises(CyclicGraph) as refused:
        check(tasks)
    assert refused.value.cycle == ("a", "b", "c", "a")
    assert str(refused.value) == "these tasks wait for each other: a → b → c → a"


def test_a_long_circle_is_shortened_in_the_message_only() -> None:
    ring = [task(f"t{n:03}", f"t{(n - 1) % 200:03}") for n in range(200)]
    with pytest.raises(CyclicGraph) as refused:
        check(ring)
    assert len(refused.value.cycle) == 201
    assert str(refused.value).count("→") == 49
    assert "→ … →" in str(refused.value)


def test_of_free_tasks_the_least_id_comes_first() -> None:
    assert order([task("c"), task("a", "c"), task("b")]) == ["b", "c", "a"]


def test_what_waits_for_a_task_is_found_through_any_number_of_others() -> None:
    after = successors([task("b", "a"), task("c", "b"), task("d", "a", "c"), task("e")])
    assert after == {"a": ["b", "d"], "b": ["c"], "c": ["d"]}
    assert downstream("a", after, is_open=lambda _: True) == ["b", "c", "d"]
    assert downstream("e", after, is_open=lambda _: True) == []


def test_nothing_is_looked_for_behind_a_task_that_is_closed_already() -> None:
    asked: list[str] = []

    def is_open(name: str) -> bool:
        asked.append(name)
        return name != "b"

    after = successors([task("b", "a"), task("c", "b"), task("d", "c"), task("e", "a")])
    assert downstream("a", after, is_open=is_open) == ["e"]
    assert asked == ["b", "e"]


def test_a_chain_of_ten_thousand_tasks_is_a_graph() -> None:
    chain = [task("t00000"), *(task(f"t{n:05}", f"t{n - 1:05}") for n in range(1, MANY))]
    check(chain[::-1])
    assert depths(chain)["t09999"] == MANY
    assert len(downstream("t00000", successors(chain), is_open=lambda _: True)) == MANY - 1


def test_a_chain_of_ten_thousand_tasks_may_be_closed_to_a_circle_and_is_refused() -> None:
    ring = [task(f"t{n:05}", f"t{(n - 1) % MANY:05}") for n in range(MANY)]
    with pytest.raises(CyclicGraph) as refused:
        check(ring)
    assert len(refused.value.cycle) == MANY + 1


def test_ten_thousand_tasks_may_wait_for_one() -> None:
    fan = [task("root"), *(task(f"t{n:05}", "root") for n in range(1, MANY))]
    check(fan)
    assert len(successors(fan)["root"]) == MANY - 1


@given(acyclic())
def test_the_order_respects_every_edge_and_never_changes(tasks: tuple[Task, ...]) -> None:
    ordered = order(tasks)
    place = {name: number for number, name in enumerate(ordered)}
    assert sorted(ordered) == sorted(each.id for each in tasks)
    assert all(place[need] < place[name] for need, name in edges(tasks))
    assert order(tasks[::-1]) == ordered


@given(acyclic())
def test_a_task_lies_one_level_below_its_deepest_need(tasks: tuple[Task, ...]) -> None:
    levels = depths(tasks)
    for each in tasks:
        assert levels[each.id] == 1 + max((levels[need] for need in each.needs), default=0)


@given(any_graph())
def test_circles_are_found_where_graphlib_finds_one(tasks: tuple[Task, ...]) -> None:
    sorter = TopologicalSorter({each.id: each.needs for each in tasks})
    try:
        sorter.prepare()
    except CycleError:
        with pytest.raises(CyclicGraph) as refused:
            check(tasks)
        cycle = refused.value.cycle
        assert set(pairwise(cycle)) <= edges(tasks)
        assert cycle[0] == cycle[-1] == min(cycle)
        assert len(set(cycle)) == len(cycle) - 1
    else:
        check(tasks)


@given(acyclic())
def test_a_graph_may_be_checked_in_parts(tasks: tuple[Task, ...]) -> None:
    place = {name: number for number, name in enumerate(order(tasks))}
    ordered = sorted(tasks, key=lambda each: place[each.id])
    known: dict[str, Task] = {}
    for each in ordered:
        check([each], known=known)
        known[each.id] = each


def test_what_is_wrong_with_a_graph_is_always_a_bad_graph() -> None:
    for error in (CyclicGraph, DuplicateTask, EmptyGraph, GraphTooLarge, UnknownDependency):
        assert issubclass(error, BadGraph)
        assert error.code != BadGraph.code
