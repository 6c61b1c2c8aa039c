"""Snapshots: the state of a stream as JSON, under a key that changes with the code of the domain.

A snapshot is believed only if this very code took it and its checksum holds. Otherwise the stream
is folded from its first event, and nobody notices but the clock.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from eventsourcing.persistence import StoredEvent
from pydantic import TypeAdapter, ValidationError

import domain
from domain.deciders import DECIDERS, decider_of

_ADAPTERS: Mapping[str, TypeAdapter[Any]] = {
    decider.category: TypeAdapter(decider.state) for decider in DECIDERS
}


@cache
def code_version() -> str:
    """Return a checksum of the code that folds events into states."""
    digest = hashlib.sha256()
    for package in domain.__path__:
        for file in sorted(Path(package).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def freeze(stream: str, state: object, version: int) -> StoredEvent:
    """Return a state as it is kept."""
    category = decider_of(stream).category
    body = _ADAPTERS[category].dump_json(state)
    return StoredEvent(
        originator_id=stream,
        originator_version=version,
        topic=f"{category}@{code_version()}",
        state=hashlib.sha256(body).digest() + body,
    )


def thaw(snapshot: StoredEvent) -> object | None:
    """Return the state that was kept, or None if it cannot be trusted."""
    category, _, version = snapshot.topic.partition("@")
    checksum, body = snapshot.state[:32], snapshot.state[32:]
    if version != code_version() or hashlib.sha256(body).digest() != checksum:
        return None
    try:
        state: object = _ADAPTERS[category].validate_json(body)
    except (KeyError, ValidationError):
        return None
    return state
