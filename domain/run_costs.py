"""What attempts at a task have spent on language models, where their ends were heard and where not.

Of an attempt that was lost, or ran out of time, nobody can say what it spent. It counts as all that
it had been handed: a budget is never passed because somebody died.
"""

from domain.changed import changed
from domain.run import TaskState
from domain.run_events import ReportIgnored, TaskLost, TaskTimedOut
from domain.tasks import Task
from domain.usage import Calls, Spending


def charged(state: TaskState, calls: Calls) -> Spending:
    """Return what a task has spent with the calls that an attempt tells of."""
    return state.spent.plus(calls) if calls else state.spent


def ended_untold(task: Task, state: TaskState, event: TaskLost | TaskTimedOut) -> TaskState:
    """Return the state in which an attempt has ended without a word of its agent."""
    spent = state.spent
    if (budget := task.budget) is not None:
        spent = Spending(
            tokens=max(spent.tokens, budget.tokens or 0), cost=max(spent.cost, budget.cost or 0.0)
        )
    return changed(state, spent=spent, untold=(event.epoch, event.agent_id or ""))


def heard_late(task: Task, state: TaskState, event: ReportIgnored) -> TaskState:
    """Return the state after a report that counts for nothing but what it has cost."""
    if not event.calls:
        return state
    is_forfeited = task.budget is not None and state.untold == (event.epoch, event.agent_id)
    spent = state.spent if is_forfeited else charged(state, event.calls)
    return changed(state, spent=spent, untold=(0, ""))
