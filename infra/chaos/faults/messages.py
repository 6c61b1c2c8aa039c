"""Messages that come twice, late, in another order, or that nobody can accept."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aiormq.exceptions import AMQPError

from bus.topology import REPORTS
from infra.chaos.faults.fault import Fault, Means, Outcome, came, fault
from infra.chaos.letters import Letter, malformed
from infra.chaos.workload import FIRST
from infra.chaos.world import World

_HEARD: Final = 40
_LOST = (AMQPError, OSError, RuntimeError, TimeoutError)


@asynccontextmanager
async def _channel(world: World) -> AsyncGenerator[AbstractChannel]:
    async with asyncio.timeout(30), await aio_pika.connect(world.amqp_url) as connection:
        yield await connection.channel(publisher_confirms=True)


async def send(channel: AbstractChannel, letters: Sequence[Letter]) -> None:
    """Publish letters to the reports, each until the broker has it."""
    reports = await channel.get_exchange(REPORTS, ensure=False)
    for letter in letters:
        properties: dict[str, Any] = dict(letter.properties)
        message = aio_pika.Message(
            letter.body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **properties
        )
        await reports.publish(message, letter.key)


async def _poison(means: Means) -> Outcome:
    """Plant letters that nobody can accept; whether they arrived, only their graves say."""
    plans = means.plans()
    if not plans:
        return came(fired=False)
    ident = f"planted-{means.lots.getrandbits(40):x}"
    plan_id = means.lots.choice(plans)
    run_id = f"exec_{plan_id.removeprefix('plan_')}-1"
    # The client gives a message an id where it has none, so that it can be confirmed.
    reasons = sorted(malformed(run_id, plan_id).keys() - {"missing-message-id"})
    chosen = means.lots.sample(reasons, k=5)
    means.begun(ident=ident)
    planted = 0
    for number, reason in enumerate(chosen):
        one = f"{ident}-{number}"
        letter = malformed(run_id, plan_id, one, task_id=FIRST)[reason]
        # Written down before it is sent: what nobody confirmed may lie there or not.
        means.world.history.write("plant", one, reason=reason)
        with suppress(*_LOST):
            async with _channel(means.world) as channel:
                await send(channel, [letter])
                means.world.history.write("planted", one, reason=reason)
                planted += 1
    return came(fired=planted > 0, planted=planted)


async def _heard(channel: AbstractChannel) -> Sequence[AbstractIncomingMessage]:
    """Listen to what agents report, for as long as a handful takes."""
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(REPORTS, "task.#")
    heard: list[AbstractIncomingMessage] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(5), queue.iterator(no_ack=True) as messages:
            async for message in messages:
                heard.append(message)
                if len(heard) == _HEARD:
                    break
    return heard


async def _again(means: Means, *, times: int, later: float, shuffled: bool) -> Outcome:
    sent = 0
    means.begun()
    with suppress(*_LOST):
        async with _channel(means.world) as channel:
            heard = list(await _heard(channel))
            await asyncio.sleep(later)
            said = heard * times
            if shuffled:
                means.lots.shuffle(said)
            for message in said:
                copy = Letter(
                    key=message.routing_key or "",
                    body=message.body,
                    properties={
                        "content_type": message.content_type,
                        "message_id": message.message_id,
                    },
                )
                await send(channel, [copy])
                sent += 1
    return came(fired=sent > 0, sent=sent)


async def _duplicated(means: Means) -> Outcome:
    return await _again(means, times=means.lots.choice((1, 2, 5)), later=0, shuffled=False)


async def _reordered(means: Means) -> Outcome:
    return await _again(means, times=2, later=0.2, shuffled=True)


async def _late(means: Means) -> Outcome:
    return await _again(means, times=1, later=means.lots.uniform(3, 8), shuffled=False)


MESSAGES: Final[Sequence[Fault]] = (
    fault("F-M1", "message", "reports come again, up to five times", _duplicated),
    fault("F-M2", "message", "reports come again in another order", _reordered),
    fault("F-M3", "message", "reports come again seconds later", _late),
    fault("F-M4", "message", "messages that nobody can accept", _poison),
)
