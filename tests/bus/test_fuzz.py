"""Changed messages by the thousand: each is heard or kept, none of their neighbours suffers.

`python -m tests.bench.fuzz` sends a hundred thousand to whole processes.
"""

import os
from collections.abc import Sequence
from typing import Any

import pytest

from bus.dead_letters import MESSAGE_ID
from bus.messages import Delivery
from bus.properties import Properties
from bus.topology import REPORTS
from tests.support.fuzzing import Fuzzed, fuzzed
from tests.support.inboxes import World, delivery, hello

SEEDS = [int(seed) for seed in os.environ.get("TASKLOOM_TEST_SEEDS", "1,2,3").split(",")]
COUNT = 1_000


def delivered(made: Fuzzed) -> Delivery:
    known: dict[str, Any] = {
        name: value
        for name, value in made.properties.items()
        if name not in ("type", "delivery_mode")
    }
    return Delivery(
        body=made.body,
        tag=1,
        exchange=REPORTS,
        key=made.key,
        is_redelivered=False,
        properties=Properties(**known),
    )


def groups(seed: int) -> Sequence[Sequence[Delivery]]:
    """Return changed messages with good ones between them, in groups."""
    messages: list[Delivery] = []
    for number, made in enumerate(fuzzed(seed, COUNT)):
        messages.append(delivered(made))
        if number % 10 == 0:
            messages.append(delivery(hello(f"good{number}")))
    return [messages[start : start + 100] for start in range(0, len(messages), 100)]


@pytest.mark.proves("A-15")
@pytest.mark.parametrize("seed", SEEDS)
async def test_every_changed_message_is_heard_or_kept_and_no_other(seed: int) -> None:
    world = World()
    sent = groups(seed)
    reasons = await world.hear(*sent)
    assert world.accepted + len(reasons) == sum(map(len, sent))
    assert COUNT * 0.4 < len(reasons) < COUNT, "some are still good, most are not"
    assert len(set(reasons)) > 15, "they are bad in many ways"
    assert "poisonous" not in reasons
    recorded = {event.stream for event in world.store.events}
    assert {f"agent:good{number}" for number in range(0, COUNT, 10)} <= recorded
    parked = {str((one.headers or {})[MESSAGE_ID]) for one in world.letters.sent}
    assert not any(name.startswith("hello-good") for name in parked)
