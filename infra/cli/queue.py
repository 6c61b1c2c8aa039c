"""``taskloom queue``: how long the lines are in which work waits for agents."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.asking import Api, ask
from infra.cli.output import AsJson

if TYPE_CHECKING:
    from infra.cli.client import Client

app = typer.Typer(help="The work that waits for agents, over the HTTP API.", no_args_is_help=True)


@app.callback()
def _only() -> None:
    """Keep ``status`` a word of its own, although it is the only one."""


@app.command()
def status(
    agent_type: Annotated[str | None, typer.Option("--type", help="Only these: CAD, SIM …")] = None,
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Show how much work waits for each type of agents, and for how long."""
    from infra.cli.output import print_json, print_table, say, table

    async def work(client: "Client") -> dict[str, Any]:
        answer: dict[str, Any] = await client.get("/queue/status", agent_type=agent_type)
        return answer

    answer = ask(api, work)
    if as_json:
        print_json(answer)
        return
    made = table(
        "type", "role", ">pending", ">under way", ">delayed", ">places", "wait so far", "wait now"
    )
    for each in answer["queues"]:
        made.add_row(
            each["agent_type"],
            each["role"],
            str(each["pending_tasks"]),
            str(each["processing_tasks"]),
            str(each["delayed_tasks"]),
            str(each["places"]),
            each["avg_wait_time"] or "not known",
            each["estimated_wait"] or "not known",
        )
    print_table(made)
    if answer["degraded"]:
        say(answer["degraded"])
