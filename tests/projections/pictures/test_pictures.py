"""Pictures are whole, legible without colour, safe, and the same every time."""

import re
from datetime import timedelta
from itertools import combinations, pairwise
from typing import get_args
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings

from domain.graph import order
from domain.run_options import RunOptions
from domain.scheduling.schedules import schedule_of
from domain.tasks import Task
from domain.values import TaskStatus
from projections.pictures.gantt import Bar, draw_gantt, planned_bars
from projections.pictures.graph import MOST_BOXES, MOST_COLUMNS, draw_graph
from projections.pictures.layout import GAP_X, HEIGHT, WIDTH, layout
from projections.pictures.routes import Edge, routes
from projections.pictures.svg import MARKS, fitted, span
from tests.support.graphs import acyclic
from tests.support.making import task

SVG = "{http://www.w3.org/2000/svg}"
SHAPES = {"svg", "title", "desc", "style", "defs", "pattern", "rect", "g", "path", "text", "tspan"}
STEP = re.compile(r"([MCH])([\d -]+)")
"""A step of a path: a letter, and the numbers behind it."""

STATUSES: tuple[TaskStatus, ...] = get_args(TaskStatus)


def read(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture.partition("\n")[2])  # ours, and just written


def titles(picture: str) -> list[str]:
    return [each.text or "" for each in read(picture).iter(f"{SVG}title")]


@settings(max_examples=80, deadline=None)
@given(acyclic())
def test_boxes_keep_apart_and_every_edge_leads_to_the_right(tasks: tuple[Task, ...]) -> None:
    needs = {each.id: each.needs for each in tasks}
    placed = layout(order(tasks), needs)
    assert placed.places.keys() == needs.keys()
    for one, other in combinations(placed.places.values(), 2):
        assert abs(one.x - other.x) >= WIDTH or abs(one.y - other.y) >= HEIGHT
    for name, before in needs.items():
        for need in before:
            assert placed.places[need].x + WIDTH < placed.places[name].x
    for place in placed.places.values():
        assert 0 <= place.x <= placed.width - WIDTH
        assert 0 <= place.y <= placed.height - HEIGHT
    assert layout(order(tasks), needs) == placed


def wide() -> tuple[Task, ...]:
    """Layers that take several columns each, and edges over one and over two of them."""
    layers = [[f"t{layer}-{number:02}" for number in range(45)] for layer in range(4)]
    return tuple(
        task(
            name,
            *(layers[depth - 1][(number * 7 + k) % 45] for k in range(2) if depth),
            *(layers[depth - 2][(number * 11) % 45] for _ in range(1) if depth > 1),
        )
        for depth, layer in enumerate(layers)
        for number, name in enumerate(layer)
    )


