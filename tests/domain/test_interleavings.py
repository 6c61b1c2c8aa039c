"""Whatever is said in whatever order: a run ends each task once, and itself when all have ended."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import EpochFromTheFuture
from domain.run import ENDED, Run
from domain.run_decisions import decide
from domain.run_events import (
    RunEvent,
    TaskCancelled,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskReport,
    TaskSkipped,
)
from domain.run_evolution import evolve
from domain.steering import RunCancelRequested
from domain.tasks import Task
from domain.values import ErrorClass
from tests.support.graphs import acyclic
from tests.support.making import RUN_ID, completed, failed, lost, requested, started
from tests.support.scenario import NOW

AGENTS = ("ann", "bob", "cyd")
CLASSES: tuple[ErrorClass, ...] = ("transient", "transient", "transient", "business")
RUN_ENDS = {"run.completed", "run.failed", "run.cancelled"}


@dataclass
class Simulated:
    """A run, the work that lies around, the reports that are under way, and what became of it."""

    chance: Random
    run: Run
    work: list[TaskDispatched] = field(default_factory=list[TaskDispatched])
    under_way: list[TaskReport] = field(default_factory=list[TaskReport])
    said: list[TaskReport] = field(default_factory=list[TaskReport])
    ends: Counter[str] = field(default_factory=Counter[str])
    run_ends: int = 0

    def hear(self, report: TaskReport | RunCancelRequested) -> None:
        was = self.run
        try:
            events = decide(was, report, NOW)
        except EpochFromTheFuture:
            assert isinstance(report, TaskReport)
            assert report.epoch > was.states[report.task_id].epoch
            return
        self.note(was, events)

    def note(self, was: Run | None, events: Sequence[RunEvent]) -> None:
        if was is not None and was.status != "running":
            assert {event.type for event in events} <= {"report.ignored"}
        run = reduce(evolve, events, was)
        assert run is not None
        self.run = run
        again = {event.task_id for event in events if isinstance(event, TaskDispatched)}
        for event in events:
            match event:
                case TaskDispatched():
                    assert all(
                        run.states[need].status == "completed"
                        for need in run.tasks[event.task_id].needs
                    )
                    before = 0 if was is None else was.states[event.task_id].epoch
                    assert event.epoch == before + 1 == run.states[event.task_id].epoch
                    self.work.append(event)
                case TaskCompleted() | TaskSkipped() | TaskCancelled():
                    self.ends[event.task_id] += 1
                case TaskFailed() if event.task_id not in again:
                    self.ends[event.task_id] += 1
                case _ if event.type in RUN_ENDS:
                    self.run_ends += 1
                case _:
                    pass
        self.check()

    def check(self) -> None:
        run = self.run
        status = {name: state.status for name, state in run.states.items()}
        assert run.open == sum(each not in ENDED for each in status.values())
        assert run.unhappy == sum(each in ENDED and each != "completed" for each in status.values())
        for task in run.tasks.values():
            unmet = sum(status[need] != "completed" for need in task.needs)
            assert run.states[task.id].waits_for == unmet
            assert (self.ends[task.id] == 1) == (status[task.id] in ENDED)
        assert self.run_ends == (run.status != "running") == (run.open == 0)

    def take(self, work: TaskDispatched) -> None:
        """Let an agent carry an attempt out: what it says is under way, in any order."""
        agent = self.chance.choice(AGENTS)
        self.say(started(work.task_id, work.epoch, agent))
        if self.chance.random() < 0.3:
            why = self.chance.choice(CLASSES)
            self.say(failed(work.task_id, work.epoch, agent, error_class=why))
        else:
            self.say(completed(work.task_id, work.epoch, agent, result={"by": agent}))

    def say(self, report: TaskReport) -> None:
        self.under_way.append(report)
        self.said.append(report)

    def lose(self) -> None:
        """Let the lease keeper give up on whatever attempt is held."""
        held = [(name, s) for name, s in self.run.states.items() if s.status == "started"]
        if held:
            name, state = self.chance.choice(sorted(held, key=lambda each: each[0]))
            self.say(lost(name, state.epoch, state.agent_id))

    def disturb(self) -> None:
        match self.chance.randrange(6):
            case 0 if self.said:
                self.under_way.append(self.chance.choice(self.said))
            case 1 if self.said:
                late = self.chance.choice(self.said)
                who = self.chance.choice(AGENTS)
                self.under_way.append(late.model_copy(update={"agent_id": who}))
            case 2 if self.said:
                early = self.chance.choice(self.said)
                self.under_way.append(early.model_copy(update={"epoch": early.epoch + 1}))
            case 3 if self.under_way:
                self.under_way.pop(self.chance.randrange(len(self.under_way)))
            case 4 if self.work:
                self.take(self.chance.choice(self.work))
            case _:
                self.lose()

    def deliver(self) -> None:
        if self.work and self.chance.random() < 0.5:
            self.take(self.work.pop(self.chance.randrange(len(self.work))))
        elif self.under_way:
            self.hear(self.under_way.pop(self.chance.randrange(len(self.under_way))))

    def settle(self) -> None:
        """Deliver what is under way, give up what is held, offer again what nobody took."""
        while self.under_way:
            self.hear(self.under_way.pop(0))
        for name, state in sorted(self.run.states.items(), key=lambda each: each[0]):
            if state.status == "started":
                self.hear(lost(name, state.epoch, state.agent_id))
            elif state.status == "dispatched":
                self.hear(completed(name, state.epoch))


def simulated(chance: Random, tasks: tuple[Task, ...]) -> Simulated:
    events = decide(None, requested(*tasks), NOW)
    run = reduce(evolve, events[1:], evolve(None, events[0]))
    world = Simulated(chance, run)
    world.note(None, events)
    return world


def hardened(tasks: tuple[Task, ...], attempts: int, losses: int) -> tuple[Task, ...]:
    retry = {"attempts": attempts, "lost": losses}
    return tuple(Task.model_validate(t.model_dump() | {"retry": retry}) for t in tasks)


@settings(max_examples=150, deadline=None)
@given(
    st.randoms(use_true_random=False),
    acyclic(),
    st.integers(1, 6),
    st.integers(0, 3),
    st.integers(0, 60),
)
def test_every_interleaving_ends_each_task_once_and_then_the_run(
    chance: Random, tasks: tuple[Task, ...], attempts: int, losses: int, turns: int
) -> None:
    world = simulated(chance, hardened(tasks, attempts, losses))
    for _ in range(turns):
        if chance.random() < 0.3:
            world.disturb()
        else:
            world.deliver()
    rounds = 0
    while world.run.status == "running":
        world.settle()
        rounds += 1
        assert rounds < 500, "the run does not come to its end"
    assert set(world.ends) == {task.id for task in tasks}
    for report in world.said:
        world.hear(report)
    is_well = all(state.status == "completed" for state in world.run.states.values())
    assert world.run.status == ("completed" if is_well else "failed")


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), acyclic(), st.integers(0, 30))
def test_a_run_that_is_cancelled_anywhere_is_over_at_once(
    chance: Random, tasks: tuple[Task, ...], turns: int
) -> None:
    world = simulated(chance, tasks)
    for _ in range(turns):
        world.disturb()
        world.deliver()
    was = world.run.status
    world.hear(RunCancelRequested(run_id=RUN_ID, reason="enough"))
    assert world.run.status == ("cancelled" if was == "running" else was)
    assert world.run.open == 0
    for report in world.said:
        world.hear(report)
