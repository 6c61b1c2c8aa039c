"""``taskloom agents``: who is there, and what one of them says when it is asked."""

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from infra.cli.asking import Api, ask
from infra.cli.output import AsJson

if TYPE_CHECKING:
    from infra.cli.client import Client

app = typer.Typer(help="The agents that are registered, over the HTTP API.", no_args_is_help=True)

AgentId = Annotated[str, typer.Argument(metavar="ID", help="The agent's id.")]


@app.command("list")
def show_all(
    agent_type: Annotated[str | None, typer.Option("--type", help="Only these: CAD, SIM …")] = None,
    status: Annotated[str | None, typer.Option(help="active, inactive or failed.")] = None,
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """List agents, with what they have done."""
    from infra.cli.output import print_json, print_table, table

    async def work(client: "Client") -> dict[str, Any]:
        answer: dict[str, Any] = await client.get("/agents", type=agent_type, status=status)
        return answer

    answer = ask(api, work)
    if as_json:
        print_json(answer)
        return
    made = table("agent", "type", "status", ">load", ">completed", "up")
    for each in answer["agents"]:
        load = "" if each["load"] is None else f"{each['load']:.0%}"
        made.add_row(
            each["agent_id"],
            each["type"],
            each["status"],
            load,
            str(each["tasks_completed"]),
            each["uptime"] or "",
        )
    print_table(made)


@app.command()
def invoke(
    agent_id: AgentId,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="What it is to do.")],
    payload: Annotated[str, typer.Option(help="What the action needs to know, as JSON.")] = "{}",
    timeout: Annotated[
        float, typer.Option(min=0.1, max=25, help="Seconds to wait for the answer.")
    ] = 10.0,
    api: Api = None,
) -> None:
    """Ask one agent to do one thing now, and print its result as JSON."""
    from infra.cli.exits import Exit
    from infra.cli.output import print_json, say

    body = {"action": action, "payload": _object(payload), "timeout": timeout}

    async def work(client: "Client") -> dict[str, Any]:
        answer: dict[str, Any] = await client.post(f"/agents/{agent_id}/invoke", body)
        return answer

    answer = ask(api, work)
    if answer["status"] == "completed":
        print_json(answer["result"])
        return
    say(f"{agent_id} has failed: {answer['error']['reason']} ({answer['error']['error_class']})")
    raise typer.Exit(Exit.FINISHED_FAILED)


@app.command()
def deregister(
    agent_id: AgentId,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    api: Api = None,
) -> None:
    """Let an agent take no more work; what it has in hand it finishes."""

    async def work(client: "Client") -> dict[str, Any]:
        answer: dict[str, Any] = await client.delete(f"/agents/{agent_id}", reason=reason)
        return answer

    print(ask(api, work)["message"])


def _object(text: str) -> dict[str, Any]:
    import json

    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"it is not JSON: {error}", param_hint="--payload") from error
    if not isinstance(value, dict):
        raise typer.BadParameter("it has to be a JSON object", param_hint="--payload")
    return cast("dict[str, Any]", value)
