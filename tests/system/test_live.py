"""A whole system tells readers and a webhook what happens, across the deaths of its parts."""

import asyncio
import threading
import urllib.error
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.system.graphs import layered
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[int]]]:
    """A web server that remembers the positions it was told."""
    told: list[int] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.append(int(orjson.loads(body)["position"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", told
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_is_missed_while_the_api_and_the_coordinator_die(
    tmp_path: Path, database: str, vhost_url: str, receiver: tuple[str, list[int]]
) -> None:
    url, brought = receiver
    env = {"TASKLOOM_HTTP__WEBHOOK_HOSTS": '["127.0.0.1"]'}
    with running(tmp_path, database, vhost_url, core=("api",), env=env) as stack:
        stack.start("projector", "serve", "projector")
        stack.start("coordinator", "serve", "coordinator")
        stack.start("noop-1", "agent", "agents.workers.noop", "--id", "noop-1")
        stack.until(lambda: can_ask(stack), "the views are there")
        delivery = {"kind": "webhook", "url": url}
        wish = {"agent_id": "erp", "topics": ["task.completed"], "delivery": delivery}
        stack.ask("/messages/subscribe", wish)
        plan_id = stack.submit(layered(100, width=20))
        run_id = f"exec_{plan_id.removeprefix('plan_')}-1"
        stack.until(lambda: bool(stack.count("run.started", stream=run_id)), "it runs")
        told = asyncio.run(follow(stack, run_id))
        wanted = positions(database, run_id)
        assert told == [position for position, _ in wanted]
        completed = [position for position, type_ in wanted if type_ == "task.completed"]
        stack.until(
            lambda: set(completed) <= set(brought), "the webhook has been told", seconds=120
        )
        # Once is the rule; what was under way when the coordinator died may have come again.
        first_times = list(dict.fromkeys(brought))
        assert [position for position in first_times if position in completed] == completed


def can_ask(stack: Stack) -> bool:
    try:
        stack.ask("/plans")
    except urllib.error.URLError:
        return False
    return True


async def follow(stack: Stack, run_id: str) -> list[int]:
    """Follow an execution to its end, kill the API and the coordinator meanwhile, go on."""
    host = stack.api_url.removeprefix("http://")
    headers = {"Authorization": f"Bearer {stack.token}"}
    told: list[int] = []
    victims = iter((("api", 40), ("coordinator", 110), ("api", 180)))
    victim, when = next(victims)
    while True:
        after = told[-1] if told else 0
        try:
            async with connect(
                f"ws://{host}/ws/executions/{run_id}?after={after}", additional_headers=headers
            ) as socket:
                async for said in socket:
                    frame = orjson.loads(said)
                    if "position" not in frame or frame["type"] == "heartbeat":
                        continue
                    told.append(frame["position"])
                    if frame.get("status") == "completed":
                        return told
                    if len(told) >= when:
                        await asyncio.to_thread(stack.kill, victim)
                        victim, when = next(victims, ("", 1_000_000))
        except (ConnectionClosed, InvalidHandshake, OSError, EOFError):
            await asyncio.sleep(0.2)


def positions(dsn: str, run_id: str) -> list[tuple[int, str]]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select notification_id, topic from events where originator_id = %s order by 1",
            [run_id],
        ).fetchall()
    return [(int(position), str(type_)) for position, type_ in rows]
