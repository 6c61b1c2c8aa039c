"""Whatever breaks, in any order, at any moment: what was accepted is completed, once.

A seed chooses what is broken and when. ``TASKLOOM_TEST_SEEDS=1,2,3`` tries others than the first.
"""

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit

import orjson
import pika
import psycopg
import pytest

from bus.topology import EXCHANGES, topology
from tests.support.brokers import RabbitMQ, call
from tests.system.checker import require
from tests.system.graphs import layered, with_services
from tests.system.processes import CORE, Stack, running

pytestmark = [pytest.mark.system, pytest.mark.node, pytest.mark.timeout(300)]

SEEDS = [int(seed) for seed in os.environ.get("TASKLOOM_TEST_SEEDS", "1").split(",")]
TROUBLES = 12
GRAPH = with_services(layered(440, width=55, seconds=0.7), 20)
AGENTS = {
    "noop_worker_001": "agents.workers.noop",
    "noop_worker_002": "agents.workers.noop",
    "meta_worker_001": "agents.workers.meta",
    "cad_worker_001": "agents.workers.cad",
    "sim_worker_001": "agents.workers.sim",
}
PROCESSES = (*CORE, "coordinator_2", *AGENTS)


@dataclass(frozen=True, slots=True)
class World:
    """What can be broken."""

    stack: Stack
    management: str
    choose: random.Random

    def kill(self) -> str:
        name = self.choose.choice(PROCESSES)
        self.stack.kill(name)
        return f"killed {name}"

    def kill_coordinators(self) -> str:
        self.stack.kill("coordinator")
        self.stack.kill("coordinator_2")
        return "killed both coordinators"

    def pause(self) -> str:
        name, seconds = self.choose.choice(PROCESSES), self.choose.uniform(0.5, 3.5)
        self.stack.pause(name, seconds=seconds)
        return f"paused {name} for {seconds:.1f} s"

    def delete_queue(self) -> str:
        name = self.choose.choice([queue.name for queue in topology().queues])
        self._on_channel(lambda channel: channel.queue_delete(name))
        return f"deleted {name}"

    def delete_queues(self) -> str:
        def delete(channel: Any) -> None:
            for queue in topology().queues:
                channel.queue_delete(queue.name)

        self._on_channel(delete)
        return "deleted every queue"

    def delete_exchange(self) -> str:
        name = self.choose.choice([exchange.name for exchange in EXCHANGES])
        self._on_channel(lambda channel: channel.exchange_delete(name))
        return f"deleted exchange {name}"

    def cut_broker(self) -> str:
        vhost = quote(urlsplit(self.stack.amqp_url).path.removeprefix("/"), safe="")
        open_ = orjson.loads(call(self.management, "GET", f"vhosts/{vhost}/connections"))
        for one in open_:
            with suppress(HTTPError):  # it is gone already
                call(self.management, "DELETE", f"connections/{quote(one['name'], safe='')}")
        return f"cut {len(open_)} connections to the broker"

    def cut_database(self) -> str:
        with psycopg.connect(self.stack.dsn, autocommit=True) as connection:
            cut = connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            ).fetchall()
        return f"cut {len(cut)} connections to the database"

    def _on_channel(self, work: Callable[[Any], object]) -> None:
        with closing(pika.BlockingConnection(pika.URLParameters(self.stack.amqp_url))) as broker:
            work(broker.channel())


def troubles(world: World) -> Sequence[Callable[[], str]]:
    return (
        world.kill,
        world.kill,
        world.kill_coordinators,
        world.pause,
        world.delete_queue,
        world.delete_queues,
        world.delete_exchange,
        world.cut_broker,
        world.cut_database,
    )


@pytest.fixture
def stack(tmp_path: Path, database: str, own_vhost_url: str) -> Iterator[Stack]:
    with running(tmp_path, database, own_vhost_url, agents=AGENTS) as stack:
        stack.start("coordinator_2", "serve", "coordinator")
        yield stack


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_breaks_the_run_completes(stack: Stack, own_rabbitmq: RabbitMQ, seed: int) -> None:
    management = own_rabbitmq.management_url
    assert management is not None
    world = World(stack, management, random.Random(seed))
    plan_id = stack.submit(GRAPH)
    stack.until(lambda: stack.count("task.completed") > 20, "it runs")
    story: list[str] = []
    began = time.monotonic()
    try:
        for _ in range(TROUBLES):
            story.append(world.choose.choice(troubles(world))())
            time.sleep(world.choose.uniform(0.0, 1.0))
        story.append(f"then {stack.count('task.completed')} were completed")
        stack.until_completed(plan_id, seconds=120)
        story.append(f"all after {time.monotonic() - began:.0f} s")
        found = require(stack.dsn)
    except BaseException as error:
        error.add_note(f"seed {seed}: {'; '.join(story)}")
        raise
    assert sum(len(run.tasks) for run in found.runs.values()) == 500
    assert not stack.deaths, f"died by themselves: {stack.deaths}; {story}"
    verdicts = orjson.loads(stack.taskloom("projection", "verify", "--json"))
    assert [one for one in verdicts if one["different"]] == []
    assert orjson.loads(stack.taskloom("dlq", "list", "--json")) == []
    print(f"seed {seed}: {'; '.join(story)}")
