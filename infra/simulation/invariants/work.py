"""Whether the work was done as often as it may be, and ended as it was meant to."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import TaskCancelled, TaskCompleted, TaskFailed, TaskSkipped
from domain.tasks import Task
from infra.simulation.effects import Effect, Outside, Script, TaskKey
from infra.simulation.workload import Wish
from infra.simulation.world import Violation


def effects(begun: Sequence[Effect], external: frozenset[TaskKey]) -> Iterator[Violation]:
    """Find attempts that began twice: in one process, or anywhere if it matters outside."""
    by_process = Counter((one.run_id, one.task_id, one.epoch, one.by) for one in begun)
    for (run_id, task_id, epoch, by), count in by_process.items():
        if count > 1:
            yield Violation("I7", f"{by} began {run_id}/{task_id}/{epoch} {count} times")
    everywhere = Counter(
        (one.run_id, one.task_id, one.epoch)
        for one in begun
        if (one.run_id, one.task_id) in external
    )
    for (run_id, task_id, epoch), count in everywhere.items():
        if count > 1:
            yield Violation("I7", f"the effect of {run_id}/{task_id}/{epoch} began {count} times")


def ends(
    wishes: Sequence[Wish], outside: Outside, events: Sequence[Recorded[Event]]
) -> Iterator[Violation]:
    """Find tasks that ended otherwise than their scripts say."""
    found: dict[TaskKey, str] = {}
    for recorded in events:
        match recorded.event:
            case TaskCompleted() | TaskFailed() | TaskSkipped() | TaskCancelled() as event:
                found[(event.run_id, event.task_id)] = event.type.removeprefix("task.")
            case _:
                pass
    for wish in wishes:
        if wish.is_predictable and any((wish.run_id, task.id) in found for task in wish.tasks):
            yield from _ends_of(wish, outside.scripts, found)


def _ends_of(
    wish: Wish, scripts: Mapping[TaskKey, Script], found: Mapping[TaskKey, str]
) -> Iterator[Violation]:
    for task in wish.tasks:
        ended = found.get((wish.run_id, task.id), "open")
        is_stuck = any(found.get((wish.run_id, need)) != "completed" for need in task.needs)
        script = scripts[(wish.run_id, task.id)]
        allowed: set[str] = {"skipped" if is_stuck else script.end}
        if not is_stuck and (task.timeouts.run is not None or may_be_unknown(task)):
            allowed.add("failed")
        if wish.cancel_at is not None:
            allowed.add("cancelled")
        if ended not in allowed:
            what = f"{wish.run_id}/{task.id} is {ended}, and was to be {sorted(allowed)}"
            yield Violation("I16", what)


def may_be_unknown(task: Task) -> bool:
    """Tell whether a task may fail because nobody knows whether its effect happened."""
    return task.effect == "external" and task.retry.unknown == "never"


def external_of(wishes: Sequence[Wish]) -> frozenset[TaskKey]:
    """Return the tasks that touch the outside."""
    return frozenset(
        (wish.run_id, task.id)
        for wish in wishes
        for task in wish.tasks
        if task.effect == "external"
    )
