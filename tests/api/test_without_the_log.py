"""Questions are answered from the views: whoever reads the log is named here, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from api.app import create_app
from domain.agent import AgentRegistered
from domain.run_events import TaskCompleted, TaskStarted
from tests.api.conftest import System
from tests.api.test_executions import a_plan, attempt, started

READS_THE_LOG = {
    "/api/v1/events": "is the log",
    "/api/v1/events/{position}": "is the log",
    "/api/v1/executions/{execution_id}/forecast": "replays a run",
    "/api/v1/dead-letters/rehearsal": "replays what today's code would decide",
}


FOLLOW_THE_LOG = {"/api/v1/executions/{execution_id}/events", "/api/v1/agents/events"}
"""They tell what is recorded while it happens, and never end."""


@dataclass
class Watched:
    """A log, and a store of streams, that nobody may read; everything else is as it was."""

    system: System
    reads: int = 0

    async def read_all(self, *, after: int, limit: int) -> Sequence[Any]:
        return self._refused()

    async def load(self, stream: str) -> tuple[Any, int]:
        return self._refused()

    async def read(self, stream: str, *, after: int = 0) -> Sequence[Any]:
        return self._refused()

    def client(self) -> httpx2.AsyncClient:
        deps = replace(self.system.deps, log=self, streams=self)
        transport = httpx2.ASGITransport(create_app(deps), raise_app_exceptions=False)
        return httpx2.AsyncClient(
            transport=transport,
            base_url="http://taskloom",
            headers={"Authorization": self.system.http.headers["Authorization"]},
        )

    def _refused(self) -> Any:
        self.reads += 1
        raise AssertionError("the log was read")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.system.deps.streams, name)


async def test_no_question_reads_the_log_but_those_that_are_about_it(system: System) -> None:
    await system.say(AgentRegistered(agent_id="cad_agent_001", agent_type="CAD", instance="one"))
    plan_id = await a_plan(system)
    run_id, _ = await started(system, plan_id)
    await system.say(TaskStarted(**attempt(run_id, "task_001")))
    position = (await system.say(TaskCompleted(**attempt(run_id, "task_001")))).position
    names = {
        "plan_id": plan_id,
        "execution_id": run_id,
        "task_id": "task_001",
        "agent_id": "cad_agent_001",
        "agent_type": "CAD",
        "position": "1",
    }
    await system.http.get(f"/api/v1/plans/{plan_id}", params={"min_position": position})
    schema = (await system.http.get("/api/v1/openapi.json")).json()
    questions = {path for path, methods in schema["paths"].items() if "get" in methods}
    assert questions > READS_THE_LOG.keys() | FOLLOW_THE_LOG
    readers: set[str] = set()
    answered: set[str] = set()
    log = Watched(system)
    async with log.client() as http:
        for path in sorted(questions - FOLLOW_THE_LOG):
            before = log.reads
            answer = await http.get(path.format_map(_Known(names)))
            if log.reads > before:
                readers.add(path)
            elif answer.status_code == 200:
                answered.add(path)
            else:
                assert answer.status_code < 500 or path == "/readyz", f"{path}: {answer.text}"
    # There is no dead letter here that could be rehearsed.
    assert readers == READS_THE_LOG.keys() - {"/api/v1/dead-letters/rehearsal"}
    assert len(answered) > 20


async def test_no_command_reads_the_log_but_the_one_that_waits_for_its_plan(
    system: System,
) -> None:
    plan_id = await a_plan(system)
    log = Watched(system)
    async with log.client() as http:
        begun = await http.post("/api/v1/executions/start", json={"plan_id": plan_id})
        assert begun.status_code == 201, begun.text
        run_id = begun.json()["execution_id"]
        for what in ("pause", "resume", "cancel"):
            answer = await http.post(f"/api/v1/executions/{run_id}/{what}")
            assert answer.status_code == 200, answer.text
        assert (await http.delete(f"/api/v1/plans/{plan_id}")).status_code == 200
        assert log.reads == 0
        # It tells what has become of a wish by its plan's own stream, which is never long.
        await http.post(f"/api/v1/plans/{plan_id}/replan")
        assert log.reads == 1


class _Known(dict[str, str]):
    """Names of what is there; what is not known is of nobody."""

    def __missing__(self, name: str) -> str:
        return "nobody"
