"""``taskloom plan``: goals and their plans, over the HTTP API."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli import reviews, revisions
from infra.cli.asking import Api, ask
from infra.cli.output import AsJson

if TYPE_CHECKING:
    from infra.cli.client import Client
    from infra.cli.formats.files import Wanted

app = typer.Typer(help="Goals and their plans, over the HTTP API.", no_args_is_help=True)
for _verb in (
    *(reviews.approve, reviews.amend, reviews.reject),
    *(revisions.replan, revisions.diff, revisions.blame),
):
    app.command()(_verb)

PlanId = Annotated[str, typer.Argument(metavar="ID", help="The plan's id.")]


@app.command()
def submit(
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="A goal, a task graph or a workflow."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="The goal in a few words.")] = None,
    description: Annotated[str, typer.Option(help="The goal in more words.")] = "",
    domain: Annotated[str, typer.Option(help="What it belongs to: automotive, software …")] = (
        "general"
    ),
    execute: Annotated[
        bool | None,
        typer.Option(
            "--execute/--no-execute", help="Carry it out when it is planned; default: as FILE says."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Watch it to its end.")] = False,
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Submit a goal and print the plan's id."""
    from domain.goals import Goal, Options
    from infra.cli.follow import submit as submit_to
    from infra.cli.formats.files import Wanted, read
    from infra.cli.output import print_json, say

    if (file is None) == (title is None):
        raise typer.BadParameter("give a FILE or a --title", param_hint="FILE")
    if file is not None:
        wanted = read(file, auto_execute=False)
    else:
        goal = Goal(title=title or "", description=description, domain=domain)
        wanted = Wanted(goal=goal, options=Options())
    if execute is not None:
        wanted = _with_execution(wanted, execute=execute)

    async def work(client: "Client") -> dict[str, Any]:
        return await submit_to(client, wanted)

    answer = ask(api, work)
    plan_id = str(answer["plan_id"])
    if watch:
        _watch(plan_id, api, as_json=as_json, timeout=None)
    elif as_json:
        print_json(answer)
    else:
        print(plan_id)
        say(f"`taskloom plan watch {plan_id}` shows how far it is")


@app.command()
def show(plan_id: PlanId, api: Api = None, as_json: AsJson = False) -> None:
    """Show one plan with its tasks."""
    from infra.cli.output import print_json, print_table, table

    async def work(client: "Client") -> dict[str, Any]:
        found: dict[str, Any] = await client.get(f"/plans/{plan_id}")
        return found

    plan = ask(api, work)
    if as_json:
        print_json(plan)
        return
    metrics: dict[str, Any] = plan["metrics"]
    print(f"{plan['goal']['title']}\n")
    for name, value in (
        ("plan", plan["plan_id"]),
        ("status", plan["status"]),
        ("reason", plan["reason"]),
        ("created", plan["created_at"]),
        ("executions", ", ".join(plan["executions"])),
        ("tasks", metrics["total_tasks"]),
        ("critical path", f"{metrics['critical_path_length'] or 0} tasks"),
        ("makespan", metrics["estimated_makespan"]),
        ("cost", metrics["estimated_cost"]),
    ):
        if value not in (None, "", "0 tasks"):
            print(f"  {name:14} {value}")
    for conflict in plan["conflicts"]:
        kind = f"! {conflict['kind']}"
        print(f"  {kind:14} {conflict['subject']}: {conflict['decision']}")
    for lacking in plan["unserved"]:
        print(f"  {'! unserved':14} {lacking['reason']}: {len(lacking['tasks'])} tasks")
    for missing in plan["missing"]:
        print(f"  {'! missing':14} {missing}")
    nodes: list[dict[str, Any]] = plan["task_graph"]["nodes"]
    if nodes:
        made = table("task", "agent", "name", "status", "estimated", "needs")
        for node in nodes:
            made.add_row(
                node["task_id"],
                node["agent"],
                node["name"],
                node["status"],
                node["estimated_duration"],
                ", ".join(node["dependencies"]),
            )
        print_table(made)


