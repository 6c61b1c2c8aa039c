"""Traces of real workflows are carried out as they were: ``taskloom run`` on ``taskloom up``.

Small instances of our own are always run; those under ``../shared/data/workflows/wfformat``, where
that folder exists, as far as they have 400 tasks at most. ``TASKLOOM_TEST_WORKFLOWS=all`` runs all.
"""

import gzip
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import RunStarted, TaskCompleted, TaskDispatched
from infra.cli.formats.files import read
from tests.support.recorded import log_of, of_type
from tests.support.telling import Tell
from tests.system.checker import require
from tests.system.processes import ROOT, Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

FOLDER = ROOT.parent / "shared" / "data" / "workflows" / "wfformat"
LARGEST = 400 if os.environ.get("TASKLOOM_TEST_WORKFLOWS") != "all" else 1_000_000

Edge = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Workflow:
    """What a file says, as somebody reads it who has never seen our importer."""

    file: Path
    tasks: frozenset[str]
    edges: frozenset[Edge]

    @classmethod
    def of(cls, file: Path) -> "Workflow":
        raw = file.read_bytes()
        said = orjson.loads(gzip.decompress(raw) if file.suffix == ".gz" else raw)
        tasks = said["workflow"]["specification"]["tasks"]
        down = {(task["id"], child) for task in tasks for child in task["children"]}
        up = {(parent, task["id"]) for task in tasks for parent in task["parents"]}
        assert up == down, f"{file} contradicts itself"
        return cls(file, frozenset(task["id"] for task in tasks), frozenset(up))


def own(folder: Path) -> Sequence[Path]:
    """Write instances that are odd in a way each: a diamond, islands, names that are no ids."""
    shapes: Mapping[str, Mapping[str, Sequence[str]]] = {
        "diamond": {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]},
        "islands": {"x": [], "y": [], "z": ["y"]},
        "names": {"ü/1": [], "ü 1": ["ü/1"], "ü:1": ["ü/1", "ü 1"], "_": ["ü:1"]},
    }
    files: list[Path] = []
    for name, parents in shapes.items():
        tasks = [
            {
                "name": ident,
                "id": ident,
                "parents": needs,
                "children": [other for other, its in parents.items() if ident in its],
            }
            for ident, needs in parents.items()
        ]
        runtimes = [{"id": ident, "runtimeInSeconds": 1.5} for ident in parents]
        instance = {
            "name": name,
            "schemaVersion": "1.5",
            "workflow": {"specification": {"tasks": tasks}, "execution": {"tasks": runtimes}},
        }
        files.append(folder / f"{name}.json")
        files[-1].write_bytes(orjson.dumps(instance))
    return files


@pytest.fixture
def stack(tmp_path: Path, database: str, vhost_url: str) -> Iterator[Stack]:
    with running(tmp_path, database, vhost_url, core=()) as stack:
        stack.start("up", "up")
        stack.until(stack.answers, "the API answers")
        stack.until((tmp_path / "state" / "stack.json").exists, "the stack can be found")
        yield stack
        assert stack.stop("up", seconds=30) == 0


def test_workflows_run_in_their_order(stack: Stack, tmp_path: Path, tell: Tell) -> None:
    given = sorted(FOLDER.glob("*.json*")) if FOLDER.is_dir() else []
    workflows = [
        one for one in map(Workflow.of, [*own(tmp_path), *given]) if len(one.tasks) <= LARGEST
    ]
    began = time.monotonic()
    for workflow in workflows:
        result = orjson.loads(stack.taskloom("run", str(workflow.file), "--json"))
        assert result["status"] == "completed"
        ran_as_written(stack, result["execution_id"], workflow)
    took = time.monotonic() - began
    stack.until(stack.is_shown, "the views are where the log is")
    found = require(stack.dsn)
    assert len(found.runs) == len(workflows)
    assert not stack.deaths
    tasks = sum(len(run.tasks) for run in found.runs.values())
    tell(
        f"{len(workflows)} workflows of {tasks} tasks ran in {took:.0f} s;"
        f" {len(given)} are in {FOLDER.name}"
    )


def ran_as_written(stack: Stack, run_id: str, workflow: Workflow) -> None:
    """Compare the log of a run with the file: tasks, edges, and the order of what happened."""
    events = log_of(stack, run_id)
    (started,) = of_type(events, RunStarted)
    names = {task.id: str(task.params["workflow_id"]) for task in started.tasks}
    edges: set[Edge] = set()
    for task in started.tasks:
        edges |= {(names[need], names[task.id]) for need in task.depends_on}
    assert set(names.values()) == workflow.tasks
    assert edges == workflow.edges
    imported = {task.id: task for task in read(workflow.file).tasks}
    assert {task.id: task.depends_on for task in started.tasks} == {
        name: tuple(task.depends_on) for name, task in imported.items()
    }
    begun, done = _when(events, names, TaskDispatched), _when(events, names, TaskCompleted)
    assert begun.keys() == done.keys() == workflow.tasks
    early = [(parent, child) for parent, child in workflow.edges if done[parent] > begun[child]]
    assert early == []
    ends = Counter(each.task_id for each in of_type(events, TaskCompleted))
    assert set(ends.values()) == {1}


def _when(
    events: Sequence[Recorded[Event]],
    names: Mapping[str, str],
    kind: type[TaskDispatched] | type[TaskCompleted],
) -> Mapping[str, int]:
    """Return at which position something happened first to each task, by its name in the file."""
    found: dict[str, int] = {}
    for each in events:
        if isinstance(each.event, kind):
            found.setdefault(names[each.event.task_id], each.position)
    return found
