"""WfCommons instances (WfFormat 1.5): traces of real workflows, to be run again.

https://wfcommons.org/format. Who needs whom and how long each task took is kept; what it read,
wrote and computed is not: its task here is one that waits. Ids become ours, and the original one
stays in the task's parameters.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import Refused
from domain.tasks import Task
from domain.values import JsonObject

AGENT = "NOOP"
VERSIONS = ("1.5",)
LONGEST_WAIT = 60.0
"""Seconds; a NOOP agent waits no longer."""


class NotAWorkflow(Refused):
    """A document is not a WfCommons instance that can be imported."""

    code = "not-a-workflow"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Task(_Part):
    id: str
    name: str = ""
    parents: tuple[str, ...] = ()


class _Executed(_Part):
    id: str
    runtime: Annotated[float, Field(alias="runtimeInSeconds", ge=0, allow_inf_nan=False)]


class _Specification(_Part):
    tasks: tuple[_Task, ...]


class _Execution(_Part):
    tasks: tuple[_Executed, ...] = ()


class _Workflow(_Part):
    specification: _Specification
    execution: _Execution = _Execution()


class _Instance(_Part):
    name: str = "workflow"
    version: Annotated[str, Field(alias="schemaVersion")]
    workflow: _Workflow


def is_workflow(document: Mapping[str, object]) -> bool:
    """Say whether a document means to be a WfCommons instance."""
    return "workflow" in document and "schemaVersion" in document


def title_of(document: Mapping[str, object]) -> str:
    """Return the name of an instance."""
    return (str(document.get("name") or "") or "workflow")[:200]


def tasks_of(document: Mapping[str, object], *, time_scale: float = 0.0) -> Sequence[Task]:
    """Return an instance's tasks; each waits its runtime times the scale, at most a minute.

    Raises:
        NotAWorkflow: It is not an instance of a version that is understood here.
    """
    try:
        instance = _Instance.model_validate(document)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise NotAWorkflow(f"it is no WfCommons instance: {where}: {problem['msg']}") from error
    if instance.version not in VERSIONS:
        raise NotAWorkflow(
            f"its schemaVersion is {instance.version}; {', '.join(VERSIONS)} is understood here"
        )
    specified = instance.workflow.specification.tasks
    runtimes = {one.id: one.runtime for one in instance.workflow.execution.tasks}
    ids = _our_ids([task.id for task in specified])
    unknown = sorted({need for task in specified for need in task.parents} - ids.keys())
    if unknown:
        raise NotAWorkflow(f"tasks have parents that do not exist: {', '.join(unknown[:5])}")
    return [_task(task, ids, runtimes.get(task.id, 0.0), time_scale) for task in specified]


def _task(task: _Task, ids: Mapping[str, str], runtime: float, time_scale: float) -> Task:
    params: JsonObject = {"workflow_id": task.id, "runtime_seconds": runtime}
    wait = min(runtime * time_scale, LONGEST_WAIT)
    if wait:
        params["seconds"] = wait
    return Task(
        id=ids[task.id],
        name=(task.name or task.id)[:200],
        agent=AGENT,
        action="wait" if wait else "noop",
        params=params,
        depends_on=tuple(sorted({ids[parent] for parent in task.parents})),
        duration=timedelta(seconds=runtime),
        origin="wfcommons",
    )


def _our_ids(names: Sequence[str]) -> Mapping[str, str]:
    """Give every name an id in our alphabet; two that become equal get numbers."""
    given: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        if name in given:
            raise NotAWorkflow(f"more than one task is called {name}")
        plain = re.sub(r"[^A-Za-z0-9._:-]", "-", name)[:120].lstrip("._:-") or "task"
        ident, number = plain, 1
        while ident in taken:
            number += 1
            ident = f"{plain}-{number}"
        given[name] = ident
        taken.add(ident)
    return given
