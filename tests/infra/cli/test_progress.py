from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.goals import Goal, Options
from domain.plan import PlanCompleted, PlanCreated, PlanReady, PlanStarted
from domain.policies import Event
from domain.recorded import Recorded
from domain.revisions import PlanUpdated
from domain.run_events import (
    RunCompleted,
    RunRevised,
    RunStarted,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskLost,
    TaskSkipped,
    TaskStarted,
)
from domain.steering import RunCheckpointed, RunPaused, RunRolledBack, TaskReopened
from domain.tasks import Task
from infra.cli.progress import Progress

PLAN, RUN = "plan_1", "exec_1-1"
TASKS = (
    Task(id="a", name="a", agent="CAD", duration=timedelta(hours=2), deliverable=True),
    Task(id="b", name="b", agent="SIM", depends_on=("a",)),
)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def dispatched(task: str, epoch: int = 1) -> TaskDispatched:
    return TaskDispatched(
        run_id=RUN, plan_id=PLAN, task_id=task, epoch=epoch, agent="CAD", role="execution",
        lane="normal", name=task, action="work", params={}, inputs={},
    )  # fmt: skip


def started(task: str, epoch: int = 1) -> TaskStarted:
    return TaskStarted(run_id=RUN, task_id=task, epoch=epoch, agent_id="cad")


BEGINNING: Sequence[Event] = (
    PlanCreated(plan_id=PLAN, goal=Goal(title="t"), options=Options(auto_execute=True)),
    PlanReady(plan_id=PLAN, revision=1, tasks=TASKS, priority="normal", auto_execute=True),
    RunStarted(
        run_id=RUN, plan_id=PLAN, kind="execution", revision=1, priority="normal", tasks=TASKS
    ),
    PlanStarted(plan_id=PLAN, run_id=RUN),
    dispatched("a"),
    started("a"),
)


def heard(events: Sequence[Event]) -> Progress:
    progress = Progress(plan_id=PLAN)
    for number, event in enumerate(events, start=1):
        stream = PLAN if event.type.startswith("plan.") else getattr(event, "run_id", RUN)
        progress.hear(
            Recorded(
                id=str(number), position=number, stream=stream, version=number, event=event,
                at=BEGAN + timedelta(seconds=number), actor="x", correlation_id="x",
            )
        )  # fmt: skip
    return progress


def test_a_task_at_work_is_counted_and_named() -> None:
    phase = heard(BEGINNING).execution
    assert phase is not None
    assert list(phase.running) == ["a"]
    assert (phase.tally("started"), phase.tally("pending"), phase.done) == (1, 1, 0)


def test_a_completed_task_has_a_time_and_a_result() -> None:
    completed = TaskCompleted(
        run_id=RUN, task_id="a", epoch=1, agent_id="cad", result={"summary": "0.8 kg"}
    )
    phase = heard([*BEGINNING, completed]).execution
    assert phase is not None
    assert phase.times["a"].seconds == 1.0
    assert phase.results["a"] == {"summary": "0.8 kg"}
    assert not phase.running


def test_a_lost_attempt_is_not_at_work_and_the_next_one_is() -> None:
    lost = TaskLost(run_id=RUN, task_id="a", epoch=1, agent_id="cad", reason="gone")
    phase = heard([*BEGINNING, lost, dispatched("a", 2)]).execution
    assert phase is not None
    assert not phase.running
    phase = heard([*BEGINNING, lost, dispatched("a", 2), started("a", 2)]).execution
    assert phase is not None
    assert list(phase.running) == ["a"]


def test_a_failure_keeps_its_reason() -> None:
    failed = TaskFailed(
        run_id=RUN, task_id="a", epoch=1, agent_id="cad", error_class="validation", reason="no"
    )
    phase = heard([*BEGINNING, failed]).execution
    assert phase is not None
    assert phase.reasons == {"a": "no"}
    assert phase.done == 1


def test_it_is_over_with_its_plan() -> None:
    ends = (
        RunCompleted(run_id=RUN, plan_id=PLAN, kind="execution", result={}),
        PlanCompleted(plan_id=PLAN, run_id=RUN),
    )
    assert not heard(BEGINNING).is_over
    assert heard([*BEGINNING, *ends]).is_over


