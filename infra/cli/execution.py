"""``taskloom execution``: plans that are carried out, over the HTTP API."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli import steering
from infra.cli.asking import Api, ask
from infra.cli.output import AsJson
from infra.cli.steering import ExecutionId

if TYPE_CHECKING:
    from infra.cli.client import Client

app = typer.Typer(
    help="Executions of plans: what they do, and how to steer them.", no_args_is_help=True
)


@app.command("list")
def list_(
    plan: Annotated[str | None, typer.Option(help="Those of this plan only.")] = None,
    status: Annotated[
        str | None, typer.Option(help="running, paused, completed, failed or cancelled only.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 20,
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """List executions, the newest first; planning is one as well."""
    from infra.cli.output import print_json, print_table, say, table

    async def work(client: "Client") -> dict[str, Any]:
        page: dict[str, Any] = await client.get(
            "/executions", plan_id=plan, status=status, limit=limit
        )
        return page

    executions: list[dict[str, Any]] = ask(api, work)["executions"]
    if as_json:
        print_json(executions)
        return
    if not executions:
        say("no executions")
        return
    made = table("execution", "kind", "status", "started", ">tasks", "reason")
    for each in executions:
        tasks = f"{each['completed_tasks']}/{each['total_tasks']}"
        made.add_row(
            each["execution_id"],
            each["kind"],
            each["status"],
            each["started_at"],
            tasks,
            each["reason"] or "",
        )
    print_table(made)


@app.command()
def show(execution_id: ExecutionId, api: Api = None, as_json: AsJson = False) -> None:
    """Show how far an execution is, and what it can be rolled back to."""
    from infra.cli.output import print_json, print_table, table

    async def work(client: "Client") -> dict[str, Any]:
        found: dict[str, Any] = await client.get(f"/executions/{execution_id}")
        return found

    found = ask(api, work)
    if as_json:
        print_json(found)
        return
    progress, metrics = found["progress"], found["metrics"]
    counts = ", ".join(f"{count} {status}" for status, count in progress["tasks"].items() if count)
    for name, value in (
        ("execution", found["execution_id"]),
        ("plan", found["plan_id"]),
        ("status", found["status"]),
        ("reason", found["reason"]),
        ("started", found["started_at"]),
        ("paused", found["paused_at"]),
        ("ended", found["ended_at"]),
        ("tasks", f"{progress['completed_tasks']}/{progress['total_tasks']}: {counts}"),
        ("elapsed", metrics["elapsed_time"]),
        ("remaining", metrics["estimated_remaining"]),
    ):
        if value:
            print(f"  {name:10} {value}")
    if progress["current_tasks"]:
        made = table("task", "agent", "held by", "since", ">progress")
        for task in progress["current_tasks"]:
            share = "" if task["progress"] is None else f"{task['progress']:.0%}"
            made.add_row(
                task["task_id"], task["agent"], task["agent_id"], task["started_at"], share
            )
        print_table(made)
    if found["checkpoints"]:
        made = table("checkpoint", "marked", ">tasks done by then")
        for each in found["checkpoints"]:
            made.add_row(each["checkpoint_id"], each["at"], str(each["completed_tasks"]))
        print_table(made)


@app.command()
def forecast(
    execution_id: ExecutionId,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many events.")] = 20,
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Show when an execution will end, and which events have delayed it by how much."""
    from infra.cli.output import print_json, print_table, table

    async def work(client: "Client") -> dict[str, Any]:
        found: dict[str, Any] = await client.get(
            f"/executions/{execution_id}/forecast", limit=limit
        )
        return found

    found = ask(api, work)
    if as_json:
        print_json(found)
        return
    for name, value in (
        ("planned end", found["planned_end"]),
        ("end" if found["is_over"] else "forecast", found["end"]),
        ("p50", None if found["is_over"] else found["p50_end"]),
        ("p90", None if found["is_over"] else found["p90_end"]),
        ("delay", found["delay"]),
    ):
        if value is not None:
            print(f"  {name:12} {value}")
    if found["charges"]:
        made = table(">event", "type", "task", "cause", ">delay")
        for each in found["charges"]:
            made.add_row(
                str(each["position"]),
                each["event"],
                each["task_id"] or "",
                each["cause"].replace("_", " "),
                each["delay"],
            )
        print_table(made)


@app.command()
def tasks(
    execution_id: ExecutionId,
    status: Annotated[
        str | None, typer.Option(help="Those with this status only: failed, started …")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Leave out the first ones.")] = 0,
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """List the tasks of an execution, in the order of its graph."""
    from infra.cli.output import print_json, print_table, say, table

    async def work(client: "Client") -> dict[str, Any]:
        page: dict[str, Any] = await client.get(
            f"/executions/{execution_id}/tasks", status=status, limit=limit, offset=offset
        )
        return page

    found: list[dict[str, Any]] = ask(api, work)["tasks"]
    if as_json:
        print_json(found)
        return
    if not found:
        say("no tasks")
        return
    made = table("task", "agent", "name", "status", ">attempt", "held by", "reason")
    for task in found:
        made.add_row(
            task["task_id"],
            task["agent"],
            task["name"],
            task["status"],
            str(task["epoch"]),
            task["agent_id"] or "",
            task["reason"] or "",
        )
    print_table(made)


@app.command()
def start(
    plan_id: Annotated[str, typer.Argument(metavar="PLAN", help="A plan that is ready.")],
    mode: Annotated[
        str | None, typer.Option(help="parallel, or sequential: one task after the other.")
    ] = None,
    parallelization: Annotated[
        str | None, typer.Option(help="conservative, balanced or aggressive.")
    ] = None,
    on_failure: Annotated[
        str | None, typer.Option(help="retry, replan, fail_fast or best_effort.")
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE=N", help="At most N tasks of an agent type at a time."),
    ] = None,
    checkpoint_interval: Annotated[
        str | None, typer.Option(help="How often to mark a checkpoint: '1 hour'.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would start first.")
    ] = False,
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Carry out a plan, and print the execution's id."""
    from infra.cli.output import called, print_json, say

    options = {
        "dry_run": dry_run,
        "parallelization": parallelization,
        "failure_strategy": on_failure,
        "limits": dict(map(_limit, limit)) if limit else None,
        "checkpoint_interval": checkpoint_interval,
    }
    body = {"plan_id": plan_id, "execution_mode": mode, "options": options}

    async def work(client: "Client") -> dict[str, Any]:
        answer: dict[str, Any] = await client.post("/executions/start", body)
        return answer

    answer = ask(api, work)
    if as_json:
        print_json(answer)
    elif dry_run:
        first: list[str] = answer["dry_run"]["first_tasks"]
        say(f"{len(first)} of {answer['dry_run']['total_tasks']} tasks would start at once")
        print("\n".join(first))
    else:
        print(answer["execution_id"])
        say(f"`{called()} execution show {answer['execution_id']}` shows how far it is")


def _limit(text: str) -> tuple[str, int]:
    agent_type, _, number = text.partition("=")
    if not number.isdecimal():
        raise typer.BadParameter("write it like CAD=4", param_hint="--limit")
    return agent_type, int(number)


app.command()(steering.pause)
app.command()(steering.resume)
app.command()(steering.cancel)
app.command()(steering.rollback)
app.command()(steering.retry)
app.command()(steering.skip)
