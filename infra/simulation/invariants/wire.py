"""Whether everything that was published arrived where it belongs, and nothing else did."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from bus.dead_letter_keeper import DeadLetter
from bus.topology import DEAD, EVENTS, REPORTS, RETRY, WORK
from domain.policies import Event
from domain.recorded import Recorded, derived_id
from domain.run_events import TaskDispatched
from infra.simulation.broker import Broker
from infra.simulation.world import Violation


def ids(broker: Broker, events: Sequence[Recorded[Event]]) -> Iterator[Violation]:
    """Find messages with an id of their own invention, and events that were never confirmed."""
    facts = {event.id for event in events}
    works = {
        derived_id(event.id, "work") for event in events if isinstance(event.event, TaskDispatched)
    }
    confirmed: set[str] = set()
    for wire in broker.published:
        message = wire.message
        if message.exchange == EVENTS:
            if message.message_id not in facts:
                yield Violation("I4", f"{message.type} was published as {message.message_id}")
            if wire.is_confirmed:
                confirmed.add(message.message_id)
        elif message.exchange in (WORK, RETRY) and message.message_id not in works:
            yield Violation("I4", f"work for {message.key} was published as {message.message_id}")
    missing = facts - confirmed
    if missing:
        places = sorted(event.position for event in events if event.id in missing)
        yield Violation("I4", f"the events at {places[:5]} were never confirmed")


def reports(
    broker: Broker, events: Sequence[Recorded[Event]], found: Sequence[DeadLetter]
) -> Iterator[Violation]:
    """Find reports that the broker took charge of and nobody heard."""
    causes = {event.causation_id for event in events}
    causes |= {letter.message_id for letter in found}
    told = _told(events)
    checked: set[str] = set()
    for wire in broker.published:
        message = wire.message
        if message.exchange != REPORTS or not wire.is_confirmed or message.message_id in checked:
            continue
        checked.add(message.message_id)
        if message.message_id in causes or message.message_id in broker.wiped:
            continue
        try:
            data: Mapping[str, Any] = orjson.loads(message.body)["data"]
        except orjson.JSONDecodeError:
            continue  # poison: the dead letters have it
        if not _is_known(message.type, data, told):
            yield Violation(
                "I11", f"{message.type} {message.message_id} was confirmed, and not heard"
            )


def _told(events: Sequence[Recorded[Event]]) -> set[tuple[object, ...]]:
    """Return what the log says of attempts and agents, in the words of reports."""
    told: set[tuple[object, ...]] = set()
    for recorded in events:
        event: Any = recorded.event
        if event.type.startswith("agent."):
            told.add((event.type, event.agent_id, getattr(event, "instance", None)))
            continue
        agent_id = getattr(event, "agent_id", None)
        if agent_id is None or not hasattr(event, "epoch"):
            continue
        said = getattr(event, "report", event.type)
        told.add((said, event.run_id, event.task_id, event.epoch, agent_id))
    return told


def _is_known(kind: str, data: Mapping[str, Any], told: set[tuple[object, ...]]) -> bool:
    """Tell whether the log said already what a report says, so that it led to nothing."""
    if kind.startswith("agent."):
        # Of an agent only what is new is recorded; a later start may have overtaken it.
        return any(one[0] == "agent.registered" and one[1] == data["agent_id"] for one in told)
    attempt = (data["run_id"], data["task_id"], data["epoch"], data["agent_id"])
    kinds: tuple[str, ...]
    match kind:
        case "task.started":
            kinds = ("task.started", "task.failed", "task.lost", "task.completed")
        case "task.failed":
            kinds = ("task.failed", "task.lost")
        case "task.stopped":
            return True  # it matters only for a task that was cancelled
        case _:
            kinds = (kind,)
    return any((one, *attempt) in told for one in kinds)


def letters(
    found: Sequence[DeadLetter], poison: Sequence[bytes], broker: Broker
) -> Iterator[Violation]:
    """Find poison that vanished, and innocents among the dead."""
    bodies = {letter.body for letter in found}
    buried = {wire.message.body for wire in broker.published if wire.message.exchange == DEAD}
    for body in poison:
        is_wiped = broker.wiped and (body in buried or _was_wiped(body, broker))
        if body not in bodies and not is_wiped:
            yield Violation("I12", f"{body!r} is in no dead letter")
    for letter in found:
        if letter.body not in poison and not _lost_its_registration(letter, broker):
            yield Violation("I12", f"an innocent is dead: {letter.reason}, {letter.detail}")


def _was_wiped(body: bytes, broker: Broker) -> bool:
    return any(
        wire.message.body == body and wire.message.message_id in broker.wiped
        for wire in broker.published
    )


def _lost_its_registration(letter: DeadLetter, broker: Broker) -> bool:
    """Tell whether an agent is unknown because somebody emptied the queue it registered in."""
    if letter.reason != "unknown-agent":
        return False
    agent_id = orjson.loads(letter.body)["data"]["agent_id"]
    return any(
        wire.message.type == "agent.registered"
        and wire.message.message_id in broker.wiped
        and orjson.loads(wire.message.body)["data"]["agent_id"] == agent_id
        for wire in broker.published
    )


def leftovers(broker: Broker) -> Iterator[Violation]:
    """Find what nobody has dealt with."""
    for what in broker.left():
        yield Violation("I17", what)
