"""What users ask for in a simulated world, and what strangers throw in."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Literal

from bus.messages import Message
from bus.recorder import Outcome, Recorder
from bus.topology import REPORTS
from domain.errors import CannotSteer, Refused, Unavailable, UnknownCheckpoint
from domain.goals import Goal, Options
from domain.plan import GoalSubmitted, PlanCancelRequested
from domain.policies import AnyReport
from domain.recorded import Report
from domain.run_events import RunRequested
from domain.run_options import FailureStrategy, RunOptions
from domain.runs_of_plans import execution_of
from domain.steering import (
    RunCancelRequested,
    RunPauseRequested,
    RunResumeRequested,
    RunRollbackRequested,
    TaskRetryRequested,
    TaskSkipRequested,
)
from domain.tasks import Effect, RetryPolicy, Task, Timeouts
from domain.values import AgentType, Priority
from infra.simulation.effects import written
from infra.simulation.links import SimulatedSender
from infra.simulation.processes import Process
from infra.simulation.staff import Surroundings
from infra.simulation.store import SimulatedStore
from infra.simulation.world import SimulatedClock, drawn

_PATIENCE = 3.0
"""Seconds a user waits for an answer before asking again."""

_LOOKS = 20
"""How often somebody looks whether a run goes on."""

_PRIORITIES: Sequence[Priority] = ("critical", "high", "normal", "low")


Steering = Literal["none", "rest", "skip", "retry", "roll back"]
_STEERINGS: Sequence[Steering] = ("none",) * 5 + ("rest", "rest", "skip", "retry", "roll back")
_STRATEGIES: Sequence[FailureStrategy] = (
    *("retry", "retry", "retry"),
    *("replan", "fail_fast", "best_effort"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A graph that somebody wants to be run."""

    run_id: str
    plan_id: str | None
    """The plan it belongs to, where it is asked for as a goal."""

    tasks: tuple[Task, ...]
    priority: Priority
    at: float
    options: RunOptions
    cancel_at: float | None
    steering: Steering
    steer_at: float
    is_asked_twice: bool

    @property
    def is_predictable(self) -> bool:
        """Whether its tasks end as their scripts say, if nobody calls it off."""
        return self.steering in ("none", "rest") and self.options.failure_strategy != "fail_fast"

    def report(self) -> AnyReport:
        """Return how it is asked for."""
        if self.plan_id is None:
            return RunRequested(
                run_id=self.run_id, priority=self.priority, tasks=self.tasks, options=self.options
            )
        return GoalSubmitted(
            plan_id=self.plan_id,
            goal=Goal(title="a simulated goal", priority=self.priority),
            options=Options(auto_execute=True),
            tasks=self.tasks,
        )

    def cancellation(self) -> AnyReport:
        """Return how it is called off."""
        if self.plan_id is None:
            return RunCancelRequested(run_id=self.run_id)
        return PlanCancelRequested(plan_id=self.plan_id)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A command that was answered: from then on it is kept."""

    report: Report[AnyReport]
    outcome: Outcome


@dataclass(slots=True)
class Api:
    """A process that users talk to."""

    process: Process
    recorder: Recorder

    async def run(self) -> None:
        """Record what is said."""
        await self.recorder.run()


def api(process: Process, around: Surroundings) -> Api:
    """Return an API process, to be run."""
    store = SimulatedStore(process, around.database)
    return Api(process, around.recorder(store, SimulatedClock(around.world)))


@dataclass(slots=True)
class Users:
    """Asks until there is an answer, and remembers what was promised."""

    around: Surroundings
    seed: int
    wishes: Sequence[Wish] = ()
    apis: list[Api] = field(default_factory=list[Api])
    """The API processes that are there now."""

    promised: list[Acknowledged] = field(default_factory=list[Acknowledged])
    refused: list[str] = field(default_factory=list[str])
    poison: list[bytes] = field(default_factory=list[bytes])

    def plan(self) -> None:
        """Decide what will be asked for."""
        lots = drawn(self.seed, "workload")
        self.wishes = [self._wish(lots, number) for number in range(lots.choice((2, 2, 3)))]
        self.poison = [
            f'{{"no {self.seed}": {number}'.encode() for number in range(lots.choice((0, 1, 1, 2)))
        ]

    async def live(self) -> None:
        """Ask for everything."""
        await asyncio.gather(
            *(self._pursue(wish) for wish in self.wishes),
            *(self._throw(number, body) for number, body in enumerate(self.poison)),
        )

    def _wish(self, lots: Random, number: int) -> Wish:
        is_goal = lots.random() < 0.4
        plan_id = f"plan_{self.seed}-{number}" if is_goal else None
        run_id = execution_of(plan_id, 1) if plan_id else f"exec_{self.seed}-{number}"
        attempts = lots.choice((2, 3))
        tasks = tuple(
            self._task(lots, run_id, place, attempts) for place in range(lots.randint(3, 7))
        )
        return Wish(
            run_id=run_id,
            plan_id=plan_id,
            tasks=tasks,
            priority=lots.choice(_PRIORITIES),
            at=lots.uniform(0, 4),
            options=RunOptions() if is_goal else _options(lots),
            steering="none" if is_goal else lots.choice(_STEERINGS),
            steer_at=lots.uniform(0.2, 4),
            cancel_at=lots.uniform(0.5, 10) if lots.random() < 0.3 else None,
            is_asked_twice=lots.random() < 0.3,
        )

    def _task(self, lots: Random, run_id: str, place: int, attempts: int) -> Task:
        task_id = f"t{place}"
        earlier = [f"t{one}" for one in range(place)]
        needs = lots.sample(earlier, min(len(earlier), lots.choice((0, 1, 1, 2))))
        inputs = {f"from_{need}": need for need in needs if lots.random() < 0.5}
        self.around.outside.scripts[(run_id, task_id)] = written(lots, attempts=attempts)
        agent: AgentType = lots.choice(self.around.types)
        effect: Effect = "external" if lots.random() < 0.2 else "none"
        timeouts = Timeouts(run=lots.choice((0.5, 2.0)) if lots.random() < 0.1 else None)
        return Task(
            id=task_id,
            name=task_id,
            agent=agent,
            depends_on=tuple(need for need in needs if need not in inputs.values()),
            inputs=inputs,
            effect=effect,
            timeouts=timeouts,
            retry=RetryPolicy(attempts=attempts, unknown=lots.choice(("never", "with_key"))),
        )

    async def _pursue(self, wish: Wish) -> None:
        await asyncio.sleep(wish.at)
        asking = [self.insist(wish.report(), f"{wish.run_id}/ask")]
        if wish.is_asked_twice:
            asking.append(self.insist(wish.report(), f"{wish.run_id}/ask"))
        await asyncio.gather(*asking)
        await asyncio.gather(self._steer(wish), self._call_off(wish))

    async def _call_off(self, wish: Wish) -> None:
        if wish.cancel_at is not None:
            await asyncio.sleep(wish.cancel_at)
            await self.insist(wish.cancellation(), f"{wish.run_id}/cancel")

    async def _steer(self, wish: Wish) -> None:
        """Do with a run what a person may do."""
        run_id, task_id = wish.run_id, wish.tasks[len(wish.tasks) // 2].id
        await asyncio.sleep(wish.steer_at)
        match wish.steering:
            case "none":
                pass
            case "rest":
                await self.insist(RunPauseRequested(run_id=run_id), f"{run_id}/steer/pause")
                await asyncio.sleep(2.0)
                await self._resume(run_id)
            case "skip":
                skip = TaskSkipRequested(run_id=run_id, task_id=task_id)
                await self.insist(skip, f"{run_id}/steer/skip")
            case "retry":
                retry = TaskRetryRequested(run_id=run_id, task_id=task_id)
                await asyncio.sleep(6.0)
                await self.insist(retry, f"{run_id}/steer/retry")
            case "roll back":
                await self.insist(RunPauseRequested(run_id=run_id), f"{run_id}/steer/pause")
                await asyncio.sleep(1.0)
                back = RunRollbackRequested(run_id=run_id, checkpoint="checkpoint_001")
                await self.insist(back, f"{run_id}/steer/back")
                await self._resume(run_id)

    async def _resume(self, run_id: str) -> None:
        """Have a run go on, and look after it: a late pause may be heard after the resumption."""
        for number in range(_LOOKS):
            resume = RunResumeRequested(run_id=run_id)
            await self.insist(resume, f"{run_id}/steer/resume/{number}")
            await asyncio.sleep(4.0)
            if run_id in self.around.database.ended:
                return

    async def insist(self, body: AnyReport, name: str) -> None:
        """Say something until it is answered; whoever gets no answer says it again."""
        world = self.around.world
        stream = getattr(body, "run_id", None) or getattr(body, "plan_id", "")
        report = Report(
            id=f"user/{name}",
            stream=str(stream),
            body=body,
            said_at=SimulatedClock(world).now(),
            actor="users/ada",
            correlation_id=name,
        )
        while True:
            there = [one for one in self.apis if one.process.is_alive]
            if there:
                answer: asyncio.Future[Outcome | Refused] = world.loop.create_future()
                one = there[world.lots.randrange(len(there))]
                one.process.spawn(_ask(one, report, answer))
                await asyncio.wait([answer], timeout=_PATIENCE)
                if answer.done():
                    said = answer.result()
                    if isinstance(said, CannotSteer | UnknownCheckpoint):
                        world.note("too_late", name)
                    elif isinstance(said, Refused):
                        self.refused.append(f"{name}: {said.code}: {said}")
                        world.note("refused", name, said.code)
                    else:
                        self.promised.append(Acknowledged(report, said))
                        world.note("promised", name, said.version)
                    return
            await asyncio.sleep(0.2)

    async def _throw(self, number: int, body: bytes) -> None:
        """Publish something that nobody can accept, until the broker has it."""
        world = self.around.world
        await asyncio.sleep(world.lots.uniform(0, 8))
        sender = SimulatedSender(Process(world, "stranger", number), self.around.broker)
        message = Message(
            exchange=REPORTS,
            key="task.completed",
            body=body,
            message_id=f"poison-{self.seed}-{number}",
            type="task.completed",
        )
        while await sender.send(message) != "confirmed":  # noqa: ASYNC110 # it repeats
            await asyncio.sleep(0.5)


def _options(lots: Random) -> RunOptions:
    return RunOptions(
        execution_mode="sequential" if lots.random() < 0.15 else "parallel",
        failure_strategy=lots.choice(_STRATEGIES),
        limits={"NOOP": lots.choice((1, 2))} if lots.random() < 0.3 else {},
        checkpoint_interval=timedelta(seconds=1) if lots.random() < 0.2 else None,
    )


async def _ask(
    one: Api, report: Report[AnyReport], answer: "asyncio.Future[Outcome | Refused]"
) -> None:
    try:
        said: Outcome | Refused = await one.recorder.record(report)
    except Refused as refusal:
        said = refusal
    except Unavailable:
        return
    if not answer.done():
        answer.set_result(said)
