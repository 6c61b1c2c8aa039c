"""A whole goal with users that may do nothing but their part, on a RabbitMQ of its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import orjson
import pytest
import pytest_asyncio
from psycopg_pool import AsyncConnectionPool

from agents.agent import Agent
from infra.rabbitmq.definitions import (
    KNOWN_KINDS,
    definitions,
    fresh_passwords,
    rights_for,
    written,
)
from infra.rabbitmq.rights import user_of
from infra.store.agent_keys import AgentKeyTable
from tests.agents.carrying import PLANNERS, WORKERS
from tests.agents.kit.running import Running
from tests.support.brokers import RabbitMQ, call
from tests.support.planning import post
from tests.system.checker import require
from tests.system.processes import CORE, ROOT, Stack, running

pytestmark = [pytest.mark.system, pytest.mark.node, pytest.mark.timeout(240)]

BRAKE = json.loads((ROOT / "agents" / "goals" / "brake-caliper.json").read_text())
VHOST = "least"
SECRET = "a secret of more than thirty-two characters"
STRICT = {
    "TASKLOOM_AMQP__SENDERS": "require",
    "TASKLOOM_AMQP__SIGNATURES": "require",
    "TASKLOOM_AMQP__SIGNING_SECRET": SECRET,
}


@pytest.fixture(scope="module")
def urls(own_rabbitmq: RabbitMQ) -> dict[str, str]:
    """Give everybody a user with a password of its own, and say where each finds the broker."""
    assert own_rabbitmq.management_url is not None
    rights = rights_for([*KNOWN_KINDS, ("execution", "NOOP")])
    passwords = fresh_passwords(rights)
    wanted = written(definitions(rights, passwords, vhost=VHOST)).encode()
    call(own_rabbitmq.management_url, "POST", "definitions", wanted)
    place = urlsplit(own_rabbitmq.url)
    return {
        user: urlunsplit(
            place._replace(
                netloc=f"{user}:{quote(password, safe='')}@{place.hostname}:{place.port}",
                path=f"/{VHOST}",
            )
        )
        for user, password in passwords.items()
    }


@pytest_asyncio.fixture
async def stack(tmp_path: Path, database: str, urls: dict[str, str]) -> AsyncIterator[Stack]:
    loop = asyncio.get_running_loop()
    nobody = "amqp://nobody:nothing@127.0.0.1:9/"
    own = {name: urls[name] for name in CORE}
    context = running(tmp_path, database, nobody, amqp_urls=own, env=STRICT)
    stack = await loop.run_in_executor(None, context.__enter__)
    yield stack
    await loop.run_in_executor(None, context.__exit__, None, None, None)


async def enter_each(
    agents: AsyncExitStack, kinds: Iterable[Agent], urls: dict[str, str], dsn: str
) -> None:
    """Run an agent of each kind, as its own user, with its own key, and compressing."""
    async with AsyncConnectionPool(dsn, min_size=1, open=False) as pool:
        for kind in kinds:
            agent_id = f"{kind.role}_{kind.type.lower()}"
            key = await AgentKeyTable(pool, SECRET.encode()).issue(agent_id, by="test")
            url = urls[user_of(kind.role, kind.type)]
            more: dict[str, Any] = {"key": key, "compresses": True}
            await agents.enter_async_context(Running(kind, url, agent_id=agent_id, **more))


@pytest.mark.proves("B-08")
async def test_a_goal_is_planned_and_carried_out_with_no_right_too_many(
    stack: Stack, urls: dict[str, str], database: str
) -> None:
    async with AsyncExitStack() as agents:
        await enter_each(agents, [*PLANNERS.values(), *WORKERS.values()], urls, database)
        plan_id = await post(stack, BRAKE["goal"], auto_execute=True)
        await asyncio.to_thread(stack.until_completed, plan_id, seconds=120)
        letters = await asyncio.to_thread(stack.taskloom, "dlq", "list", "--json")
    assert orjson.loads(letters) == []
    found = await asyncio.to_thread(require, database)
    assert {run.kind for run in found.runs.values()} == {"planning", "execution"}
    assert not stack.deaths