@settings(max_examples=80, deadline=None)
@given(acyclic())
@example(wide())
def test_no_edge_passes_behind_a_box(tasks: tuple[Task, ...]) -> None:
    needs = {each.id: each.needs for each in tasks}
    placed = layout(order(tasks), needs)
    boxes = placed.places.values()
    paths = routes(placed, needs)
    assert sorted(paths) == sorted((need, name) for name in needs for need in needs[name])
    for edge, path in paths.items():
        begin, end = placed.places[edge.source], placed.places[edge.target]
        steps = STEP.findall(path)
        x, y = map(int, steps[0][1].split())
        assert (x, y) == (begin.x + WIDTH, begin.y + HEIGHT // 2)
        for kind, numbers in steps[1:]:
            *_, to_x, to_y = *map(int, numbers.split()), *([y] if kind == "H" else [])
            if kind == "C":  # from one column to the next, where no boxes are
                assert not any(box.x < to_x and x < box.x + WIDTH for box in boxes)
            else:
                among = [box for box in boxes if box.x < to_x and x < box.x + WIDTH]
                assert not any(box.y <= y <= box.y + HEIGHT for box in among)
            x, y = to_x, to_y
        assert (x, y) == (end.x, end.y + HEIGHT // 2)


def test_long_edges_of_one_end_share_their_way_and_those_of_others_have_their_own() -> None:
    chain = [task("a"), *(task(f"{b}", a) for a, b in pairwise("abcdef"))]
    tasks = (*chain, task("y", "a", "e"), task("z", "a", "f"), task("o", "b", "f"))
    needs = {each.id: each.needs for each in tasks}
    paths = routes(layout(order(tasks), needs), needs)
    ways = {edge: path.partition("H")[0] for edge, path in paths.items() if "H" in path}
    assert ways.keys() == {Edge("a", "y"), Edge("a", "z"), Edge("b", "o")}
    assert ways[Edge("a", "y")] == ways[Edge("a", "z")]
    assert len({ways[each].split()[-1] for each in (Edge("a", "y"), Edge("b", "o"))}) == 2


@settings(max_examples=40, deadline=None)
@given(acyclic())
def test_every_task_is_drawn_once(tasks: tuple[Task, ...]) -> None:
    drawn = draw_graph("A plan", tasks, {})
    told = titles(drawn)[1:]
    assert sorted(words.partition(" ")[0] for words in told) == sorted(each.id for each in tasks)
    assert draw_graph("A plan", tasks, {}) == drawn


def test_each_status_has_a_mark_and_a_word_of_its_own() -> None:
    assert set(MARKS) == set(STATUSES)
    assert len(set(MARKS.values())) == len(MARKS)
    for status in STATUSES:
        drawn = draw_graph("A plan", (task("a"),), {"a": status})
        assert f"{MARKS[status]} {status}" in drawn


def test_the_critical_path_is_said_and_not_only_coloured() -> None:
    tasks = (task("a", duration=60), task("b", "a", duration=60), task("c", duration=5))
    drawn = draw_graph("A plan", tasks, {})
    assert [("critical path" in words) for words in titles(drawn)[1:]] == [True, True, False]
    assert drawn.count("· critical") == 2


@pytest.mark.parametrize(
    "words",
    ["</title><script>alert(1)</script>", '"><image href="x" onerror="y">', "a\x00\x1b\ud800b"],
)
def test_words_of_users_stay_words(words: str) -> None:
    hostile = task("a").model_copy(update={"name": words, "agent": "NOOP"})
    schedule = planned_bars((hostile,), schedule_of((hostile,), RunOptions()))
    for drawn in (draw_graph(words, (hostile,), {}), draw_gantt(words, (hostile,), schedule, [])):
        names = {each.tag.removeprefix(SVG) for each in read(drawn).iter()}
        assert names <= SHAPES
        attributes = {name for each in read(drawn).iter() for name in each.attrib}
        assert not {name for name in attributes if name.startswith("on") or "href" in name}


def test_a_duration_is_never_written_with_an_exponent() -> None:
    assert [span(days * 86_400) for days in (3, 999, 1_000, 12_345)] == [
        "3 d",
        "999 d",
        "1,000 d",
        "12,345 d",
    ]


@pytest.mark.parametrize("letter", ["i", "W", "_", "計"])
def test_a_long_name_ends_inside_of_its_box(letter: str) -> None:
    assert fitted("Weave it", 192) == "Weave it"
    short = fitted(letter * 300, 192)
    assert short.endswith("…")
    widest = {"i": 7.6, "W": 10, "_": 10, "計": 14}[letter]
    assert len(short[:-1]) == int((192 - 10) / widest)


def test_a_graph_that_is_too_large_is_drawn_in_bundles_and_says_so() -> None:
    many = tuple(task(f"t{number:05}") for number in range(MOST_BOXES + 1))
    drawn = draw_graph("A plan", many, {"t00000": "completed"})
    told = titles(drawn)
    assert len(told) == 3
    assert "One box stands for tasks alike" in drawn
    assert {words.partition(" ")[0] for words in told[1:]} == {"1", str(MOST_BOXES)}


def test_a_graph_that_is_too_deep_is_drawn_in_no_more_columns_than_fit() -> None:
    deep = tuple(
        task(f"t{number:05}", *([f"t{number - 1:05}"] if number else ())).model_copy(
            update={"agent": ("NOOP", "CAD")[number % 2]}
        )
        for number in range(10_000)
    )
    drawn = draw_graph("A plan", deep, {})
    assert "One box stands for tasks alike" in drawn
    told = titles(drawn)[1:]
    assert sum(int(words.partition(" ")[0]) for words in told) == len(deep)
    assert int(read(drawn).get("width", "0")) <= MOST_COLUMNS * (WIDTH + GAP_X) + 48


def test_bars_of_one_row_never_meet_and_show_who_did_what() -> None:
    tasks = tuple(task(f"t{number}", duration=60) for number in range(6))
    planned = planned_bars(tasks, schedule_of(tasks, RunOptions(limits={"NOOP": 2})))
    done = [Bar(task=tasks[0], start=0, end=1.5, status="completed", agent_id="ann")]
    drawn = draw_gantt("A plan", tasks, planned, done)
    bars = [group.find(f"{SVG}rect") for group in read(drawn).iter(f"{SVG}g")]
    places = [
        (float(bar.get("x", "0")), float(bar.get("y", "0")), float(bar.get("width", "0")))
        for bar in bars
        if bar is not None
    ]
    assert len(places) == 7
    for (x1, y1, width), (x2, y2, _) in combinations(sorted(places, key=lambda p: (p[1], p[0])), 2):
        assert y1 != y2 or x1 + width <= x2 + 0.11
    assert any("completed, by ann" in words for words in titles(drawn))


def test_bars_too_narrow_for_a_mark_differ_by_how_they_are_cut() -> None:
    long = task("long", duration=3_600)
    short = tuple(task(f"t{number}", duration=60) for number in range(len(STATUSES)))
    done = [Bar(task=long, start=0, end=3_600, status="completed")]
    done += [
        Bar(task=each, start=0, end=60, status=status)
        for each, status in zip(short, STATUSES, strict=True)
    ]
    root = read(draw_gantt("A plan", (long, *short), [], done))
    cuts: dict[str, str] = {}
    for pattern in root.iter(f"{SVG}pattern"):
        cut = pattern.find(f"{SVG}path")
        assert cut is not None
        cuts[f"url(#{pattern.get('id')})"] = cut.get("d", "")
    fills = {
        (group.findtext(f"{SVG}title") or "").partition(" ")[0]: rect.get("fill", "")
        for group in root.iter(f"{SVG}g")
        for rect in group.findall(f"{SVG}rect")
    }
    assert len({cuts[fills[each.id]] for each in short}) == len(STATUSES)
    words = {each.text for each in root.iter(f"{SVG}text")}
    assert {f"{MARKS[status]} {status}" for status in STATUSES} <= words


def test_a_plan_without_a_run_shows_the_plan_alone() -> None:
    one = (task("a", duration=timedelta(hours=2)),)
    drawn = draw_gantt("A plan", one, planned_bars(one, schedule_of(one, RunOptions())), [])
    assert "Planned, 2 h" in drawn
    assert "Actual" not in drawn
