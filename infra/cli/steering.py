"""The verbs of ``taskloom execution`` that steer a run."""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from infra.cli.asking import Api, ask
from infra.cli.output import AsJson

if TYPE_CHECKING:
    from infra.cli.client import Client

ExecutionId: TypeAlias = Annotated[str, typer.Argument(metavar="RUN", help="The execution's id.")]
_TaskId: TypeAlias = Annotated[str, typer.Argument(metavar="TASK", help="A task of it.")]
_Reason: TypeAlias = Annotated[str, typer.Option(help="Why, for the record.")]


def pause(
    execution_id: ExecutionId, reason: _Reason = "", api: Api = None, as_json: AsJson = False
) -> None:
    """Dispatch nothing new; what agents have in hand goes on."""
    answer = _command(api, execution_id, "pause", reason=reason)
    _tell(answer, f"{execution_id} is paused at {answer['checkpoint_id']}", as_json=as_json)


def resume(execution_id: ExecutionId, api: Api = None, as_json: AsJson = False) -> None:
    """Go on with a paused execution."""
    answer = _command(api, execution_id, "resume")
    since = f" from {answer['resumed_from']}" if answer["resumed_from"] else ""
    _tell(answer, f"{execution_id} is {answer['status']}{since}", as_json=as_json)


def cancel(
    execution_id: ExecutionId, reason: _Reason = "", api: Api = None, as_json: AsJson = False
) -> None:
    """End every task that has not ended; `rollback` takes the execution up again."""
    answer = _command(api, execution_id, "cancel", reason=reason)
    done = f"{answer['completed_tasks']} tasks are completed"
    _tell(answer, f"{execution_id} is {answer['status']}; {done}", as_json=as_json)


def rollback(
    execution_id: ExecutionId,
    checkpoint_id: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="`execution show` lists them.")
    ],
    reason: _Reason = "",
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Undo what was done since a checkpoint, and pause there; `resume` does it again."""
    answer = _command(api, execution_id, "rollback", checkpoint_id=checkpoint_id, reason=reason)
    undone = f"{answer['undone_tasks']} tasks are to be done again"
    _tell(
        answer,
        f"{execution_id} is {answer['status']} at {checkpoint_id}; {undone}",
        as_json=as_json,
    )


def retry(
    execution_id: ExecutionId,
    task_id: _TaskId,
    reason: _Reason = "",
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Try a task again that failed, with what was skipped because of it."""
    answer = _command(api, execution_id, f"tasks/{task_id}/retry", reason=reason)
    _tell(answer, _steered(answer), as_json=as_json)


def skip(
    execution_id: ExecutionId,
    task_id: _TaskId,
    reason: _Reason = "",
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Let what needs a task go on without its result."""
    answer = _command(api, execution_id, f"tasks/{task_id}/skip", reason=reason)
    _tell(answer, _steered(answer), as_json=as_json)


def _command(api: str | None, execution_id: str, what: str, **body: str) -> dict[str, Any]:
    import uuid

    async def work(client: "Client") -> dict[str, Any]:
        answer: dict[str, Any] = await client.post(
            f"/executions/{execution_id}/{what}", body, key=str(uuid.uuid4())
        )
        return answer

    answer: dict[str, Any] = ask(api, work)
    return answer


def _steered(answer: dict[str, Any]) -> str:
    reopened = len(answer["reopened_tasks"])
    also = f", {reopened} reopened" if reopened else ""
    return (
        f"{answer['task_id']} is {answer['task_status']}{also}; the execution is {answer['status']}"
    )


def _tell(answer: dict[str, Any], line: str, *, as_json: bool) -> None:
    from infra.cli.output import print_json

    if as_json:
        print_json(answer)
    else:
        print(line)
