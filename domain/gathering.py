"""Gather rules: a task begins with enough of its inputs, and the run goes on without the others.

What a rule goes on without is waived as a person would waive it: its task is skipped, its end is
nobody's failure, and what it says later is kept with the report that came too late.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain.run import ENDED, Run
from domain.run_events import GatherClosed, TaskSkipped
from domain.tasks import Gather, GatherRule


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """How a task that gathers stands to those that answer it."""

    task_id: str
    gather: Gather
    answered: Sequence[str]
    open: Sequence[str]
    missing: Sequence[str]
    """Those that did not answer, the open ones included."""

    @property
    def needed(self) -> int:
        return min(self.gather.answers, len(self.answered) + len(self.missing))

    @property
    def can_be_met(self) -> bool:
        """Whether enough have answered, or may still."""
        return len(self.answered) + len(self.open) >= self.needed

    @property
    def is_met(self) -> bool:
        """Whether nobody else is waited for."""
        is_enough = len(self.answered) >= self.needed
        return is_enough and (not self.open or self.gather.rule == "quorum")


def after_answer(run: Run, followers: Sequence[str]) -> Iterator[GatherClosed | TaskSkipped]:
    """Say what the tasks behind an answer make of it, which the run knows of already."""
    for follower in followers:
        standing = _standing(run, follower)
        if standing is None or not standing.is_met or not standing.missing:
            continue
        # Whoever else needs one of them goes on waiting for it, and so does this one.
        if all(_is_spare(run, name) for name in standing.open):
            yield from _close(run, standing)


def after_failure(run: Run, task_id: str) -> Iterator[GatherClosed | TaskSkipped]:
    """Say what follows where every task behind a failed one can do without it; else nothing."""
    standings = [_standing(run, follower) for follower in run.after.get(task_id, ())]
    met = [each for each in standings if each is not None and each.can_be_met]
    if not met or len(met) < len(standings):
        return
    yield _waived(run, task_id, met[0].gather.rule)
    for standing in met:
        if standing.is_met:
            yield from _close(run, standing)


def _standing(run: Run, task_id: str) -> _Standing | None:
    task = run.tasks[task_id]
    if task.gather is None or task.gather.rule == "all":
        return None
    if run.states[task_id].status != "pending":
        return None
    sources = sorted(set(task.inputs.values()))
    answered = [name for name in sources if run.states[name].status == "completed"]
    return _Standing(
        task_id=task_id,
        gather=task.gather,
        answered=answered,
        open=[name for name in sources if run.states[name].status not in ENDED],
        missing=[name for name in sources if name not in answered],
    )


def _close(run: Run, standing: _Standing) -> Iterator[GatherClosed | TaskSkipped]:
    rule = standing.gather.rule
    yield GatherClosed(
        run_id=run.id,
        task_id=standing.task_id,
        rule=rule,
        answered=tuple(standing.answered),
        missing=tuple(standing.missing),
    )
    for name in standing.open:
        yield _waived(run, name, rule)


def _is_spare(run: Run, task_id: str) -> bool:
    return all(_standing(run, follower) is not None for follower in run.after[task_id])


def _waived(run: Run, task_id: str, rule: GatherRule) -> TaskSkipped:
    return TaskSkipped(
        run_id=run.id,
        task_id=task_id,
        because=None,
        was=run.states[task_id].status,
        reason=f"the gather rule {rule} goes on without it",
        rule=rule,
    )
