"""Events reach who subscribes to them: in order, each at least once, each subscriber by itself."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
import pytest
from psycopg_pool import AsyncConnectionPool

from bus.connect import connect
from bus.delivering import Carrier, Delivering
from bus.ports import SystemClock
from bus.publishing import Publisher
from bus.recorder import Recorder
from bus.subscriber_queues import QueueCarrier
from bus.subscriptions import DISABLED, Delivery, Subscription, queue_of
from bus.topology import declare, topology
from bus.webhooks import WebhookCarrier, new_secret, signature
from domain.messages import MessagePublished, message_stream
from domain.policies import AnyReport, Event
from domain.recorded import Recorded, Report
from infra.store.kek import Kek
from infra.store.store import PostgresStore
from infra.store.subscriptions import SubscriptionTable
from tests.support.waiting import until

CLOCK = SystemClock()
SECRET = new_secret()


@dataclass(slots=True)
class Receiver:
    """A web server that answers as it is told, and remembers what it was asked."""

    answers: Callable[[int], int]
    url: str = ""
    redirects_to: str = ""
    asked: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    left: int = 0

    @property
    def builds(self) -> Sequence[int]:
        return [orjson.loads(body)["data"]["payload"]["build"] for _, body in self.asked]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[1:]
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.asked.append((headers, body))
        status = self.answers(len(self.asked))
        if not status:
            await reader.read()  # nobody is answered before they leave
            await self._leave(writer)
            return
        where = f"Location: {self.redirects_to or self.url}\r\n" if 300 <= status < 400 else ""
        writer.write(f"HTTP/1.1 {status} X\r\n{where}Content-Length: 0\r\n\r\n".encode())
        await writer.drain()
        await self._leave(writer)

    async def _leave(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.left += 1


@asynccontextmanager
async def receiving(answers: Callable[[int], int]) -> AsyncIterator[Receiver]:
    receiver = Receiver(answers)
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    async with server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook/"
        yield receiver
        await until(lambda: receiver.left == len(receiver.asked), "everybody has left")


@dataclass(slots=True)
class Desk:
    """Where is published and subscribed."""

    store: PostgresStore
    recorder: Recorder
    table: SubscriptionTable

    async def publish(self, *builds: int) -> int:
        position = 0
        for build in builds:
            name = str(uuid.uuid4())
            report: Report[AnyReport] = Report(
                id=name,
                stream=message_stream(name),
                body=MessagePublished(
                    message_id=name, topic="deploy.finished", payload={"build": build}
                ),
                said_at=CLOCK.now(),
                actor="services/erp",
                correlation_id=name,
            )
            position = (await self.recorder.record(report)).position
        return position

    async def subscribe(self, name: str, delivery: Delivery, url: str = "") -> None:
        await self.table.add(
            Subscription(
                subscription_id=name,
                owner="services/erp",
                agent_id="erp",
                topics=["deploy.#"],
                filters={},
                delivery=delivery,
                url=url,
                secret=SECRET,
                created_at=CLOCK.now(),
                position=await self.store.head(),
            )
        )

    @asynccontextmanager
    async def delivering(
        self, carriers: Mapping[str, Carrier], *, give_up: timedelta = timedelta(days=1)
    ) -> AsyncIterator[None]:
        async def types(_: object) -> Mapping[tuple[str, str], str]:
            return {}

        async def owner_of(_: str) -> str | None:
            return None

        loop = Delivering(
            self.table,
            carriers,
            self.recorder,
            CLOCK,
            new_log=self.store.log,
            types=types,
            owner_of=owner_of,
            give_up=give_up,
        )
        task = asyncio.create_task(loop.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, name: str, condition: Callable[[Subscription], bool]) -> Subscription:
        async with asyncio.timeout(60):
            while True:
                found = await self.table.find(name)
                assert found is not None
                if condition(found):
                    return found
                await asyncio.sleep(0.05)


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    pool = AsyncConnectionPool(database, open=False, kwargs={"autocommit": True})
    async with PostgresStore(database) as store, pool:
        recorder = Recorder(store, CLOCK)
        recording = asyncio.create_task(recorder.run())
        yield Desk(store, recorder, SubscriptionTable(pool, kek=Kek(bytes(32))))
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)


WEBHOOKS: Mapping[str, Any] = {"webhook": WebhookCarrier(CLOCK, allowed=["127.0.0.1"])}


class Clumsy:
    """A carrier with a bug that shows with its first events."""

    def __init__(self) -> None:
        self.brought: list[int] = []
        self._left = 2

    async def bring(self, subscription: Subscription, events: Sequence[Recorded[Event]]) -> int:
        if subscription.subscription_id == "sub_bad" and self._left:
            self._left -= 1
            raise LookupError("a bug")
        self.brought.append(events[0].position)
        return 1

    async def close(self, subscription: Subscription) -> None:
        pass


async def test_what_nobody_foresaw_is_a_failure_that_is_told_and_tried_again(desk: Desk) -> None:
    carrier = Clumsy()
    await desk.subscribe("sub_bad", "webhook", "http://127.0.0.1:9/")
    await desk.subscribe("sub_good", "webhook", "http://127.0.0.1:9/")
    position = await desk.publish(1, 2)
    async with desk.delivering({"webhook": carrier}):
        told = await desk.until("sub_bad", lambda one: one.failures > 0)
        assert told.last_error == "it makes us fail with LookupError: tell the operators"
        await desk.until("sub_good", lambda one: one.position >= position)
        await desk.until("sub_bad", lambda one: one.position >= position)
    assert len(carrier.brought) == 4


async def test_a_webhook_gets_every_event_signed_and_in_order_although_it_fails(desk: Desk) -> None:
    async with receiving(lambda number: 500 if number in (1, 3) else 204) as receiver:
        await desk.subscribe("sub_1", "webhook", receiver.url)
        async with desk.delivering(WEBHOOKS):
            last = await desk.publish(0, 1, 2)
            stands = await desk.until("sub_1", lambda found: found.delivered == 3)
    assert receiver.builds == [0, 0, 1, 1, 2]
    assert (stands.position, stands.failures, stands.failing_since) == (last, 0, None)
    assert stands.last_error == "the receiver has answered 500"
    for headers, body in receiver.asked:
        said = signature(SECRET, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        assert headers["webhook-signature"] == said
        assert headers["webhook-id"] == orjson.loads(body)["id"]
    first, second = (headers["webhook-id"] for headers, _ in receiver.asked[:2])
    assert first == second


@pytest.mark.proves("S-9c")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_receiver_that_redirects_is_not_followed(desk: Desk, status: int) -> None:
    async with (
        receiving(lambda _: 204) as elsewhere,
        receiving(lambda _: status) as receiver,
    ):
        receiver.redirects_to = elsewhere.url
        await desk.subscribe("sub_1", "webhook", receiver.url)
        async with desk.delivering(WEBHOOKS):
            await desk.publish(0)
            stands = await desk.until("sub_1", lambda found: found.failures == 2)
    assert stands.delivered == 0
    assert "redirects are not followed" in (stands.last_error or "")
    assert receiver.builds == [0, 0]
    assert elsewhere.asked == []


@pytest.mark.proves("S-9b")
async def test_a_name_that_points_elsewhere_after_a_look_at_it_is_not_looked_up_again(
    desk: Desk,
) -> None:
    looked_up: list[str] = []

    async def once(name: str, _: int) -> Sequence[str]:
        looked_up.append(name)
        return ["127.0.0.1"]

    async with receiving(lambda _: 204) as receiver:
        # Whoever asked anybody else would find no such name.
        url = receiver.url.replace("127.0.0.1", "hooks.invalid")
        await desk.subscribe("sub_1", "webhook", url)
        carrier = WebhookCarrier(CLOCK, allowed=["hooks.invalid"], resolve=once)
        async with desk.delivering({"webhook": carrier}):
            await desk.publish(0)
            await desk.until("sub_1", lambda found: found.delivered + found.failures > 0)
    assert looked_up == ["hooks.invalid"]
    [(headers, _)] = receiver.asked
    assert headers["host"].partition(":")[0] == "hooks.invalid"


async def test_a_slow_receiver_holds_up_nobody_else(desk: Desk) -> None:
    async with (
        receiving(lambda _: 0) as silent,
        receiving(lambda _: 200) as quick,
    ):
        await desk.subscribe("sub_1", "webhook", silent.url)
        await desk.subscribe("sub_2", "webhook", quick.url)
        async with desk.delivering(WEBHOOKS):
            await desk.publish(*range(5))
            await desk.until("sub_2", lambda found: found.delivered == 5)
        assert len(silent.asked) == 1
        assert quick.builds == [0, 1, 2, 3, 4]


async def test_what_was_owed_is_brought_by_the_next_process(desk: Desk) -> None:
    async with receiving(lambda _: 200) as receiver:
        await desk.subscribe("sub_1", "webhook", receiver.url)
        async with desk.delivering(WEBHOOKS):
            await desk.publish(0, 1)
            await desk.until("sub_1", lambda found: found.delivered == 2)
        await desk.publish(2)
        async with desk.delivering(WEBHOOKS):
            await desk.until("sub_1", lambda found: found.delivered == 3)
    assert receiver.builds == [0, 1, 2]


@pytest.mark.parametrize(
    ("status", "give_up", "why"),
    [(410, timedelta(days=1), "410"), (302, timedelta(0), "redirects are not followed")],
)
async def test_who_can_no_more_be_reached_is_given_up_and_the_record_says_so(
    desk: Desk, status: int, give_up: timedelta, why: str
) -> None:
    async with receiving(lambda _: status) as receiver:
        await desk.subscribe("sub_1", "webhook", receiver.url)
        async with desk.delivering(WEBHOOKS, give_up=give_up):
            await desk.publish(0)
            stands = await desk.until("sub_1", lambda found: found.state == "disabled")
    assert why in (stands.last_error or "")
    [told] = [
        each.event
        for each in await desk.store.read_all(after=0, limit=100)
        if isinstance(each.event, MessagePublished) and each.event.topic == DISABLED
    ]
    assert told.payload["subscription_id"] == "sub_1"
    assert all(headers["host"] in receiver.url for headers, _ in receiver.asked)


async def test_a_queue_gets_every_event_in_order_and_goes_with_its_subscription(
    desk: Desk, vhost_url: str
) -> None:
    async with (
        await connect(vhost_url, name="test") as connection,
        Publisher(connection) as publisher,
    ):
        async with connection.channel() as channel:
            await declare(channel, topology(planning=(), execution=()))
        await desk.subscribe("sub_1", "queue")
        async with desk.delivering({"queue": QueueCarrier(connection, publisher)}):
            await desk.publish(*range(20))
            await desk.until("sub_1", lambda found: found.delivered == 20)
            async with connection.channel() as channel:
                queue = await channel.get_queue(queue_of("sub_1"))
                builds = []
                for _ in range(20):
                    message = await queue.get(no_ack=True)
                    assert message is not None
                    builds.append(orjson.loads(message.body)["data"]["payload"]["build"])
            assert builds == list(range(20))
            await desk.table.remove("sub_1")
            for _ in range(200):
                if not await _is_there(connection, queue_of("sub_1")):
                    break
                await asyncio.sleep(0.1)
            assert not await _is_there(connection, queue_of("sub_1"))


async def _is_there(connection: Any, name: str) -> bool:
    channel = await connection.channel()
    try:
        await channel.get_queue(name)
    except Exception:
        return False
    await channel.close()
    return True
