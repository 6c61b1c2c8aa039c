"""Stage 6: what happens is told while it happens."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from api.app import create_app
from api.live.signals import Signals
from domain.agent import AgentStatus
from domain.run_events import TaskCompleted, TaskFailed, TaskStarted
from tests.api.conftest import System, an_admin, known_by
from tests.api.contract.shapes import MOMENT, counted, fits, maybe, named, one_of, ratio
from tests.api.living import HELLO, a_run, beat
from tests.api.test_executions import attempt
from tests.support.listening import heard, heard_until, serving

RUN = {"execution_id": named("exec"), "timestamp": MOMENT}
AGENT = {"agent_id": one_of("cad_agent_001"), "timestamp": MOMENT}


@pytest.fixture
async def host(system: System) -> AsyncIterator[str]:
    async with serving(create_app(known_by(system, an_admin))) as host:
        yield host


@pytest.mark.proves("D0-WS-01", "D0-WS-02", "D0-WS-03", "D0-WS-04")
async def test_an_execution_is_told_as_it_goes(system: System, host: str) -> None:
    run_id = await a_run(system)
    assert system.deps.live is not None
    async with connect(f"ws://{host}/ws/executions/{run_id}") as socket:
        await heard_until(socket, "execution.status")
        await system.say(TaskStarted(**attempt(run_id, "t0")))
        begun = await heard_until(socket, "task.started")
        fits(begun, RUN | {"type": str, "task_id": one_of("t0"), "agent": one_of("SIM")})
        Signals(system.deps.live.hub).hear(beat(run_id, share=0.45, load=0.82))
        going = await heard_until(socket, "task.progress")
        fits(going, RUN | {"type": str, "task_id": one_of("t0"), "progress": ratio})
        assert going["progress"] == 0.45
        result = {"safety_factor": 1.8}
        await system.say(TaskCompleted(**attempt(run_id, "t0"), result=result))
        done = await heard_until(socket, "task.completed")
        fits(done, RUN | {"type": str, "task_id": one_of("t0"), "result": dict})
        assert done["result"] == result
        assert begun["execution_id"] == going["execution_id"] == done["execution_id"] == run_id


@pytest.mark.proves("D0-WS-05", "D0-WS-06", "D0-WS-07")
async def test_agents_are_told_as_they_come_and_are(system: System, host: str) -> None:
    async with connect(f"ws://{host}/ws/agents?after=0") as socket:
        await system.say(HELLO)
        fits(await heard_until(socket, "agent.registered"), AGENT)
        well = AgentStatus(agent_id="cad_agent_001", lifecycle="working", health="healthy")
        await system.say(well)
        status = one_of("active", "inactive", "failed")
        frame = await heard_until(socket, "agent.status")
        fits(frame, AGENT | {"status": status, "load": maybe(ratio)})
        assert frame["status"] == "active"


@pytest.mark.proves("D0-WS-08")
async def test_failures_are_told_and_strangers_are_not_let_in(system: System, host: str) -> None:
    run_id = await a_run(system)
    async with connect(f"ws://{host}/ws/executions/{run_id}") as socket:
        await system.say(TaskStarted(**attempt(run_id, "t0")))
        failed = TaskFailed(**attempt(run_id, "t0"), error_class="business", reason="no licence")
        await system.say(failed)
        frame = await heard_until(socket, "task.failed")
        fits(frame, RUN | {"task_id": str, "reason": str, "error_class": str, "position": counted})
    async with serving(create_app(system.deps)) as closed:
        for path in (f"/ws/executions/{run_id}", "/ws/agents"):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"ws://{closed}{path}"):
                    pass
            assert refused.value.response.status_code == 401
    unknown: dict[str, Any] = {}
    with pytest.raises(InvalidStatus) as missing:
        async with connect(f"ws://{host}/ws/executions/exec_nobody") as socket:
            unknown |= await heard(socket)
    assert missing.value.response.status_code == 404
