"""Publishing: reports of our kinds are recorded, everything else is kept for who subscribes."""

from typing import Annotated, Final, cast

import orjson
from fastapi import APIRouter, Depends, Header, Response
from psycopg.rows import tuple_row

from api.access import May
from api.deps import Deps, Ports
from api.errors import NotAllowed, ReservedTopic
from api.reading import CONNECT, POSITION
from api.subscription_answers import Publication, Published
from bus.envelope import decode_report
from bus.recorder import Outcome
from bus.subscriptions import wanting
from domain.deciders import EVENTS, PUBLIC_REPORTS
from domain.identity import Caller, Permission
from domain.messages import MessagePublished, message_stream
from domain.policies import AnyReport
from domain.recorded import Report, derived_id
from domain.values import JsonObject
from projections.agent_types import AgentTypes

router = APIRouter(prefix="/messages", tags=["messages"])

RESERVED: Final = frozenset(
    {name.partition(".")[0] for name in (*EVENTS, *PUBLIC_REPORTS)}
    | {"taskloom", "system", "keeper", "order", "subscription", "audit", "user", "key"}
)
"""What topics of others may not begin with: such things are said by us, or as reports."""

_ATTEMPTS: Final = frozenset({"task.started", "task.completed", "task.failed", "task.stopped"})


@router.post("/publish", status_code=202)
async def publish_message(
    asked: Publication,
    ports: Ports,
    response: Response,
    caller: Annotated[Caller, Depends(May("message:publish"))],
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="Asked twice, done once.")
    ] = None,
) -> Published:
    """Say something. A topic that is a type of our reports is recorded as that report."""
    if asked.message_id is not None:
        message_id = asked.message_id
    elif idempotency_key is not None:
        message_id = derived_id(caller.actor, f"message/{idempotency_key}")
    else:
        message_id = ports.new_id()
    if asked.topic in PUBLIC_REPORTS:
        report = await _report(ports, caller, asked, message_id)
    else:
        report = _message(ports, caller, asked, message_id)
    outcome = await ports.record(report)
    if outcome.events:
        response.headers[POSITION] = str(outcome.position)
    return Published(
        message_id=message_id,
        topic=asked.topic,
        published_at=outcome.events[0].at if outcome.events else report.said_at,
        subscribers_notified=await _notified(ports, outcome),
        position=outcome.position or None,
    )


def _message(ports: Deps, caller: Caller, asked: Publication, message_id: str) -> Report[AnyReport]:
    """Return a message of another system as a report.

    Raises:
        ReservedTopic: Only we speak of this.
    """
    first = asked.topic.partition(".")[0]
    if first in RESERVED:
        raise ReservedTopic(asked.topic, sorted(PUBLIC_REPORTS))
    # Ids are unique among those of one publisher: nobody can take those of others.
    own = derived_id(caller.actor, f"message/{message_id}")
    return Report(
        id=own,
        stream=message_stream(own),
        body=MessagePublished(
            message_id=message_id,
            topic=asked.topic,
            payload=asked.payload,
            priority=asked.priority,
        ),
        said_at=ports.clock.now(),
        actor=caller.actor,
        correlation_id=asked.correlation_id or own,
    )


async def _report(
    ports: Deps, caller: Caller, asked: Publication, message_id: str
) -> Report[AnyReport]:
    """Return a report of ours as the bus would have read it, said by the caller.

    Raises:
        Unreadable: It is not exactly what a report of its type is, or speaks for somebody else.
        NotAllowed: Their role does not say such things.
    """
    if (needed := _needed(asked.topic)) is not None and needed not in caller.permissions:
        raise NotAllowed(needed)
    payload = asked.payload
    if asked.topic in _ATTEMPTS and not {"run_id", "epoch"} & payload.keys():
        payload = payload | await _attempt(ports, payload)
    report_id = derived_id(caller.actor, f"message/{message_id}")
    said = {
        "specversion": "1.0",
        "id": report_id,
        "source": f"/{caller.actor}",
        "type": asked.topic,
        "time": ports.clock.now(),
        "correlationid": asked.correlation_id or report_id,
        "data": payload,
    }
    raw = orjson.dumps(said, option=orjson.OPT_UTC_Z)
    return cast("Report[AnyReport]", decode_report(raw, PUBLIC_REPORTS))


def _needed(topic: str) -> Permission | None:
    """Return what a report needs besides, if it is not an agent speaking of itself."""
    if topic == "goal.submitted":
        return "plan:create"
    if topic in _ATTEMPTS or topic.startswith("agent."):
        return None  # it names its agent, and that has to be the caller
    return "plan:steer:all"


async def _attempt(ports: Deps, payload: JsonObject) -> JsonObject:
    """Return run and epoch of the one attempt that an agent holds at a task of this name."""
    async with ports.views.connection(timeout=CONNECT) as connection:
        cursor = connection.cursor(row_factory=tuple_row)
        await cursor.execute(
            "select run_id, epoch from views.tasks_2"
            " where status = 'started' and task_id = %s and agent_id = %s limit 2",
            [str(payload.get("task_id")), str(payload.get("agent_id"))],
        )
        found = await cursor.fetchall()
    return {"run_id": found[0][0], "epoch": found[0][1]} if len(found) == 1 else {}


async def _notified(ports: Deps, outcome: Outcome) -> int:
    """Return how many subscriptions what was recorded is brought to."""
    if ports.subscriptions is None or not outcome.events:
        return 0
    there = await ports.subscriptions.all()
    types = await AgentTypes(ports.views).of(outcome.events)
    names: set[str] = set()
    for recorded in outcome.events:
        task = recorded.stream, str(getattr(recorded.event, "task_id", ""))
        names |= {each.subscription_id for each in wanting(there, recorded, types.get(task))}
    return len(names)
