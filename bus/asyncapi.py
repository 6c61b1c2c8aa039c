"""The description of the bus for other systems, AsyncAPI 3: exchanges, queues, and every message.

It is made of the topology and of the registries, so that it cannot say anything else than they do.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from bus.docstrings import describe_fields
from bus.envelope import CONTENT_TYPE
from bus.orders import AgentStop, TaskGrant, TaskStop
from bus.signals import Heartbeat
from bus.topology import EVENTS as EVENTS_EXCHANGE
from bus.topology import EXCHANGES, REPORTS, SIGNALS, WORK, topology
from domain.deciders import EVENTS, PUBLIC_REPORTS
from domain.run_events import TaskDispatched
from domain.values import Value

_BINDING: Final = "0.3.0"
_TEXT: Final = {"type": "string"}
_ENVELOPE: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "A CloudEvent 1.0 in structured mode; what is said is its `data`.",
    "required": ["specversion", "id", "source", "type", "subject", "time"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {**_TEXT, "description": "Said again with the same id, it is said once."},
        "source": {**_TEXT, "description": "Who says it: `/agents/<id>`, `/users/<id>`."},
        "type": _TEXT,
        "subject": {**_TEXT, "description": "The stream: a plan, an execution or an agent."},
        "time": {**_TEXT, "format": "date-time"},
    },
}


def document(version: str) -> dict[str, Any]:
    """Return the whole description."""
    groups: Mapping[str, Mapping[str, type[Value]]] = {
        EVENTS_EXCHANGE: EVENTS,
        REPORTS: PUBLIC_REPORTS,
        WORK: {"task.dispatched": TaskDispatched},
        SIGNALS: {"heartbeat": Heartbeat, **_named(TaskStop, TaskGrant, AgentStop)},
    }
    models = {model for group in groups.values() for model in group.values()}
    ordered = sorted(models, key=lambda model: model.__name__)
    names, schemas = models_json_schema(
        [(model, "validation") for model in ordered],
        ref_template="#/components/schemas/{model}",
    )
    kinds = dict(schemas.get("$defs", {}))
    describe_fields(kinds, ("bus", "domain"))
    of = {model: names[model, "validation"] for model in ordered}
    messages = {
        _message_name(where, kind): _message(kind, model, of[model], is_plain=where == SIGNALS)
        for where, group in groups.items()
        for kind, model in group.items()
    }
    channels = {name: _channel(name, address, groups) for name, address in _addresses().items()}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:taskloom:bus",
        "info": {
            "title": "Taskloom's bus",
            "version": version,
            "description": "What is recorded, what can be reported, and how work is handed out.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "broker": {
                "host": "localhost:5672",
                "protocol": "amqp",
                "protocolVersion": "0.9.1",
                "description": "RabbitMQ, or the embedded broker.",
            }
        },
        "channels": channels,
        "operations": dict(_operations()),
        "components": {
            "messages": messages,
            "schemas": {"Envelope": dict(_ENVELOPE), **kinds},
        },
    }


def _named(*models: type[Value]) -> Mapping[str, type[Value]]:
    return {str(model.model_fields["type"].default): model for model in models}


def _addresses() -> Mapping[str, str]:
    return {exchange.name: "{key}" for exchange in EXCHANGES}


def _channel(
    name: str, address: str, groups: Mapping[str, Mapping[str, type[Value]]]
) -> dict[str, Any]:
    exchange = next(each for each in EXCHANGES if each.name == name)
    carried = {
        _message_name(where, kind): {"$ref": f"#/components/messages/{_message_name(where, kind)}"}
        for where, group in groups.items()
        if name == where
        for kind in group
    }
    bound = [
        f"`{queue.name}` ({', '.join(queue.keys)}): {queue.purpose}"
        for queue in topology().queues
        if queue.source == name
    ]
    described = f"{exchange.purpose[0].upper()}{exchange.purpose[1:]}."
    if bound:
        described += " Queues:\n" + "\n".join(f"* {line}" for line in bound)
    return {
        "address": address,
        "title": name,
        "description": described,
        "parameters": {"key": {"description": "The routing key."}},
        "messages": carried,
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": name, "type": "topic", "durable": True, "vhost": "/"},
                "bindingVersion": _BINDING,
            }
        },
    }


def _message(
    kind: str, model: type[Value], schema: Mapping[str, Any], *, is_plain: bool
) -> dict[str, Any]:
    said = (model.__doc__ or kind).partition("\n")[0]
    return {
        "name": kind,
        "title": kind,
        "summary": said,
        "contentType": "application/json" if is_plain else CONTENT_TYPE,
        "payload": dict(schema) if is_plain else _enveloped(kind, schema),
    }


def _enveloped(kind: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "allOf": [
            {"$ref": "#/components/schemas/Envelope"},
            {"properties": {"type": {"const": kind}, "data": dict(schema)}},
        ]
    }


def _message_name(where: str, kind: str) -> str:
    return f"{where.removeprefix('taskloom.')}.{kind}".replace(".", "_")


def _operations() -> Iterable[tuple[str, dict[str, Any]]]:
    for name, action, channel, summary in (
        ("followEvents", "send", EVENTS_EXCHANGE, "The relay tells what was recorded."),
        ("hearReports", "receive", REPORTS, "The recorder hears what is said to have happened."),
        ("handOutWork", "send", WORK, "The relay hands out work, each task once an attempt."),
        (
            "hearSignals",
            "receive",
            SIGNALS,
            "Heartbeats keep leases alive; orders reach who has work in hand.",
        ),
    ):
        yield (
            name,
            {
                "action": action,
                "channel": {"$ref": f"#/channels/{channel}"},
                "summary": summary,
            },
        )
