"""An agent as a process of its own: asked to stop, killed, started without a broker."""

import asyncio
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agents.agent import Agent
from agents.kit.application import run_until
from domain.run_events import TaskCompleted, TaskStarted
from tests.agents.kit.bench import bench
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
SLOW = """
import asyncio
from agents.agent import Agent

async def act(work):
    await asyncio.sleep(work.params["n"])
    return {}

AGENT = Agent(type="TEST", actions={"act": act})
"""
MAIN = """
import asyncio, sys
from agents.kit.application import Options, run
from agents.kit.loading import load

options = Options(concurrency=1, heartbeat=0.05, grace=20)
asyncio.run(run(load(sys.argv[1]), url=sys.argv[2], options=options))
"""


@asynccontextmanager
async def process(folder: Path, url: str) -> AsyncIterator[Process]:
    agent = folder / "slow.py"
    agent.write_text(SLOW)
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, str(agent), url, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_asked_to_stop_it_finishes_its_task_and_exits_well(
    vhost_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    async with bench(vhost_url) as here, process(tmp_path, vhost_url) as agent:
        await here.dispatch("a", params={"n": 0.3})
        await until(lambda: here.said(TaskStarted) == ["a"], "the task runs")
        agent.send_signal(number)
        async with asyncio.timeout(20):
            assert await agent.wait() == 0
        await until(lambda: here.types()[-1] == "agent.deregistered", "it says goodbye")
        assert here.said(TaskCompleted) == ["a"]


@pytest.mark.system
async def test_what_waits_at_a_killed_agent_goes_to_another(vhost_url: str, tmp_path: Path) -> None:
    async with bench(vhost_url) as here:
        async with process(tmp_path, vhost_url) as agent:
            await here.dispatch("a", params={"n": 60})
            await here.dispatch("b", params={"n": 0})
            await until(lambda: bool(here.heartbeats), "it lives")
            await until(lambda: len(here.heartbeats[-1].tasks) == 2, "one runs, one waits")
            agent.kill()
        async with process(tmp_path, vhost_url):
            await until(lambda: here.said(TaskCompleted) == ["b"], "the other one is completed")
    assert sorted(here.said(TaskStarted)) == ["a", "b"]


async def test_without_a_broker_it_waits_and_can_be_stopped(unused_tcp_port: int) -> None:
    async def act(_: object) -> dict[str, object]:
        return {}

    agent = Agent(type="TEST", actions={"act": act})  # type: ignore[dict-item]
    stop = asyncio.Event()
    url = f"amqp://guest:guest@127.0.0.1:{unused_tcp_port}/"
    running = asyncio.create_task(run_until(stop, agent, url=url))
    done, _ = await asyncio.wait([running], timeout=0.5)
    assert not done
    stop.set()
    async with asyncio.timeout(10):
        await running
