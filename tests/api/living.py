"""Runs and heartbeats to be followed live."""

from bus.signals import Heartbeat, HeldTask
from domain.agent import AgentRegistered
from tests.api.conftest import System
from tests.api.test_executions import started
from tests.api.test_plans import GOAL

HELLO = AgentRegistered(agent_id="cad_agent_001", agent_type="CAD", instance="i")


async def a_run(system: System, *, tasks: int = 1) -> str:
    """Start the execution of so many tasks that need nothing."""
    graph = {"tasks": [{"id": f"t{n}", "name": f"t{n}", "agent": "SIM"} for n in range(tasks)]}
    options = {"execution": {"limits": {"SIM": 1_000}}}
    asked = {"goal": GOAL, "task_graph": graph, "options": options}
    created = await system.http.post("/api/v1/plans/create", json=asked)
    assert created.status_code == 201, created.text
    run_id, _ = await started(system, created.json()["plan_id"])
    return run_id


def beat(run_id: str, *, share: float, load: float) -> Heartbeat:
    held = HeldTask(run_id=run_id, task_id="t0", epoch=1, progress=share, state="running")
    return Heartbeat(
        agent_id="cad_agent_001",
        agent_type="CAD",
        role="execution",
        instance="i",
        lifecycle="working",
        load=load,
        at="2026-01-18T10:30:00Z",  # type: ignore[arg-type] # as it comes over the wire
        cpu=0.1,
        memory_bytes=1,
        tasks=(held,),
    )
