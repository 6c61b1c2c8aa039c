"""``taskloom plan replan|diff|blame``: another graph for a plan, and what became of the graph."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.asking import Api, ask
from infra.cli.output import AsJson

if TYPE_CHECKING:
    from infra.cli.client import Client

PlanId = Annotated[str, typer.Argument(metavar="ID", help="The plan's id.")]


def replan(
    plan_id: PlanId,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    task: Annotated[str | None, typer.Option(help="The task that is in the way.")] = None,
    agent_type: Annotated[
        str | None, typer.Option(help="The type of agents that is not there any more.")
    ] = None,
    max_delay: Annotated[
        str | None, typer.Option(help="By how much the end may move: '2 days'.")
    ] = None,
    wait: Annotated[float, typer.Option(min=0, max=25, help="Seconds to wait.")] = 20.0,
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Ask the planners for another graph; what is done stays done, and a live run goes on."""
    from infra.cli.output import print_json

    constraints = {} if max_delay is None else {"max_delay": max_delay}
    asked = {"failed_task_id": task, "agent_type": agent_type}
    body: dict[str, Any] = {"reason": reason, "constraints": constraints}
    body |= {name: value for name, value in asked.items() if value is not None}

    async def work(client: "Client") -> dict[str, Any]:
        found: dict[str, Any] = await client.post(f"/plans/{plan_id}/replan?wait={wait:g}", body)
        return found

    answer = ask(api, work)
    if as_json:
        print_json(answer)
        return
    print(f"{answer['plan_id']} is {answer['status']} at revision {answer['revision']}")
    if changes := answer["changes"]:
        print(
            f"  {changes['tasks_added']} tasks added, {changes['tasks_removed']} removed,"
            f" {changes['tasks_modified']} modified"
        )
    if impact := answer["estimated_impact"]:
        print(f"  delay {impact['delay']}, cost {impact['cost_increase'] or 0:+g}")
    if answer["reason"]:
        print(f"  {answer['reason']}")


def diff(
    plan_id: PlanId,
    before: Annotated[int | None, typer.Argument(metavar="A", help="One revision.")] = None,
    after: Annotated[int | None, typer.Argument(metavar="B", help="Another one.")] = None,
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Show what is different between two revisions; without them, the last two."""
    from infra.cli.output import print_json

    async def work(client: "Client") -> dict[str, Any]:
        found: dict[str, Any] = await client.get(
            f"/plans/{plan_id}/diff", before=before, after=after
        )
        return found

    answer = ask(api, work)
    if as_json:
        print_json(answer)
        return
    print(f"{answer['plan_id']}: revision {answer['before']} to {answer['after']}")
    for sign, names in (("+", answer["added"]), ("-", answer["removed"])):
        for name in names:
            print(f"{sign} {name}")
    for each in answer["modified"]:
        print(f"~ {each['task_id']}")
        for field, (old, new) in each["changes"].items():
            print(f"    {field}: {old} → {new}")


def blame(
    plan_id: PlanId,
    task_id: Annotated[str, typer.Argument(metavar="TASK", help="The task's id.")],
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Show which revisions have touched a task, who made them and why."""
    from infra.cli.output import print_json

    async def work(client: "Client") -> dict[str, Any]:
        found: dict[str, Any] = await client.get(f"/plans/{plan_id}/tasks/{task_id}/blame")
        return found

    answer = ask(api, work)
    if as_json:
        print_json(answer)
        return
    if answer["origin"]:
        print(answer["origin"])
    for each in answer["history"]:
        why = f": {each['reason']}" if each["reason"] else ""
        who = each["author"] or "somebody"
        print(f"revision {each['revision']} {each['what']} it, {each['at']}, by {who}{why}")
