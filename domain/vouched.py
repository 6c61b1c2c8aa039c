"""Whether what is said of an attempt comes from agents that may have it."""

from domain.errors import Refused
from domain.run import Run
from domain.run_events import TaskCompleted, TaskFailed, TaskStarted, TaskStopped


class ForeignAgent(Refused):
    """Agents of one type speak of work for another, which they cannot have been given."""

    code = "foreign-agent"

    def __init__(self, task_id: str, wanted: str, sender: str) -> None:
        super().__init__(f"{task_id} is work for {wanted}; who says it is {sender}")


def refuse_foreign_agents(run: Run, report: object, sender: str) -> None:
    """Refuse what agents of another type say of a current attempt; ``sender`` is as vouched for.

    Raises:
        ForeignAgent: It is not their work.
    """
    if not isinstance(report, TaskStarted | TaskCompleted | TaskFailed | TaskStopped):
        return
    state = run.state(report.task_id)
    if state is None or report.epoch != state.epoch:
        return  # an attempt that is over may have been anybody's, and changes nothing
    task = run.tasks[report.task_id]
    wanted = f"{task.role}.{(state.instead or task.agent).lower()}"
    if sender != wanted:
        raise ForeignAgent(report.task_id, wanted, sender)
