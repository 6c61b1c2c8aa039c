"""Whatever is said in whatever order: a run ends each task once, and itself when all have ended."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import CannotSteer, EpochFromTheFuture, UnknownCheckpoint, UnknownTask
from domain.revisions import PlanReplanRefused, PlanUpdated
from domain.run import ENDED, IN_FLIGHT, Run
from domain.run_decisions import decide
from domain.run_events import (
    RunEvent,
    RunRevised,
    TaskCancelled,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskReport,
    TaskSkipped,
    Timeout,
)
from domain.run_evolution import evolve
from domain.run_options import RunOptions
from domain.steering import (
    RunPaused,
    RunResumed,
    RunRolledBack,
    SteeringReport,
    TaskReopened,
)
from domain.tasks import Task
from domain.values import ErrorClass
from tests.support import making
from tests.support.graphs import acyclic
from tests.support.making import (
    PLAN_ID,
    cancel,
    completed,
    failed,
    lost,
    pause,
    requested,
    resume,
    retry,
    roll_back,
    skip,
    started,
    timed_out,
)
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

    def hear(self, report: TaskReport | SteeringReport | PlanUpdated | PlanReplanRefused) -> None:
        was = self.run
        try:
            events = decide(was, report, NOW)
        except (EpochFromTheFuture, UnknownTask):
            assert isinstance(report, TaskReport)
            state = was.state(report.task_id)
            assert state is None or report.epoch > state.epoch
            return
        except (CannotSteer, UnknownCheckpoint):
            assert isinstance(report, SteeringReport)
            return
        if was.is_over and isinstance(report, TaskReport):
            assert {event.type for event in events} <= {"report.ignored"}
        self.note(was, events)

    def note(self, was: Run | None, events: Sequence[RunEvent]) -> None:
        run = reduce(evolve, events, was)
        assert run is not None
        self.run = run
        again = {event.task_id for event in events if isinstance(event, TaskFailed)}
        again = {name for name in again if run.states[name].status not in ENDED}
        is_paused = was is not None and was.status == "paused"
        for event in events:
            match event:
                case RunPaused() | RunRolledBack():
                    is_paused = True
                case RunResumed():
                    is_paused = False
                case RunRevised():
                    for name in event.removed:
                        self.ends.pop(name, None)
                case TaskDispatched():
                    assert not is_paused
                    assert all(run.states[need].is_met for need in run.tasks[event.task_id].needs)
                    state = None if was is None else was.state(event.task_id)
                    before = 0 if state is None else state.epoch
                    assert event.epoch == before + 1 == run.states[event.task_id].epoch
                    self.work.append(event)
                case _:
                    pass
            self.count(event, again)
        self.check()

    def count(self, event: RunEvent, again: set[str]) -> None:
        """Count the ends of tasks and of the run; what is reopened has not ended."""
        match event:
            case TaskSkipped(because=None, was=before) if before in ENDED:
                pass
            case TaskCompleted() | TaskSkipped() | TaskCancelled():
                self.ends[event.task_id] += 1
            case TaskFailed() if event.task_id not in again:
                self.ends[event.task_id] += 1
            case TaskReopened(tasks=names) | RunRolledBack(tasks=names):
                for name in names:
                    self.ends[name] = 0
                if isinstance(event, RunRolledBack):
                    self.run_ends = 0
            case RunRevised():
                for name in event.was:
                    self.ends[name] = 0
            case RunResumed():
                self.run_ends = 0
            case _ if event.type in RUN_ENDS:
                self.run_ends += 1
            case _:
                pass

    def check(self) -> None:
        run = self.run
        states = dict(run.states.items())
        ended = {name for name, state in states.items() if state.status in ENDED}
        met = {name for name, state in states.items() if state.is_met}
        assert run.open == len(states) - len(ended)
        assert run.unhappy == len(ended - met)
        assert run.done == len(met)
        assert {states[name].done for name in met} == set(range(1, len(met) + 1))
        for name, task in run.tasks.items():
            assert states[name].waits_for == sum(need not in met for need in task.needs)
            assert self.ends[name] == (name in ended)
        under_way = Counter(
            run.agent_type_of(name) for name, each in states.items() if each.status in IN_FLIGHT
        )
        assert {name: count for name, count in run.in_flight.items() if count} == under_way
        for name, state in states.items():
            if state.is_ready:
                assert name in list(run.ready[run.place_of(name)])
                assert run.status == "paused" or not run.has_room(run.line_of(name))
        assert self.run_ends == run.is_over
        assert run.is_over == (run.open == 0 and not run.is_replanning)

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

    def time_out(self) -> None:
        """Let the timekeeper find that an attempt has taken too long."""
        held = [(name, s) for name, s in self.run.states.items() if s.status in IN_FLIGHT]
        if held:
            name, state = self.chance.choice(sorted(held, key=lambda each: each[0]))
            kinds: tuple[Timeout, ...] = ("start", "total")
            if state.agent_id:
                kinds = ("run", "total")
            kind = self.chance.choice(kinds)
            self.say(timed_out(name, kind, state.epoch, state.agent_id or None))

    def steer(self) -> None:
        """Let a person ask something of the run, whether it makes sense or not."""
        states = sorted(self.run.states.items(), key=lambda each: each[0])
        unhappy = [name for name, state in states if state.status in ENDED and not state.is_met]
        name = self.chance.choice(unhappy or [name for name, _ in states])
        match self.chance.randrange(7):
            case 0:
                self.hear(pause())
            case 1 | 2:
                self.hear(resume())
            case 3:
                self.hear(retry(name))
            case 4:
                self.hear(skip(name))
            case 5 if self.run.checkpoints:
                self.hear(roll_back(self.chance.choice(self.run.checkpoints).id))
            case _ if self.chance.random() < 0.1:
                self.hear(cancel())
            case _:
                pass

    def answer(self) -> None:
        """Let the plan answer: no, or with a graph in which something is otherwise."""
        run = self.run
        if not run.is_replanning:
            return
        if self.chance.random() < 0.3:
            refused = PlanReplanRefused(
                plan_id=PLAN_ID, run_id=run.id, revision=run.revision, reason="no other way"
            )
            self.hear(refused)
            return
        tasks = dict(run.tasks.items())
        unmet = sorted(name for name, state in run.states.items() if not state.is_met)
        for name in unmet:
            match self.chance.randrange(4):
                case 0:
                    tasks[name] = tasks[name].model_copy(update={"agent": "SPARE"})
                case 1 if not any(name in task.needs for task in tasks.values()):
                    del tasks[name]
                case _:
                    pass
        new = making.task(
            f"new{run.revision}", *self.chance.sample(sorted(tasks), k=min(2, len(tasks)))
        )
        self.hear(
            PlanUpdated(
                plan_id=PLAN_ID,
                run_id=run.id,
                revision=run.revision + 1,
                tasks=(*tasks.values(), new),
                added=(new.id,),
                removed=(),
                modified=(),
                reason="a task failed",
                delay=0,
                cost=0,
            )
        )

    def disturb(self) -> None:
        if self.chance.random() < 0.3:
            self.answer()
        match self.chance.randrange(10):
            case 6 | 7 | 8:
                self.steer()
            case 9:
                self.time_out()
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
        self.hear(resume())
        self.answer()
        while self.under_way:
            self.hear(self.under_way.pop(0))
        for name, state in sorted(self.run.states.items(), key=lambda each: each[0]):
            if state.status == "started":
                self.hear(lost(name, state.epoch, state.agent_id))
            elif state.status == "dispatched":
                self.hear(completed(name, state.epoch))


OPTIONS = st.builds(
    RunOptions,
    execution_mode=st.sampled_from(["parallel", "parallel", "sequential"]),
    parallelization=st.sampled_from(["aggressive", "aggressive", "conservative"]),
    failure_strategy=st.sampled_from(["retry", "replan", "fail_fast", "best_effort"]),
    limits=st.dictionaries(st.sampled_from(["NOOP", "SPARE"]), st.integers(1, 2)),
    checkpoint_interval=st.sampled_from([None, timedelta(seconds=1)]),
)


def simulated(chance: Random, tasks: tuple[Task, ...], options: RunOptions) -> Simulated:
    events = decide(None, requested(*tasks, options=options), NOW)
    run = reduce(evolve, events[1:], evolve(None, events[0]))
    world = Simulated(chance, run)
    world.note(None, events)
    return world


def hardened(chance: Random, tasks: tuple[Task, ...], attempts: int, losses: int) -> list[Task]:
    return [
        Task.model_validate(
            each.model_dump()
            | {
                "retry": {"attempts": attempts, "lost": losses},
                "timeouts": chance.choice([{}, {"start": 60, "run": 60, "total": 3_600}]),
                "effect": chance.choice(["none", "none", "external"]),
                "fallback": chance.choice([None, "SPARE"]),
            }
        )
        for each in tasks
    ]


@settings(max_examples=250, deadline=None)
@given(
    st.randoms(use_true_random=False),
    acyclic(),
    OPTIONS,
    st.integers(1, 6),
    st.integers(0, 3),
    st.integers(0, 60),
)
def test_every_interleaving_ends_each_task_once_and_then_the_run(
    chance: Random,
    tasks: tuple[Task, ...],
    options: RunOptions,
    attempts: int,
    losses: int,
    turns: int,
) -> None:
    world = simulated(chance, tuple(hardened(chance, tasks, attempts, losses)), options)
    for _ in range(turns):
        if chance.random() < 0.4:
            world.disturb()
        else:
            world.deliver()
    rounds = 0
    while not world.run.is_over:
        world.settle()
        rounds += 1
        assert rounds < 500, "the run does not come to its end"
    assert all(world.ends[name] == 1 for name, _ in world.run.tasks.items())
    for report in world.said:
        world.hear(report)
    is_well = all(state.is_met for _, state in world.run.states.items())
    is_good_enough = options.failure_strategy == "best_effort"
    if world.run.status != "cancelled":
        assert world.run.status == ("completed" if is_well or is_good_enough else "failed")


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), acyclic(), OPTIONS, st.integers(0, 30))
def test_a_run_that_is_cancelled_anywhere_is_over_at_once_and_can_be_taken_up_again(
    chance: Random, tasks: tuple[Task, ...], options: RunOptions, turns: int
) -> None:
    world = simulated(chance, tasks, options)
    for _ in range(turns):
        world.disturb()
        world.deliver()
    was = world.run
    world.hear(cancel("enough"))
    assert world.run.status == (was.status if was.is_over else "cancelled")
    assert world.run.open == 0
    for report in world.said:
        world.hear(report)
    if world.run.status == "cancelled":
        world.hear(roll_back(world.run.checkpoints[-1].id))
        assert (world.run.status, world.run.done) == ("paused", was.done)
        while not world.run.is_over:
            world.settle()
        assert world.run.status != "cancelled"
