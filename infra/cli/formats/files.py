"""What a file asks for: a goal, a task graph or a workflow, by what is in it."""

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from bus.strict_json import loads_strict
from domain.errors import Refused
from domain.goals import Goal, Options
from domain.graph import check
from domain.tasks import Task
from infra.cli.formats import wfcommons

LARGEST = 256 * 1024 * 1024
_TASKS = TypeAdapter(tuple[Task, ...])


class NotUnderstood(Refused):
    """A file holds nothing that can be run."""

    code = "not-understood"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be submitted."""

    goal: Goal
    options: Options
    tasks: Sequence[Task] = ()
    """The graph, where there is nothing to plan."""


def read(file: Path, *, time_scale: float = 0.0, auto_execute: bool = True) -> Wanted:
    """Read a goal, a task graph or a WfCommons instance; ``.gz`` is unpacked.

    Raises:
        Refused: It is none of these, or its graph cannot be run.
    """
    document = _document(file)
    try:
        wanted = _wanted(document, file, time_scale)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"])) or "it"
        raise NotUnderstood(f"{file}: {where}: {problem['msg']}") from error
    except Refused as refusal:
        raise type(refusal)(f"{file}: {refusal}") from refusal
    if wanted.tasks:
        check(wanted.tasks)
    if not auto_execute:
        return wanted
    options = wanted.options.model_copy(update={"auto_execute": True})
    return Wanted(goal=wanted.goal, options=options, tasks=wanted.tasks)


def _wanted(document: Mapping[str, Any], file: Path, time_scale: float) -> Wanted:
    name = file.name.removesuffix(".gz").removesuffix(".json")
    if wfcommons.is_workflow(document):
        tasks = wfcommons.tasks_of(document, time_scale=time_scale)
        goal = Goal(title=wfcommons.title_of(document), domain="workflow")
        return Wanted(goal=goal, options=Options(), tasks=tasks)
    options = Options.model_validate(document.get("options", {}))
    if "tasks" in document or "task_graph" in document:
        graph = document.get("task_graph", document)
        given = document.get("goal", {"title": document.get("title", name)})
        tasks = _TASKS.validate_python(cast("Mapping[str, Any]", graph).get("tasks"))
        return Wanted(goal=Goal.model_validate(given), options=options, tasks=tasks)
    if "goal" in document or "title" in document:
        given = document.get("goal", document)
        return Wanted(goal=Goal.model_validate(given), options=options)
    raise NotUnderstood(
        "it is neither a goal (title, or goal and options), nor a task graph (tasks),"
        " nor a WfCommons instance (workflow and schemaVersion)"
    )


def _document(file: Path) -> Mapping[str, Any]:
    try:
        raw = file.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            with gzip.open(file) as packed:
                raw = packed.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise NotUnderstood(f"{file} cannot be read: {error}") from error
    try:
        document = loads_strict(raw, max_bytes=LARGEST)
    except Refused as error:
        raise NotUnderstood(f"{file}: {error}") from error
    if not isinstance(document, dict):
        raise NotUnderstood(f"{file} holds JSON, but not an object")
    return cast("Mapping[str, Any]", document)