@app.command()
def schedule(plan_id: PlanId, api: Api = None, as_json: AsJson = False) -> None:
    """Show when the tasks of a plan run, and how busy the agents are."""
    from infra.cli.output import print_json, print_table, say, seconds, table

    async def work(client: "Client") -> dict[str, Any]:
        found: dict[str, Any] = await client.get(f"/plans/{plan_id}/schedule")
        return found

    answer = ask(api, work)
    if as_json:
        print_json(answer)
        return
    planned: dict[str, Any] | None = answer["schedule"]
    if planned is None:
        say(f"{plan_id} is not planned yet")
        return
    made = table("from", "to", "tasks", "agents")
    for slot in planned["time_slots"]:
        made.add_row(
            seconds(slot["start_seconds"]),
            seconds(slot["end_seconds"]),
            ", ".join(slot["tasks"]),
            ", ".join(slot["agents"]),
        )
    print_table(made)
    busy: dict[str, float] = planned["resource_utilization"]
    for name, value in (
        ("algorithm", planned["algorithm"].replace("_", " ")),
        ("makespan", planned["makespan"]),
        ("at least", planned["lower_bound"]),
        ("overlaps", f"{planned['parallelization_ratio']:.0%} of the work"),
        ("solver", planned["solver"]),
        ("critical path", ", ".join(planned["critical_path"])),
        *((f"{planned['agents'][name]} {name}", f"{busy[name]:.0%} busy") for name in busy),
    ):
        if value is not None:
            print(f"  {name:14} {value}")


@app.command()
def usage(plan_id: PlanId, api: Api = None, as_json: AsJson = False) -> None:
    """Show what language models have cost a plan."""
    from infra.cli.output import print_json
    from infra.cli.usage import show as show_usage

    async def work(client: "Client") -> dict[str, Any]:
        found: dict[str, Any] = await client.get(f"/plans/{plan_id}/usage")
        return found

    answer = ask(api, work)
    if as_json:
        print_json(answer)
    else:
        show_usage(answer)


@app.command()
def picture(
    plan_id: PlanId,
    gantt: Annotated[
        bool, typer.Option("--gantt", help="Bars over time: planned, and what has happened.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", dir_okay=False, help="Where to write it; else it is printed."
        ),
    ] = None,
    api: Api = None,
) -> None:
    """Draw a plan as SVG: its graph, or its schedule beside its last execution."""
    from infra.cli.output import say

    async def work(client: "Client") -> str:
        return await client.text(f"/visualizations/{plan_id}{'/gantt' if gantt else ''}.svg")

    drawn = ask(api, work)
    if output is None:
        print(drawn)
    else:
        output.write_text(drawn, encoding="utf-8")
        say(f"{output} shows it in any browser")


@app.command()
def cancel(
    plan_id: PlanId,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a plan and the run that is under way."""
    from infra.cli.output import print_json

    async def work(client: "Client") -> dict[str, Any]:
        answer: dict[str, Any] = await client.delete(f"/plans/{plan_id}", reason=reason)
        return answer

    answer = ask(api, work)
    if as_json:
        print_json(answer)
    else:
        print(answer["message"])


@app.command("list")
def list_(
    status: Annotated[str | None, typer.Option(help="Those with this status only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 20,
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """List plans, the newest first."""
    from infra.cli.output import print_json, print_table, say, table

    async def work(client: "Client") -> dict[str, Any]:
        page: dict[str, Any] = await client.get("/plans", status=status, limit=limit)
        return page

    plans: list[dict[str, Any]] = ask(api, work)["plans"]
    if as_json:
        print_json(plans)
        return
    if not plans:
        say("no plans")
        return
    made = table("plan", "status", "created", ">tasks", "title")
    for plan in plans:
        tasks = "" if plan["task_count"] is None else str(plan["task_count"])
        made.add_row(plan["plan_id"], plan["status"], plan["created_at"], tasks, plan["title"])
    print_table(made)


@app.command()
def watch(
    plan_id: PlanId,
    timeout: Annotated[
        float | None, typer.Option(min=0.0, help="Seconds after which to stop watching.")
    ] = None,
    api: Api = None,
    as_json: AsJson = False,
) -> None:
    """Watch a plan to its end; exit 7 where it does not end well."""
    _watch(plan_id, api, as_json=as_json, timeout=timeout)


def _watch(plan_id: str, api: str | None, *, as_json: bool, timeout: float | None) -> None:
    from contextlib import closing

    from infra.cli.display import choose
    from infra.cli.feed import ApiLog, position_before
    from infra.cli.follow import follow, limited, require_success
    from infra.cli.output import print_json
    from infra.cli.progress import Progress
    from infra.cli.results import as_json as result_as_json
    from infra.cli.results import show as show_result
    from infra.cli.results import show_failures

    async def work(client: "Client") -> Progress:
        async with limited(timeout):
            start = await position_before(client, plan_id)
            with closing(choose()) as display:
                return await follow(plan_id, ApiLog(client), display, after=start)

    progress = ask(api, work)
    if as_json:
        print_json(result_as_json(progress))
    else:
        show_result(progress)
        show_failures(progress)
    require_success(progress)


def _with_execution(wanted: "Wanted", *, execute: bool) -> "Wanted":
    from dataclasses import replace

    return replace(wanted, options=wanted.options.model_copy(update={"auto_execute": execute}))
