"""What readers that never read cost the others: ``python -m tests.bench.readers --dead 200``.

A process of the API tells live updates of one run, with results of 10 kB. First to readers that
read, then to as many and to others that never do; the ratio of the two p99 is what counts.
"""

import argparse
import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import psutil
from websockets.asyncio.client import connect

from bus.ports import SystemClock
from bus.recorder import Recorder
from domain.policies import AnyReport
from domain.recorded import Report
from domain.run_events import RunRequested, TaskCompleted, TaskStarted
from infra.migrations import upgrade
from infra.store.store import PostgresStore
from tests.bench.ours import independent
from tests.support.databases import fresh_database
from tests.support.services import Servers
from tests.system.processes import Stack, running

RUN = "exec_readers-1"
RESULT = {"blob": "x" * 10_000}
RATIO = 1.5
"""How much later the last of a hundred events may come because others never read."""


class Readers:
    """Those that read, and when they were told what."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.events = 0

    async def follow(self, url: str, headers: dict[str, str]) -> None:
        async with connect(url, additional_headers=headers, max_size=None) as socket:
            async for said in socket:
                frame = orjson.loads(said)
                if frame["type"] in ("task.started", "task.completed"):
                    at = datetime.fromisoformat(frame["timestamp"])
                    self.late.append((datetime.now(UTC) - at).total_seconds() * 1_000)
                    self.events += 1

    def take(self) -> Sequence[float]:
        late, self.late = sorted(self.late), []
        return late


async def measure(stack: Stack, chosen: argparse.Namespace) -> float:
    """Return the ratio of the two p99."""
    host, headers = (
        stack.api_url.removeprefix("http://"),
        {"Authorization": f"Bearer {stack.token}"},
    )
    url = f"ws://{host}/ws/executions/{RUN}"
    api = psutil.Process(stack.pid("api"))
    async with AsyncExitStack() as entered:
        store = await entered.enter_async_context(PostgresStore(stack.dsn))
        recorder = Recorder(store, SystemClock())
        tasks = [asyncio.create_task(recorder.run())]
        total = chosen.rate * chosen.seconds * 3 + 100
        await say(recorder, "begin", RunRequested(run_id=RUN, tasks=independent(total)))
        readers = Readers()
        tasks += [asyncio.create_task(readers.follow(url, headers)) for _ in range(chosen.live)]
        await asyncio.sleep(3)
        numbers = iter(range(total))
        await work(recorder, numbers, chosen.rate, 3)
        readers.take()
        before = api.memory_info().rss
        await work(recorder, numbers, chosen.rate, chosen.seconds)
        alone = readers.take()
        show("alone", alone)
        dead = [deaf(host, stack.token) for _ in range(chosen.dead)]
        while not all(is_answered(one) for one in dead):  # noqa: ASYNC110 # they tell nobody
            await asyncio.sleep(0.2)
        await asyncio.sleep(3)
        readers.take()
        await work(recorder, numbers, chosen.rate, chosen.seconds)
        beside = readers.take()
        show(f"beside {len(dead)} that never read", beside)
        grown = (api.memory_info().rss - before) / max(1, len(dead)) / 1024
        print(f"memory of the API for each of them: {grown:.0f} KiB")
        for one in dead:
            one.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return at(beside, 99) / at(alone, 99)


async def say(recorder: Recorder, name: str, body: AnyReport) -> None:
    await recorder.record(
        Report(
            id=name,
            stream=RUN,
            body=body,
            said_at=datetime.now(UTC),
            actor="agents/bench",
            correlation_id=name,
        )
    )


async def work(recorder: Recorder, numbers: Iterator[int], rate: int, seconds: int) -> None:
    """Carry out so many tasks a second."""
    began = time.monotonic()
    for done in range(rate * seconds):
        await asyncio.sleep(max(0.0, began + done / rate - time.monotonic()))
        number = next(numbers)
        task = {"run_id": RUN, "task_id": f"task-{number:06}", "epoch": 1, "agent_id": "bench"}
        await say(recorder, f"start-{number}", TaskStarted.model_validate(task))
        await say(
            recorder, f"end-{number}", TaskCompleted.model_validate(task | {"result": RESULT})
        )
    await asyncio.sleep(1)


def deaf(host: str, token: str) -> socket.socket:
    """Ask for live updates, and never read them."""
    name, _, port = host.partition(":")
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    one.connect((name, int(port)))
    one.sendall(
        f"GET /ws/executions/{RUN} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    return one


def is_answered(one: socket.socket) -> bool:
    """Say whether a reader that does not read has been let in."""
    try:
        return bool(one.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False


def at(late: Sequence[float], percent: int) -> float:
    return late[min(len(late) - 1, len(late) * percent // 100)]


def show(name: str, late: Sequence[float]) -> None:
    print(f"{name}: {len(late)} told, p50 {at(late, 50):.0f} ms, p99 {at(late, 99):.0f} ms")


def main() -> int:
    """Measure, and return 1 where the others suffer."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--dead", type=int, default=200)
    arguments.add_argument("--live", type=int, default=10)
    arguments.add_argument("--rate", type=int, default=20)
    arguments.add_argument("--seconds", type=int, default=20)
    chosen = arguments.parse_args()
    servers = Servers()
    try:
        with (
            TemporaryDirectory() as folder,
            fresh_database(servers.dsn) as dsn,
            servers.vhost() as amqp_url,
        ):
            upgrade(dsn)
            with running(Path(folder), dsn, amqp_url, core=("projector", "api")) as stack:
                ratio = asyncio.run(measure(stack, chosen))
    finally:
        servers.end()
    print(f"p99 beside them / alone: {ratio:.2f}; at most {RATIO} is promised")
    return 0 if ratio <= RATIO else 1


if __name__ == "__main__":
    raise SystemExit(main())
