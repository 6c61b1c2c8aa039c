"""Who lives in a simulated world, and the supervisor that starts them again."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from domain.errors import TaskloomError
from domain.values import AgentType
from infra.simulation.agents import AgentProcess
from infra.simulation.processes import Process
from infra.simulation.staff import Surroundings, audit, coordinate, project
from infra.simulation.workload import Users, api
from infra.simulation.world import drawn

_AGAIN = 0.5
"""Seconds until a process that ended is started again, at least."""


@dataclass(slots=True)
class _Post:
    """One place that is always filled: a coordinator, a projector, an agent."""

    role: str
    start: Callable[[Process], Coroutine[Any, Any, None]]
    starts: int = 0
    process: Process | None = None
    agent: AgentProcess | None = None


@dataclass(slots=True)
class Town:
    """All processes of a world."""

    around: Surroundings
    users: Users
    posts: list[_Post] = field(default_factory=list["_Post"])

    def settle(self) -> None:
        """Decide who lives here."""
        lots = drawn(self.around.world.seed, "town")
        around, types = self.around, self.around.types
        for number in range(lots.choice((1, 1, 2))):
            self._post(f"coordinator-{number}", lambda process: coordinate(process, around))
        self._post("projector", lambda process: project(process, around))
        self._post("auditor", lambda process: audit(process, around))
        for number in range(lots.choice((1, 1, 2))):
            self._post(f"api-{number}", self._serve_users)
        agents = [*types, *(lots.choice(types) for _ in range(lots.randint(1, 2)))]
        for number, agent_type in enumerate(agents):
            self._post_agent(f"agent-{number}", agent_type, has_fixed_id=lots.random() < 0.5)

    async def supervise(self) -> None:
        """Start whoever is missing, for ever."""
        lots = drawn(self.around.world.seed, "supervisor")
        while True:
            for post in self.posts:
                if post.process is None or not post.process.is_alive:
                    self._start(post)
            await asyncio.sleep(_AGAIN + lots.random() * 0.5)

    def living(self) -> Sequence[Process]:
        """Return the processes that are there."""
        return [post.process for post in self.posts if post.process and post.process.is_alive]

    def agents(self) -> Iterator[AgentProcess]:
        """Return the agents that are there."""
        for post in self.posts:
            if post.agent and post.process and post.process.is_alive:
                yield post.agent

    def stop_an_agent(self, lots: Random) -> bool:
        """Ask an agent to stop, if there is one."""
        there = list(self.agents())
        if not there:
            return False
        agent = lots.choice(there)
        agent.process.call(agent.stop)
        return True

    def _post(self, role: str, start: Callable[[Process], Coroutine[Any, Any, None]]) -> _Post:
        post = _Post(role, start)
        self.posts.append(post)
        return post

    def _post_agent(self, role: str, agent_type: AgentType, *, has_fixed_id: bool) -> None:
        async def start(process: Process) -> None:
            agent_id = role if has_fixed_id else process.name.replace("#", "-")
            post.agent = AgentProcess(process, self.around, agent_type, agent_id)
            await post.agent.run()

        post = self._post(role, start)

    def _start(self, post: _Post) -> None:
        post.starts += 1
        post.process = process = Process(self.around.world, post.role, post.starts)
        post.agent = None
        self.around.world.note("start", process.name)
        process.spawn(self._live(post, process))

    async def _live(self, post: _Post, process: Process) -> None:
        """Run a process to its end; what ends it without being asked is a broken promise."""
        try:
            await post.start(process)
        except (TaskloomError, OSError) as error:
            # It ends with a message, and whoever supervises it starts it again.
            self.around.world.note("ends", process.name, error)
        except Exception as error:  # noqa: BLE001, RUF100 # whatever it is, it is a bug
            self.around.world.violate("I18", f"{process.name} crashed: {error!r}")
        process.kill()

    async def _serve_users(self, process: Process) -> None:
        served = api(process, self.around)
        self.users.apis = [one for one in self.users.apis if one.process.is_alive]
        self.users.apis.append(served)
        await served.run()
