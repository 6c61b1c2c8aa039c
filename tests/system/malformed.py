"""Messages that nobody can accept, each for a reason of its own."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pika

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
    return {"id": ident, "name": ident, "agent": "NOOP", "action": "noop", "depends_on": needs}


def attempt(type_: str, *, run_id: str, task_id: str = "only", epoch: int = 1) -> Json:
    data = {"run_id": run_id, "task_id": task_id, "epoch": epoch, "agent_id": "ada"}
    return said(f"{type_}-{run_id}-{task_id}-{epoch}", type_, data, source="/agents/ada")


def malformed(run_id: str, plan_id: str) -> Mapping[str, Letter]:
    """Return a message for every reason; the run and the plan are those of a good one."""
    good = letter(goal("x"))
    return {
        "malformed-json": _body(good, b'{"specversion": "1.0",'),
        "not-an-object": _body(good, b"[1, 2, 3]"),
        "too-large": _said(goal("x", note="x" * 2**20)),
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
        "unsupported-specversion": _said(goal("x") | {"specversion": "0.3"}),
        "missing-attribute": _said(goal("x") | {"source": ""}),
        "unknown-type": _said(said("x", "task.eaten", {})),
        "unknown-schema-version": _said(goal("x") | {"schemaversion": 2}),
        "bad-time": _said(goal("x") | {"time": "yesterday"}),
        "subject-mismatch": _said(goal("x") | {"subject": "plan_another"}),
        "identity-mismatch": _said(
            attempt("task.completed", run_id=run_id) | {"source": "/agents/eve"}
        ),
        "schema": _said(goal("x", colour="red")),
        "unknown-run": _said(attempt("task.completed", run_id="exec_nowhere")),
        "unknown-task": _said(attempt("task.completed", run_id=run_id, task_id="none")),
        "unknown-epoch": _said(attempt("task.completed", run_id=run_id, epoch=99)),
        "unknown-plan": _said(said("x", "plan.cancel_requested", {"plan_id": "plan_nowhere"})),
        "unknown-agent": _said(
            said("x", "agent.deregistered", {"agent_id": "nobody"}, source="/agents/nobody")
        ),
        "already-exists": _said(goal("x", plan_id=plan_id, goal={"title": "another goal"})),
        "cycle": _said(goal("x", task("a", "b"), task("b", "a"))),
        "duplicate-task": _said(goal("x", task("a"), task("a"))),
        "unknown-dependency": _said(goal("x", task("a", "z"))),
    }


def send(channel: Any, letters: Sequence[Letter]) -> None:
    """Publish letters to the reports, each until the broker has it."""
    for one in letters:
        channel.basic_publish(
            "taskloom.reports",
            one.key,
            one.body,
            pika.BasicProperties(**one.properties),
            mandatory=True,
        )


def _body(good: Letter, body: bytes) -> Letter:
    return replace(good, body=body)


def _properties(good: Letter, **changes: object) -> Letter:
    return replace(good, properties={**good.properties, **changes})


_said: Callable[[Json], Letter] = letter
