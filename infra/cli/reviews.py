"""``taskloom plan approve|amend|reject``: a person's verdict on a proposed plan."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.asking import Api, ask

if TYPE_CHECKING:
    from infra.cli.client import Client

PlanId = Annotated[str, typer.Argument(metavar="ID", help="The plan's id.")]
Revision = Annotated[
    int | None, typer.Option(min=1, help="The revision you have looked at; default: the latest.")
]
Author = Annotated[str, typer.Option(help="Who says so.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]


def approve(
    plan_id: PlanId,
    revision: Revision = None,
    author: Author = "",
    reason: Reason = "",
    api: Api = None,
) -> None:
    """Let a proposed plan be carried out."""
    _say(plan_id, "approve", api, revision=revision, author=author, reason=reason)


def amend(
    plan_id: PlanId,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="The task graph as it should be.")
    ],
    revision: Revision = None,
    author: Author = "",
    reason: Reason = "",
    api: Api = None,
) -> None:
    """Put another graph in the place of the proposed one; it waits for a verdict again."""
    from infra.cli.formats.files import read

    tasks = [task.model_dump(mode="json") for task in read(file, auto_execute=False).tasks]
    graph = {"tasks": tasks}
    _say(plan_id, "amend", api, revision=revision, author=author, reason=reason, task_graph=graph)


def reject(
    plan_id: PlanId,
    revision: Revision = None,
    author: Author = "",
    reason: Reason = "",
    api: Api = None,
) -> None:
    """Let a proposed plan never be carried out."""
    _say(plan_id, "reject", api, revision=revision, author=author, reason=reason)


def _say(plan_id: str, verdict: str, api: str | None, **opinion: Any) -> None:
    body = {name: value for name, value in opinion.items() if value is not None}

    async def work(client: "Client") -> dict[str, Any]:
        found: dict[str, Any] = await client.post(f"/plans/{plan_id}/{verdict}", body)
        return found

    answer = ask(api, work)
    print(f"{answer['plan_id']} is {answer['status']} at revision {answer['revision']}")
