"""What follows from what is said of a run. Late, repeated and foreign reports change nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import assert_never

from domain.errors import (
    AlreadyExists,
    EpochFromTheFuture,
    Refused,
    TooHeavy,
    UnknownRun,
    UnknownTask,
)
from domain.graph import check, downstream
from domain.run import ENDED, Run, TaskState
from domain.run_events import (
    ReportIgnored,
    RunCancelled,
    RunCancelRequested,
    RunCompleted,
    RunEvent,
    RunExtended,
    RunFailed,
    RunReport,
    RunRequested,
    RunStarted,
    TaskCancelled,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskLost,
    TaskReport,
    TaskSkipped,
    TaskStarted,
)
from domain.tasks import Task
from domain.teams import TEAMS
from domain.values import JsonObject
from domain.weights import LARGEST_INPUTS, MOST_AT_ONCE, weight


def decide(run: Run | None, report: RunReport, now: datetime) -> Sequence[RunEvent]:
    """Say which events follow from a report.

    Raises:
        Refused: The report cannot be true of this run.
    """
    if isinstance(report, RunRequested):
        return _begin(run, report)
    if run is None:
        raise UnknownRun(report.run_id)
    if isinstance(report, RunCancelRequested):
        return _cancel(run, report.reason)
    state = run.state(report.task_id)
    if state is None:
        raise UnknownTask(run.id, report.task_id)
    if report.epoch > state.epoch:
        raise EpochFromTheFuture(report.task_id, report.epoch, state.epoch)
    if _is_repeated(state, report):
        return []
    if reason := _why_ignored(state, report):
        return [_ignored(report, reason)]
    return _hear(run, run.tasks[report.task_id], state, report)


def _begin(run: Run | None, report: RunRequested) -> Sequence[RunEvent]:
    if run is not None:
        if (run.plan_id, run.kind, run.revision) == (report.plan_id, report.kind, report.revision):
            return []
        raise AlreadyExists("run", run.id)
    check(report.tasks)
    started = RunStarted(
        run_id=report.run_id,
        plan_id=report.plan_id,
        kind=report.kind,
        revision=report.revision,
        priority=report.priority,
        tasks=report.tasks,
    )
    roots = sorted((task for task in report.tasks if not task.needs), key=lambda task: task.id)
    return [
        started,
        *(
            TaskDispatched(
                run_id=report.run_id,
                plan_id=report.plan_id,
                task_id=task.id,
                epoch=1,
                agent=task.agent,
                role=task.role,
                lane=report.priority,
                name=task.name,
                action=task.action,
                params=task.params,
                inputs={},
            )
            for task in roots
        ),
    ]


def _cancel(run: Run, reason: str) -> Sequence[RunEvent]:
    if run.status != "running":
        return []
    unfinished = sorted(name for name, state in run.states.items() if state.status not in ENDED)
    return [
        *(
            TaskCancelled(run_id=run.id, task_id=name, epoch=run.states[name].epoch)
            for name in unfinished
        ),
        RunCancelled(run_id=run.id, plan_id=run.plan_id, kind=run.kind, reason=reason),
    ]


def _is_repeated(state: TaskState, report: TaskReport) -> bool:
    """Tell whether the record says already what the report says."""
    if isinstance(report, TaskFailed | TaskLost):
        return state.ended == (report.epoch, report.agent_id)
    is_of_holder = (report.epoch, report.agent_id) == (state.epoch, state.agent_id)
    if isinstance(report, TaskStarted):
        return is_of_holder or state.ended == (report.epoch, report.agent_id)
    return is_of_holder and state.status == "completed"


def _why_ignored(state: TaskState, report: TaskReport) -> str:
    """Say why a report changes nothing; an empty string says that it counts."""
    if report.epoch < state.epoch:
        return f"epoch {report.epoch} is over, the task is at epoch {state.epoch}"
    if state.status in ENDED:
        return f"the task is {state.status} already"
    if state.status == "started" and report.agent_id != state.agent_id:
        return f"epoch {report.epoch} belongs to {state.agent_id}"
    if isinstance(report, TaskLost) and state.status != "started":
        return "no agent had started the attempt"
    return ""


def _ignored(report: TaskReport, reason: str) -> ReportIgnored:
    return ReportIgnored(
        run_id=report.run_id,
        task_id=report.task_id,
        epoch=report.epoch,
        agent_id=report.agent_id,
        report=report.type,
        reason=reason,
    )


def _hear(run: Run, task: Task, state: TaskState, report: TaskReport) -> Sequence[RunEvent]:
    match report:
        case TaskStarted():
            return [report]
        case TaskCompleted():
            # Reports can overtake each other: an attempt that has ended has started.
            begun = _begun(run, state, report)
            try:
                return [*begun, *_complete(run, task, report)]
            except Refused as refusal:
                reason = f"the result of {task.action} cannot be used: {refusal}"
                failed = TaskFailed(
                    run_id=run.id,
                    task_id=task.id,
                    epoch=report.epoch,
                    agent_id=report.agent_id,
                    error_class="validation",
                    reason=reason[:4_000],
                )
                return [*begun, failed, *_give_up(run, task, failed.reason)]
        case TaskFailed():
            return [*_begun(run, state, report), report, *_after_failure(run, task, state, report)]
        case TaskLost():
            if state.losses < task.retry.lost:
                return [report, _dispatched(run, task, epoch=state.epoch + 1)]
            reason = f"{task.retry.lost + 1} agents were lost with it"
            failed = TaskFailed(
                run_id=run.id,
                task_id=task.id,
                epoch=report.epoch,
                agent_id=report.agent_id,
                error_class="critical",
                reason=reason,
            )
            return [report, failed, *_give_up(run, task, reason)]
        case _:
            assert_never(report)


def _begun(run: Run, state: TaskState, report: TaskCompleted | TaskFailed) -> Sequence[RunEvent]:
    if state.status == "started":
        return []
    return [
        TaskStarted(
            run_id=run.id, task_id=report.task_id, epoch=report.epoch, agent_id=report.agent_id
        )
    ]


def _complete(run: Run, task: Task, report: TaskCompleted) -> Sequence[RunEvent]:
    events: list[RunEvent] = [report]
    latest = {task.id: report.result}
    freed = [
        run.tasks[name]
        for name in run.after.get(task.id, ())
        if run.states[name].waits_for == 1 and run.states[name].status == "pending"
    ]
    new = _growth(run, task.id, report.result)
    if new:
        events.append(RunExtended(run_id=run.id, because=task.id, tasks=tuple(new)))
        freed += [
            fresh for fresh in new if all(_is_met(run, need, task.id) for need in fresh.needs)
        ]
    _check_weight(run, freed, latest)
    freed.sort(key=lambda ready: ready.id)
    events += [_dispatched(run, ready, epoch=1, latest=latest) for ready in freed]
    if run.open - 1 + len(new) == 0:
        events.append(_end(run, answers=latest))
    return events


def _growth(run: Run, task_id: str, result: JsonObject) -> Sequence[Task]:
    """Return the tasks that a result adds, checked as a user's would be.

    Raises:
        Refused: The result is malformed, or its tasks do not fit the graph.
    """
    grow = TEAMS[run.kind].grow
    if grow is None:
        return ()
    new = grow(task_id, result, run.tasks)
    if new:
        check(new, known=run.tasks)
    return new


def _check_weight(run: Run, freed: Sequence[Task], latest: Mapping[str, JsonObject]) -> None:
    """Accept a result with which the work that it frees can be sent.

    Raises:
        TooHeavy: It is too much for one of the tasks that asked for it, or for all together.
    """
    weights: dict[str, int] = {}
    together = 0
    for task in freed:
        if not task.inputs:
            continue
        for source in task.inputs.values():
            if source not in weights:
                weights[source] = weight(run.result_of(source, latest))
        given = weight(task.inputs) + sum(weights[source] for source in task.inputs.values())
        if given > LARGEST_INPUTS:
            raise TooHeavy(f"what task {task.id} asked for is too much", given, LARGEST_INPUTS)
        together += given
    if together > MOST_AT_ONCE:
        raise TooHeavy(
            f"what {len(freed)} tasks asked for is too much at once", together, MOST_AT_ONCE
        )


def _is_met(run: Run, need: str, done: str) -> bool:
    state = run.state(need)
    return need == done or (state is not None and state.status == "completed")


def _after_failure(
    run: Run, task: Task, state: TaskState, report: TaskFailed
) -> Sequence[RunEvent]:
    failures = state.failures + 1
    if report.error_class == "transient" and failures < task.retry.attempts:
        delay = task.retry.delay_after(failures)
        return [_dispatched(run, task, epoch=state.epoch + 1, delay=delay)]
    return _give_up(run, task, report.reason)


def _give_up(run: Run, task: Task, reason: str) -> Sequence[RunEvent]:
    """Skip what can never run now; the rest goes on, and the run ends when nothing is left."""
    skipped: list[RunEvent] = [
        TaskSkipped(run_id=run.id, task_id=name, because=task.id)
        for name in downstream(
            task.id, run.after, is_open=lambda name: run.states[name].status == "pending"
        )
    ]
    if run.open - 1 - len(skipped) == 0:
        return [*skipped, _failed(run, f"task {task.id} failed: {reason}")]
    return skipped


def _end(run: Run, *, answers: Mapping[str, JsonObject]) -> RunEvent:
    if run.unhappy:
        unhappy = sorted(n for n, s in run.states.items() if s.status == "failed")
        return _failed(run, f"tasks failed: {', '.join(unhappy[:20])}")
    answer = TEAMS[run.kind].answer
    result = {} if answer is None else answers.get(answer, run.results.get(answer, {}))
    return RunCompleted(run_id=run.id, plan_id=run.plan_id, kind=run.kind, result=result)


def _failed(run: Run, reason: str) -> RunFailed:
    return RunFailed(run_id=run.id, plan_id=run.plan_id, kind=run.kind, reason=reason[:4_000])


def _dispatched(
    run: Run,
    task: Task,
    *,
    epoch: int,
    latest: Mapping[str, JsonObject] | None = None,
    delay: int = 0,
) -> TaskDispatched:
    return TaskDispatched(
        run_id=run.id,
        plan_id=run.plan_id,
        task_id=task.id,
        epoch=epoch,
        agent=task.agent,
        role=task.role,
        lane=run.priority,
        name=task.name,
        action=task.action,
        params=task.params,
        inputs=run.inputs_of(task, latest),
        delay=delay,
    )
