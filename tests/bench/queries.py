"""How quickly questions are answered: python -m tests.bench.queries

A thousand plans with a hundred tasks each, and one with 5,000, are in the views; a real API process
is asked 200 times a second, whether it has answered before or not. What a question has waited for
its turn counts. Two plans are folded from real events; the others are copies of their rows.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from typing import Final

import psutil
import psycopg
from psycopg_pool import AsyncConnectionPool
from rich.console import Console
from rich.table import Table

from domain.agent import AgentRegistered, Capacity
from domain.goals import Goal
from domain.plan import GoalSubmitted
from domain.run_events import RunRequested, TaskCompleted, TaskDispatched, TaskStarted
from domain.tasks import Task
from infra.migrations import upgrade
from projections.catalog import VIEWS
from projections.postgres import PostgresViews
from projections.runner import Runner
from tests.support.databases import fresh_database
from tests.support.histories import TYPES, History
from tests.support.services import Servers
from tests.system.processes import running

PLANS: Final = 1_000
TASKS: Final = 100
LARGE: Final = 5_000
P99: Final = 25.0
"""Milliseconds within which ninety-nine of a hundred questions are answered."""

LARGE_WITHIN: Final = 100.0
"""Milliseconds within which the plan of 5,000 tasks is answered."""

CONNECTIONS: Final = 20

# A copy of a plan is a copy of its rows under other names; the second template is half done.
_COPIES: Final[Mapping[str, str]] = {
    "plans_3": "'plan_id', %(plan)s, 'runs', jsonb_build_array(%(run)s),"
    " 'created_at', t.created_at + n * interval '1 minute'",
    "graphs_3": "'plan_id', %(plan)s",
    "revisions_1": "'plan_id', %(plan)s",
    "executions_2": "'run_id', %(run)s, 'plan_id', %(plan)s,"
    " 'started_at', t.started_at + n * interval '1 minute'",
    "tasks_2": "'run_id', %(run)s, 'plan_id', %(plan)s",
    "timeline_1": "'run_id', %(run)s, 'position', t.position + n * 1000000",
}


def a_graph(chance: random.Random, size: int) -> tuple[Task, ...]:
    """Return tasks in layers, each of which needs some of the layer before."""
    width = max(size // 10, 1)
    return tuple(
        Task(
            id=f"task_{number:05}",
            name=f"Design step {number} of the caliper",
            agent=TYPES[number % len(TYPES)],
            depends_on=tuple(
                sorted(
                    f"task_{each:05}"
                    for each in chance.sample(range(max(number - width, 0), number), k=2)
                )
            )
            if number >= max(width, 2)
            else (),
        )
        for number in range(size)
    )


def a_history() -> History:
    """Return what is recorded of two plans, one completed and one half done, and of a large one."""
    chance, history = random.Random(7), History()
    for agent_type in TYPES:
        history.say(
            AgentRegistered(
                agent_id=f"{agent_type.lower()}_agent_001",
                agent_type=agent_type,
                capacity=Capacity(max_concurrent_tasks=16),
                instance="1",
            )
        )
    for name, size, share in (("done", TASKS, 1.0), ("half", TASKS, 0.5), ("large", LARGE, 0.1)):
        tasks = a_graph(chance, size)
        plan_id, run_id = f"plan_{name}", f"exec_{name}-1"
        goal = Goal(title="Design a brake caliper", domain=chance.choice(("automotive", "aero")))
        history.say(GoalSubmitted(plan_id=plan_id, goal=goal, tasks=tasks))
        history.say(RunRequested(run_id=run_id, plan_id=plan_id, revision=1, tasks=tasks))
        carry_out(history, run_id, round(size * share))
    return history


def carry_out(history: History, run_id: str, count: int) -> None:
    """Let agents complete so many tasks of a run."""
    done = 0
    seen = 0
    while done < count:
        while (
            not isinstance((each := history.events[seen]).event, TaskDispatched)
            or each.stream != run_id
        ):
            seen += 1
        seen += 1
        event = each.event
        attempt = {
            "run_id": run_id,
            "task_id": event.task_id,
            "epoch": event.epoch,
            "agent_id": f"{event.agent.lower()}_agent_001",
        }
        history.say(TaskStarted.model_validate(attempt))
        history.say(TaskCompleted.model_validate(attempt | {"result": {"mass_kg": 0.78}}))
        done += 1


async def fill(dsn: str) -> None:
    """Fill the views."""
    history = a_history()
    async with AsyncConnectionPool(dsn, open=False, kwargs={"autocommit": True}) as pool:
        runner = Runner(views=VIEWS, log=history, store=PostgresViews(pool))
        await runner.prepare()
        await runner.catch_up()
        async with pool.connection() as connection:
            for name, columns in _COPIES.items():
                key = "run_id" if "'run_id'" in columns else "plan_id"
                # The names of a copy end with its number: plan_done-7, exec_done-7-1.
                plan = "regexp_replace({0}, '^(plan|exec)_([a-z]+).*$', 'plan_\\2-' || n)"
                run = "regexp_replace({0}, '^(plan|exec)_([a-z]+).*$', 'exec_\\2-' || n || '-1')"
                made = columns.replace("%(plan)s", plan.format(f"t.{key}"))
                made = made.replace("%(run)s", run.format(f"t.{key}"))
                statement = (
                    f"insert into views.{name} select r.* from views.{name} t,"
                    f" generate_series(1, {PLANS // 2}) n,"
                    f" jsonb_populate_record(t, jsonb_build_object({made})) r"
                    f" where t.{key} like '%\\_done%' or t.{key} like '%\\_half%'"
                )
                await connection.execute(statement.encode())
            await connection.execute("vacuum analyze")


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, token: str
) -> int:
    """Ask a question over a connection, and return the size of the answer."""
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    told = await reader.readuntil(b"\r\n\r\n")
    status = int(told[9:12])
    if status != 200:
        raise AssertionError(f"{path}: {told.decode()}")
    length = next(
        int(line.partition(b":")[2])
        for line in told.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    return len(await reader.readexactly(length))


def questions() -> Sequence[tuple[str, str]]:
    """Return what is asked, by kind, in the shares that a console and a few scripts ask it."""
    chance = random.Random(3)

    def one() -> tuple[str, str]:
        kind = chance.choice(("done", "half"))
        name = f"{kind}-{chance.randint(1, PLANS // 2)}"
        plan, run = f"/plans/plan_{name}", f"/executions/exec_{name}-1"
        return chance.choice(
            (
                ("plan", plan),
                ("plan", plan),
                ("graph", f"{plan}/graph"),
                ("schedule", f"{plan}/schedule"),
                ("plans", "/plans?limit=50"),
                ("execution", run),
                ("execution", run),
                ("execution", run),
                ("executions", "/executions?limit=50&status=running"),
                ("tasks", f"{run}/tasks"),
                ("task", f"{run}/tasks/task_00042"),
                ("logs", f"{run}/logs"),
                ("logs, filtered", f"{run}/logs?level=info&agent=CAD&limit=50"),
                ("metrics of one", f"{run}/metrics"),
                ("agents", "/agents"),
                ("agent", "/agents/cad_agent_001"),
                ("metrics", "/metrics"),
                ("metrics of a type", "/metrics/agents/CAD"),
                ("analytics", "/analytics/plans?start_date=2026-01-01"),
                ("benchmarks", "/analytics/benchmarks"),
            )
        )

    return [one() for _ in range(2_000)]


async def measure(
    port: int, token: str, *, rate: int, seconds: int
) -> tuple[Mapping[str, Sequence[float]], Sequence[float]]:
    """Return the milliseconds that answers took, by kind, and those of the large plan."""
    loop = asyncio.get_running_loop()
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port, limit=2**24))
    took: dict[str, list[float]] = defaultdict(list)

    async def one(kind: str, path: str, due: float) -> None:
        connection = await free.get()
        await ask(*connection, f"/api/v1{path}", token)
        took[kind].append((loop.time() - due) * 1_000)
        free.put_nowait(connection)

    asked = cycle(questions())
    for kind, path in dict(questions()).items():
        await one(kind, path, loop.time())  # whatever is slow once only
    took.clear()
    begin = loop.time() + 0.1
    async with asyncio.TaskGroup() as tasks:
        for number in range(rate * seconds):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.create_task(one(*next(asked), due))
    large: list[float] = []
    connection = await free.get()
    for _ in range(20):
        due = loop.time()
        await ask(*connection, "/api/v1/plans/plan_large", token)
        large.append((loop.time() - due) * 1_000)
    return took, large


def show(took: Mapping[str, Sequence[float]], large: Sequence[float], *, rate: int) -> bool:
    """Print a table, and say whether what is promised is kept."""
    table = Table(title=f"{rate} questions a second; {PLANS:,} plans, {PLANS * TASKS:,} tasks")
    for column in ("question", "number", "p50, ms", "p99, ms", "longest, ms"):
        table.add_column(column, justify="left" if column == "question" else "right")
    every = [each for some in took.values() for each in some]
    for kind, some in [*sorted(took.items()), ("all", every), (f"plan of {LARGE:,} tasks", large)]:
        cuts = quantiles(some, n=100, method="inclusive")
        figures = (f"{cuts[49]:.1f}", f"{cuts[98]:.1f}", f"{max(some):.1f}")
        table.add_row(kind, f"{len(some):,}", *figures)
    Console().print(table)
    p99 = quantiles(every, n=100, method="inclusive")[98]
    return p99 < P99 and quantiles(large, n=2)[0] < LARGE_WITHIN


def main() -> int:
    """Measure, print a table, and return 1 where a promise is not kept."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rate", type=int, default=200, help="questions a second")
    arguments.add_argument("--seconds", type=int, default=30)
    chosen = arguments.parse_args()
    servers = Servers()
    unbounded = {f"TASKLOOM_HTTP__RATES__{who}": "unlimited" for who in ("NOBODY", "USER", "ADMIN")}
    with contextlib.ExitStack() as stack:
        stack.callback(servers.end)
        dsn = stack.enter_context(fresh_database(servers.dsn))
        upgrade(dsn)
        asyncio.run(fill(dsn))
        with psycopg.connect(dsn) as connection:
            (tasks,) = connection.execute("select count(*) from views.tasks_2").fetchone() or (0,)
        print(f"{tasks:,} tasks are in the views")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        amqp_url = stack.enter_context(servers.vhost())
        api = stack.enter_context(running(folder, dsn, amqp_url, core=("api",), env=unbounded))
        port = int(api.api_url.rpartition(":")[2])
        process = psutil.Process(api.pid("api"))
        before, began = _busy(process), time.monotonic()
        took, large = asyncio.run(
            measure(port, api.token, rate=chosen.rate, seconds=chosen.seconds)
        )
        each = (_busy(process) - before) / (chosen.rate * chosen.seconds) * 1_000
        print(
            f"{each:.2f} ms of the API's processor a question, in {time.monotonic() - began:.0f} s"
        )
        return 0 if show(took, large, rate=chosen.rate) else 1


def _busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    sys.exit(main())