def test_events_of_other_plans_pass_by() -> None:
    progress = heard(BEGINNING)
    before = dict(progress.counts)
    other = PlanCreated(plan_id="plan_2", goal=Goal(title="t"), options=Options())
    was_ours = progress.hear(
        Recorded(
            id="x", position=99, stream="plan_2", version=1, event=other, at=BEGAN, actor="x",
            correlation_id="x",
        )
    )  # fmt: skip
    assert not was_ours
    assert dict(progress.counts) == before


def test_a_task_that_failed_once_and_was_done_then_has_no_reason() -> None:
    failed = TaskFailed(
        run_id=RUN, task_id="a", epoch=1, agent_id="cad", error_class="transient", reason="later"
    )
    completed = TaskCompleted(run_id=RUN, task_id="a", epoch=2, agent_id="cad", result={})
    phase = heard([*BEGINNING, failed, dispatched("a", 2), started("a", 2), completed]).execution
    assert phase is not None
    assert phase.reasons == {}


def test_a_paused_run_is_not_over_and_what_is_rolled_back_is_pending_again() -> None:
    common: dict[str, Any] = {"run_id": RUN, "plan_id": PLAN, "kind": "execution"}
    marked = RunCheckpointed(run_id=RUN, checkpoint="checkpoint_001", at=BEGAN, completed=0)
    paused = RunPaused(**common, checkpoint="checkpoint_001", reason="")
    done = TaskCompleted(run_id=RUN, task_id="a", epoch=1, agent_id="cad", result={"x": 1})
    progress = heard([*BEGINNING, marked, paused, done])
    phase = progress.execution
    assert phase is not None
    assert (phase.run.status, phase.ended, phase.done) == ("paused", None, 1)
    back = RunRolledBack(
        **common, checkpoint="checkpoint_001", reason="", tasks=("a",), completed=0, skipped=0
    )
    phase = heard([*BEGINNING, marked, paused, done, back]).execution
    assert phase is not None
    assert (phase.tally("completed"), phase.tally("pending"), phase.done) == (0, 2, 0)
    assert (phase.results, phase.times, phase.running) == ({}, {}, {})


def test_a_reopened_task_has_no_reason_any_more() -> None:
    failed = TaskFailed(
        run_id=RUN, task_id="a", epoch=1, agent_id="cad", error_class="business", reason="no"
    )
    skipped = TaskSkipped(run_id=RUN, task_id="b", because="a")
    progress = heard([*BEGINNING, failed, skipped])
    assert progress.execution is not None
    assert set(progress.execution.reasons) == {"a", "b"}
    again = TaskReopened(run_id=RUN, task_id="a", tasks=("a", "b"), failed=1, reason="")
    phase = heard([*BEGINNING, failed, skipped, again]).execution
    assert phase is not None
    assert (phase.reasons, phase.tally("pending"), phase.tally("failed")) == ({}, 2, 0)


def test_a_run_that_is_planned_anew_goes_on_with_the_tasks_of_another_graph() -> None:
    other = Task(id="b", name="b", agent="LATHE", depends_on=("a",), duration=timedelta(hours=3))
    replanning = RunStarted(
        run_id="exec_1-replan-1", plan_id=PLAN, kind="replanning", revision=1,
        priority="normal", tasks=(Task(id="revise", name="Revise", agent="META_PLANNER"),),
    )  # fmt: skip
    updated = PlanUpdated(
        plan_id=PLAN, run_id=RUN, revision=2, tasks=(TASKS[0], other), added=(), removed=(),
        modified=("b",), reason="no SIM agent", delay=0, cost=0,
    )  # fmt: skip
    revised = RunRevised(
        run_id=RUN, plan_id=PLAN, revision=2, reason="no SIM agent", added=(), modified=(other,),
        removed=(), reopened=(), was={"b": "pending"},
    )  # fmt: skip
    progress = heard([*BEGINNING, replanning, updated, revised])
    phase = progress.execution
    assert phase is not None
    assert phase.run.id == RUN
    assert list(phase.running) == ["a"]
    assert phase.tallies == {"CAD": {"started": 1}, "LATHE": {"pending": 1}}
    assert progress.schedule is not None
    assert progress.schedule.makespan == 5 * 3_600
    completed = TaskCompleted(run_id=RUN, task_id="a", epoch=1, agent_id="cad", result={})
    phase = heard(
        [*BEGINNING, replanning, updated, revised, completed, dispatched("b"), started("b")]
    ).execution
    assert phase is not None
    assert phase.tallies["LATHE"]["started"] == 1
