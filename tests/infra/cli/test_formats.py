import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from domain.graph import check
from domain.scheduling.critical_path import critical_path
from infra.cli.formats import files, wfcommons
from infra.cli.formats.files import NotUnderstood, read

SHARED = Path(__file__).parents[4] / "shared" / "data" / "workflows" / "wfformat"


def instance(*tasks: dict[str, Any], runtimes: dict[str, float] | None = None) -> dict[str, Any]:
    return {
        "name": "small",
        "schemaVersion": "1.5",
        "workflow": {
            "specification": {"tasks": list(tasks)},
            "execution": {
                "tasks": [
                    {"id": name, "runtimeInSeconds": seconds}
                    for name, seconds in (runtimes or {}).items()
                ]
            },
        },
    }


def one(name: str, *parents: str) -> dict[str, Any]:
    return {"id": name, "name": name, "parents": list(parents), "children": []}


def test_parents_become_dependencies_and_runtimes_estimates() -> None:
    first, second = wfcommons.tasks_of(
        instance(one("a"), one("b", "a"), runtimes={"a": 1.5, "b": 0})
    )
    assert second.depends_on == ("a",)
    assert (first.duration.total_seconds(), second.duration.total_seconds()) == (1.5, 0)


def test_nothing_waits_unless_asked_and_nobody_for_more_than_a_minute() -> None:
    graph = instance(one("a"), one("b"), one("c"), runtimes={"a": 10, "b": 1e6, "c": 0})
    assert {task.action for task in wfcommons.tasks_of(graph)} == {"noop"}
    a, b, c = wfcommons.tasks_of(graph, time_scale=0.5)
    assert (a.action, a.params["seconds"]) == ("wait", 5.0)
    assert b.params["seconds"] == 60.0
    assert c.action == "noop"


def test_ids_that_become_equal_stay_apart_and_are_kept() -> None:
    tasks = wfcommons.tasks_of(instance(one("x y"), one("x/y"), one("#"), one("z", "x/y")))
    assert [task.id for task in tasks] == ["x-y", "x-y-2", "task", "z"]
    assert tasks[3].depends_on == ("x-y-2",)
    assert tasks[1].params["workflow_id"] == "x/y"


def test_a_graph_in_two_pieces_is_a_graph() -> None:
    tasks = wfcommons.tasks_of(instance(one("a"), one("b", "a"), one("lonely")))
    check(tasks)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (instance(one("a"), one("a")), "more than one task"),
        (instance(one("a", "ghost")), "do not exist: ghost"),
        (instance(one("a")) | {"schemaVersion": "1.3"}, "schemaVersion is 1.3"),
        (instance(one("a"), runtimes={"a": -1}), "runtimeInSeconds"),
        ({"schemaVersion": "1.5", "workflow": {}}, "specification"),
    ],
)
def test_what_is_no_instance_is_refused_with_the_reason(document: Any, why: str) -> None:
    with pytest.raises(wfcommons.NotAWorkflow, match=why):
        wfcommons.tasks_of(document)


def test_a_file_may_be_packed(tmp_path: Path) -> None:
    file = tmp_path / "w.json.gz"
    file.write_bytes(gzip.compress(json.dumps(instance(one("a"))).encode()))
    assert [task.id for task in read(file).tasks] == ["a"]


def test_a_goal_may_stand_alone_or_with_its_options(tmp_path: Path) -> None:
    file = tmp_path / "goal.json"
    file.write_text('{"title": "A bridge"}')
    assert read(file).options.auto_execute
    assert not read(file, auto_execute=False).options.auto_execute
    file.write_text('{"goal": {"title": "A bridge"}, "options": {"enable_replanning": false}}')
    assert not read(file).options.enable_replanning


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "not JSON|JSON"),
        (b"[]", "not an object"),
        (b'{"x": 1}', "neither a goal"),
        (b'{"title": ""}', "title"),
        (b'{"tasks": [{"id": "a"}]}', "name"),
        (b"\x1f\x8bbroken", "cannot be read"),
    ],
)
def test_a_file_that_says_nothing_is_refused_by_its_name(
    tmp_path: Path, content: bytes, why: str
) -> None:
    file = tmp_path / "odd.json"
    file.write_bytes(content)
    with pytest.raises(NotUnderstood, match=why) as refusal:
        read(file)
    assert "odd.json" in str(refusal.value)


def test_every_shared_instance_becomes_a_graph(record_property: Any) -> None:
    files = sorted(SHARED.glob("*.json*")) if SHARED.is_dir() else []
    for file in files:
        wanted = read(file)
        check(wanted.tasks)
        document = json.loads(
            gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        )
        specified = document["workflow"]["specification"]["tasks"]
        assert len(wanted.tasks) == len(specified)
        edges = sum(len(set(task["parents"])) for task in specified)
        assert sum(len(task.depends_on) for task in wanted.tasks) == edges
        assert critical_path(wanted.tasks).path
    record_property("instances", len(files))
    print(f"{len(files)} shared instances were read")


@pytest.mark.proves("S-17c")
def test_a_packed_file_is_not_unpacked_any_further_than_it_may_be_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST", 1_000_000)
    bomb = tmp_path / "goal.json.gz"
    bomb.write_bytes(gzip.compress(b" " * 50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(NotUnderstood, match="1000001 bytes"):
            read(bomb)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
