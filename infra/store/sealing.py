"""Events as they are stored when something in them is personal: that part is encrypted.

    {"meta": …, "event": …, "personal": {"key": 7, "sealed": "…"}}

``event`` is what is read of it once the key is gone. ``sealed`` holds what was taken out, by its
places, encrypted for this very event: it cannot be read in another one.
"""

import base64
from collections.abc import Sequence
from typing import Any, cast

import orjson
from eventsourcing.persistence import StoredEvent

from domain.personal import personal_paths, put_back, take_out
from domain.policies import Event
from domain.recorded import Recorded
from domain.runs_of_plans import plan_behind
from infra.store.keyring import DataKey, Keyring
from infra.store.mapping import from_stored, to_stored


def seal(
    events: Sequence[Recorded[Event]], keyring: Keyring
) -> tuple[Sequence[StoredEvent], Sequence[Recorded[Event]]]:
    """Return events as they are stored, and as they are from now on.

    What is personal to somebody who was forgotten is in neither.
    """
    stored = [to_stored(event) for event in events]
    personal = [number for number, event in enumerate(events) if personal_paths(type(event.event))]
    if not personal:
        return stored, events
    owners: dict[str, str] = {}
    for number in personal:
        owners.setdefault(root_of(events[number]), events[number].actor)
    keys = keyring.of_streams(owners)
    now = list(events)
    for number in personal:
        event = events[number]
        key = keys.get(root_of(event))
        sealed = _sealed(stored[number], type(event.event), key)
        if sealed is stored[number]:
            continue
        stored[number] = sealed
        if key is None:
            now[number] = from_stored(sealed)
    return stored, now


def unseal(state: dict[str, Any], stored: StoredEvent, keyring: Keyring) -> None:
    """Put back what is personal into a stored event's JSON, if its key is still there.

    Raises:
        Tampered: It was encrypted for another event, or is not what it was.
    """
    sealed = state["personal"]
    key = keyring.of_id(int(sealed["key"]))
    if key is not None:
        taken = key.decrypt(base64.b64decode(sealed["sealed"]), _place(stored))
        put_back(state["event"], orjson.loads(taken))


def root_of(recorded: Recorded[Event]) -> str:
    """Return the stream whose owner an event tells of: a run's is its plan, by its name.

    What is no plan's and no run's, such as a day's audit, tells of whoever did it.
    """
    stream = recorded.stream
    if stream.startswith(("plan_", "exec_")):
        return plan_behind(stream) or stream
    return f"by {recorded.actor}"


def _sealed(stored: StoredEvent, model: type[Any], key: DataKey | None) -> StoredEvent:
    state = orjson.loads(stored.state)
    taken = take_out(cast("Any", model), state["event"])
    if not taken:
        return stored
    if key is not None:
        sealed = key.encrypt(orjson.dumps(taken), _place(stored))
        state["personal"] = {"key": key.id, "sealed": base64.b64encode(sealed).decode()}
    return StoredEvent(
        originator_id=stored.originator_id,
        originator_version=stored.originator_version,
        topic=stored.topic,
        state=orjson.dumps(state),
    )


def _place(stored: StoredEvent) -> bytes:
    parts = (str(stored.originator_id), str(stored.originator_version), stored.topic, "personal")
    return "\x1f".join(parts).encode()
