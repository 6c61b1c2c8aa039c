"""Measure how long work stands still when a process dies or stands still: with default settings.

``python -m tests.bench.failover --times 50`` prints the median and the worst of a hundred.
"""

import argparse
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psycopg
from rich.console import Console
from rich.table import Table

from infra.migrations import upgrade
from infra.settings import Agents
from tests.support.databases import fresh_database
from tests.support.services import Servers
from tests.system.graphs import layered
from tests.system.processes import Stack, running

AGENTS = {f"noop_worker_{number:03}": "agents.workers.noop" for number in (1, 2, 3)}
DEFAULTS = {
    f"TASKLOOM_AGENTS__{name.upper()}": str(value)
    for name, value in Agents().model_dump(exclude_none=True).items()
}
_LONG = 4.0
"""Seconds a task takes: longer than it stands still, and not much longer."""


def of_agents(stack: Stack, number: signal.Signals, *, times: int) -> Sequence[float]:
    """Strike an agent at work; return the seconds until its task runs elsewhere."""
    pauses: list[float] = []
    for _ in range(times):
        plan = stack.submit([{"id": "t", "name": "T", "agent": "NOOP", **_waiting(_LONG)}])
        holder = _holder(stack, plan, epoch=1)
        time.sleep(0.5)  # its heartbeats have named it
        with struck(stack, holder, number) as at:
            _holder(stack, plan, epoch=2)
            pauses.append(_seconds_until(stack, at, "task.started", of=plan))
    return pauses


def of_coordinators(stack: Stack, number: signal.Signals, *, times: int) -> Sequence[float]:
    """Strike the coordinator that leads; return the seconds until the next task is completed."""
    return [_of_coordinator(stack, number) for _ in range(times)]


def _of_coordinator(stack: Stack, number: signal.Signals) -> float:
    plan = stack.submit(layered(400, width=20, seconds=0.05))
    enough = stack.count("task.completed") + 20
    stack.until(lambda: stack.count("task.completed") > enough, "it is under way")
    time.sleep(0.2)
    with struck(stack, leader(stack), number) as at:
        stack.until(lambda: _since(stack, at, "task.completed") is not None, "it goes on")
        pause = _seconds_until(stack, at, "task.completed")
        stack.until(lambda: bool(stack.count("plan.completed", stream=plan)), "it is completed")
    return pause


@contextmanager
def struck(stack: Stack, name: str, number: signal.Signals) -> Generator[datetime]:
    """Strike a process, and have it there again afterwards; yields the moment."""
    at = datetime.now(UTC)
    stack.signal(name, number)
    yield at
    if number == signal.SIGSTOP:
        stack.signal(name, signal.SIGCONT)
        time.sleep(1.5)  # it finds out what it has missed
    else:
        before = _times_ready(stack, name)
        stack.kill(name)
        stack.until(lambda: _times_ready(stack, name) > before, f"{name} is back")


def _times_ready(stack: Stack, name: str) -> int:
    words = stack.words(name, lines=100_000)
    return words.count('"coordinator.ready"') + words.count('"agent.ready"')


def leader(stack: Stack) -> str:
    """Return the coordinator that said last that it leads."""
    latest: dict[str, str] = {}
    for name in ("coordinator", "coordinator_2"):
        for line in stack.words(name, lines=10_000).splitlines():
            if "coordinator.leads" in line:
                latest[name] = orjson.loads(line)["timestamp"]
    return max(latest, key=lambda name: latest[name])


def _waiting(seconds: float) -> dict[str, object]:
    return {"action": "wait", "params": {"seconds": seconds}}


def _holder(stack: Stack, plan_id: str, *, epoch: int) -> str:
    found: list[str] = []

    def is_held() -> bool:
        with psycopg.connect(stack.dsn) as connection:
            row = connection.execute(
                "select event->'event'->>'agent_id' from event_log where type = 'task.started'"
                " and event->'event'->>'epoch' = %s and stream in (select stream from event_log"
                " where type = 'run.started' and event->'event'->>'plan_id' = %s)",
                [str(epoch), plan_id],
            ).fetchone()
        found[:] = [str(row[0])] if row else []
        return bool(found)

    stack.until(is_held, f"epoch {epoch} of {plan_id} is held")
    return found[0]


def _since(stack: Stack, at: datetime, type_: str, *, of: str = "") -> datetime | None:
    """Return when the first event of a type was recorded after a moment, of one plan or of any."""
    with psycopg.connect(stack.dsn) as connection:
        row = connection.execute(
            "select min((event->'meta'->>'at')::timestamptz) from event_log"
            " where type = %s and (event->'meta'->>'at')::timestamptz > %s"
            " and (%s = '' or stream in (select stream from event_log"
            " where type = 'run.started' and event->'event'->>'plan_id' = %s))",
            [type_, at, of, of],
        ).fetchone()
    return row[0] if row else None


def _seconds_until(stack: Stack, at: datetime, type_: str, *, of: str = "") -> float:
    then = _since(stack, at, type_, of=of)
    assert then is not None
    return (then - at).total_seconds()


Measure = Callable[..., Sequence[float]]
STRIKES: Mapping[str, tuple[Measure, signal.Signals]] = {
    "agent killed": (of_agents, signal.SIGKILL),
    "agent stopped": (of_agents, signal.SIGSTOP),
    "coordinator killed": (of_coordinators, signal.SIGKILL),
    "coordinator stopped": (of_coordinators, signal.SIGSTOP),
}


@contextmanager
def failing_over(folder: Path, dsn: str, amqp_url: str) -> Generator[Stack]:
    """Start everything, and a second coordinator."""
    with running(folder, dsn, amqp_url, agents=AGENTS, env=DEFAULTS) as stack:
        stack.start("coordinator_2", "serve", "coordinator")
        stack.until(lambda: "coordinator.ready" in stack.words("coordinator_2"), "a second one")
        yield stack


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--times", type=int, default=20)
    arguments.add_argument("--only", default="")
    chosen = arguments.parse_args()
    console = Console()
    servers = Servers()
    table = Table(title="until work goes on, in seconds")
    for column in ("struck", "times", "median", "99 of 100", "worst"):
        table.add_column(column, justify="right")
    try:
        for name, (measure, number) in STRIKES.items():
            if chosen.only not in name:
                continue
            with (
                tempfile.TemporaryDirectory() as folder,
                fresh_database(servers.dsn) as dsn,
                servers.vhost() as url,
            ):
                upgrade(dsn)
                with failing_over(Path(folder), dsn, url) as stack:
                    pauses = sorted(measure(stack, number, times=chosen.times))
            late = pauses[min(len(pauses) - 1, round(0.99 * len(pauses)))]
            figures = (statistics.median(pauses), late, pauses[-1])
            table.add_row(name, str(len(pauses)), *(f"{figure:.2f}" for figure in figures))
            console.print(name, [round(pause, 2) for pause in pauses])
    finally:
        servers.end()
    console.print(table)


if __name__ == "__main__":
    main()
