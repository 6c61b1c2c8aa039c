"""Messages that nobody can accept, each for a reason of its own."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Json = dict[str, Any]
CONTENT_TYPE = "application/cloudevents+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message to ``taskloom.reports``."""

    key: str
    body: bytes
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])


def letter(said: Json) -> Letter:
    """Return a report as it should be sent."""
    return Letter(
        key=said["type"],
        body=json.dumps(said).encode(),
        properties={"content_type": CONTENT_TYPE, "message_id": said["id"]},
    )


def said(ident: str, type_: str, data: Json, *, source: str = "/users/ada") -> Json:
    """Return a report as a CloudEvent."""
    return {
        "specversion": "1.0",
        "id": ident,
        "source": source,
        "type": type_,
        "time": "2026-03-01T12:30:45Z",
        "data": data,
    }


def goal(ident: str, *tasks: Json, **more: object) -> Json:
    """Return a goal with its own graph."""
    return said(
        ident,
        "goal.submitted",
        {
            "plan_id": f"plan_{ident}",
            "goal": {"title": "a goal"},
            "options": {"auto_execute": True},
            "tasks": tasks or [task("only")],
            **more,
        },
    )


def task(ident: str, *needs: str) -> Json:
    """Return a task that does nothing."""
    return {"id": ident, "name": ident, "agent": "NOOP", "action": "noop", "depends_on": needs}


def attempt(
    type_: str, *, run_id: str, task_id: str = "only", epoch: int = 1, ident: str = ""
) -> Json:
    """Return what agent ada says of an attempt."""
    data = {"run_id": run_id, "task_id": task_id, "epoch": epoch, "agent_id": "ada"}
    said_by = f"{type_}-{run_id}-{task_id}-{epoch}"
    return said(f"{said_by}-{ident}", type_, data, source="/agents/ada")


def malformed(
    run_id: str, plan_id: str, ident: str = "x", *, task_id: str = "only"
) -> Mapping[str, Letter]:
    """Return a message for every reason; the run, its task and the plan are those of a good one.

    Each has ``ident`` in its body or as its message id, so that it can be found again.
    """
    good = letter(goal(ident))
    return {
        "malformed-json": _body(good, b'{"specversion": "1.0",'),
        "not-an-object": _body(good, b"[1, 2, 3]"),
        "too-large": _said(goal(ident, note="x" * 2**20)),
        "too-deep": _body(good, b'{"data": ' + b"[" * 100 + b"]" * 100 + b"}"),
        "duplicate-key": _body(good, b'{"specversion": "1.0", "specversion": "1.0"}'),
        "non-finite-number": _body(good, b'{"specversion": "1.0", "data": {"cost": NaN}}'),
        "number-too-large": _body(good, b'{"specversion": "1.0", "data": {"n": %d}}' % 10**30),
        "invalid-unicode": _body(good, b'{"specversion": "1.0", "id": "\xff\xfe"}'),
        "unsupported-media-type": _properties(good, content_type="text/plain"),
        "unsupported-encoding": _properties(good, content_encoding="gzip"),
        "missing-message-id": _properties(good, message_id=None),
        "id-mismatch": _properties(good, message_id="another"),
        "forbidden-property": _properties(good, reply_to="somebody"),
        "routing-key-mismatch": replace(good, key="task.completed"),
        "unsupported-specversion": _said(goal(ident) | {"specversion": "0.3"}),
        "missing-attribute": _said(goal(ident) | {"source": ""}),
        "unknown-type": _said(said(ident, "task.eaten", {})),
        "unknown-schema-version": _said(goal(ident) | {"schemaversion": 2}),
        "bad-time": _said(goal(ident) | {"time": "yesterday"}),
        "subject-mismatch": _said(goal(ident) | {"subject": "plan_another"}),
        "identity-mismatch": _said(
            attempt("task.completed", run_id=run_id, ident=ident) | {"source": "/agents/eve"}
        ),
        "schema": _said(goal(ident, colour="red")),
        "unknown-run": _said(attempt("task.completed", run_id="exec_nowhere", ident=ident)),
        "unknown-task": _said(
            attempt("task.completed", run_id=run_id, task_id="none", ident=ident)
        ),
        "unknown-epoch": _said(
            attempt("task.completed", run_id=run_id, task_id=task_id, epoch=99, ident=ident)
        ),
        "unknown-plan": _said(said(ident, "plan.cancel_requested", {"plan_id": "plan_nowhere"})),
        "unknown-agent": _said(
            said(ident, "agent.deregistered", {"agent_id": "nobody"}, source="/agents/nobody")
        ),
        "already-exists": _said(goal(ident, plan_id=plan_id, goal={"title": "another goal"})),
        "cycle": _said(goal(ident, task("a", "b"), task("b", "a"))),
        "duplicate-task": _said(goal(ident, task("a"), task("a"))),
        "unknown-dependency": _said(goal(ident, task("a", "z"))),
    }


def _body(good: Letter, body: bytes) -> Letter:
    return replace(good, body=body)


def _properties(good: Letter, **changes: object) -> Letter:
    return replace(good, properties={**good.properties, **changes})


_said: Callable[[Json], Letter] = letter
