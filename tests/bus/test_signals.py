"""Heartbeats: their form, and a listener that keeps listening."""

import asyncio
import json

import aio_pika
import pytest

from bus.connect import connect
from bus.ears import Ears
from bus.heartbeats import listen
from bus.listening import listen_to
from bus.messages import Message
from bus.publishing import Publisher
from bus.refusals import BadSchema, NotAnObject, Unreadable
from bus.signals import Heartbeat, HeldTask, decode_heartbeat, encode_heartbeat
from bus.topology import SIGNALS
from tests.support.heartbeats import a_heartbeat
from tests.support.waiting import until

BEAT = a_heartbeat(
    agent_id="cad_worker_001",
    lifecycle="working",
    load=0.5,
    cpu=0.25,
    tasks=(HeldTask(run_id="exec_1", task_id="t", epoch=1, progress=0.5, state="running"),),
)


def test_a_heartbeat_is_read_as_it_was_sent() -> None:
    assert decode_heartbeat(encode_heartbeat(BEAT, message_id="1").body) == BEAT


def test_a_newer_heartbeat_is_read_as_far_as_it_is_known() -> None:
    said = json.loads(encode_heartbeat(BEAT, message_id="1").body)
    said["mood"] = said["tasks"][0]["mood"] = "good"
    assert decode_heartbeat(json.dumps(said).encode()) == BEAT


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [(b"[]", NotAnObject), (b"{}", BadSchema), (b"{", Unreadable), (b'{"load":NaN}', Unreadable)],
)
def test_what_is_no_heartbeat_is_refused(raw: bytes, refusal: type[Unreadable]) -> None:
    with pytest.raises(refusal):
        decode_heartbeat(raw)


async def test_a_listener_hears_on_whatever_happens_to_its_queue(vhost_url: str) -> None:
    heard: list[Heartbeat] = []
    async with (
        await connect(vhost_url, name="ears") as ears,
        await connect(vhost_url, name="mouth") as mouth,
        Publisher(mouth) as publisher,
    ):
        await listen(ears, heard.append)
        beats = 0

        async def is_heard() -> None:
            nonlocal beats
            before = len(heard)
            async with asyncio.timeout(20):
                while len(heard) == before:
                    beats += 1
                    await publisher.send(encode_heartbeat(BEAT, message_id=f"b{beats}"))
                    await asyncio.sleep(0.02)

        await is_heard()
        await publisher.send(
            Message(exchange=SIGNALS, key="agent.heartbeat", body=b"{", message_id="y", type="x")
        )
        await is_heard()
        assert ears.transport is not None
        await ears.transport.connection.close(ConnectionError("cut"))
        await is_heard()
        async with mouth.channel() as channel:
            await channel.exchange_delete(SIGNALS)
        await is_heard()
        assert set(heard) == {BEAT}
    await until(
        lambda: not [t for t in asyncio.all_tasks() if t.get_name() == "signals"],
        "nobody listens any more",
    )


@pytest.mark.proves("S-12d")
@pytest.mark.parametrize("header", ["CC", "BCC"])
async def test_a_copy_is_heard_under_the_key_that_was_checked_or_not_at_all(
    vhost_url: str, header: str
) -> None:
    """The copies of a message come to queues that its own key does not lead to."""
    heard: list[bytes] = []
    async with await connect(vhost_url, name="ears") as ears:
        await listen_to({"order.ann": lambda said: heard.append(said.body)}, connection=ears)
        async with ears.channel() as channel:
            exchange = await channel.get_exchange(SIGNALS, ensure=False)
            copied = aio_pika.Message(b"copied", headers={header: ["order.ann"]})
            await exchange.publish(copied, routing_key="agent.heartbeat", mandatory=False)
            await exchange.publish(aio_pika.Message(b"said"), routing_key="order.ann")
        await until(lambda: heard != [], "an order")
    assert heard == [b"said"]


async def test_ears_hear_themselves_and_nobody_who_only_sounds_like_them(vhost_url: str) -> None:
    heard: list[Heartbeat] = []
    echoes = [0, 0]

    def count(number: int) -> None:
        echoes[number] += 1

    async with (
        await connect(vhost_url, name="ears") as connection,
        await connect(vhost_url, name="mouth") as mouth,
        Publisher(mouth) as publisher,
    ):
        ours, others = Ears(publisher), Ears(publisher)
        for ears in (ours, others):
            await ears.open(connection)
        talking = asyncio.create_task(ours.run())
        with (
            ours.listening(heard.append, echo=lambda: count(0)),
            others.listening(echo=lambda: count(1)),
        ):
            await publisher.send(encode_heartbeat(BEAT, message_id="1"))
            await until(lambda: echoes[0] >= 3 and heard == [BEAT], "echoes and a heartbeat")
            async with mouth.channel() as channel:
                await channel.exchange_delete(SIGNALS)
            before = echoes[0]
            await until(lambda: echoes[0] >= before + 3, "they hear again")
        assert echoes[1] == 0
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
