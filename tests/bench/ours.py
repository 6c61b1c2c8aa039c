"""Our own figures: the whole system as processes, durable at every step, views included."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import psycopg

from bus.ports import SystemClock
from bus.recorder import Recorder
from domain.recorded import Report
from domain.run_events import RunRequested
from domain.tasks import Task
from infra.migrations import upgrade
from infra.store.store import PostgresStore

PROCESSES = (
    ("serve", "coordinator"),
    ("serve", "projector"),
    ("agent", "agents.workers.noop", "--concurrency", "100"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one measurement gave."""

    tasks: int
    seconds: float
    """From the commit that starts the runs to the commit that ends the last one."""

    cpu: float
    """Seconds of processor time of all our processes in that time."""

    latencies: Sequence[float] = ()

    @property
    def per_second(self) -> float:
        """Tasks carried out in a second."""
        return self.tasks / self.seconds

    @property
    def cpu_per_task(self) -> float:
        """Microseconds of processor time a task."""
        return self.cpu / self.tasks * 1e6


@contextmanager
def running(dsn: str, url: str) -> Iterator[list[psutil.Process]]:
    """Run the system on a database and a broker, until the context ends."""
    upgrade(dsn)
    # One agent does here what a hundred do elsewhere: all of it is its share.
    environment = os.environ | {
        "TASKLOOM_DB__DSN": dsn,
        "TASKLOOM_AMQP__URL": url,
        "TASKLOOM_AMQP__REPORT_RATE": "1000000",
        "TASKLOOM_AMQP__REPORT_BURST": "1000000",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "infra.cli", *command],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in PROCESSES
    ]
    try:
        _wait_for_agent(dsn)
        yield [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def _wait_for_agent(dsn: str) -> None:
    deadline = time.monotonic() + 60
    with psycopg.connect(dsn, autocommit=True) as connection:
        query = "select count(*) from events where topic = 'agent.registered'"
        while connection.execute(query).fetchone() == (0,):
            if time.monotonic() > deadline:
                raise TimeoutError("the agent did not register within 60 s")
            time.sleep(0.05)


def independent(count: int) -> tuple[Task, ...]:
    """Return tasks that do not depend on each other."""
    return tuple(
        Task(id=f"task-{number:06}", name="noop", agent="NOOP", action="noop")
        for number in range(count)
    )


def layered(count: int, *, width: int) -> tuple[Task, ...]:
    """Return layers of tasks, each with two parents in the layer before."""
    return tuple(
        Task(
            id=f"task-{number:06}",
            name="noop",
            agent="NOOP",
            action="noop",
            depends_on=()
            if number < width
            else (
                f"task-{number - width:06}",
                f"task-{(number // width - 1) * width + (number + 1) % width:06}",
            ),
        )
        for number in range(count)
    )


async def measure(
    dsn: str, processes: Sequence[psutil.Process], graphs: Sequence[tuple[Task, ...]], name: str
) -> Figures:
    """Run graphs side by side and return what they cost."""
    before = _cpu(processes)
    async with PostgresStore(dsn) as store:
        recorder = Recorder(store, SystemClock())
        recording = asyncio.create_task(recorder.run())
        now = datetime.now(UTC)
        answers = recorder.record_all(
            Report(
                id=f"bench-{name}-{number}",
                stream=f"exec_{name}-{number}",
                body=RunRequested(run_id=f"exec_{name}-{number}", tasks=graph),
                said_at=now,
                actor="bench",
                correlation_id=name,
            )
            for number, graph in enumerate(graphs)
        )
        await asyncio.gather(*answers)
        recording.cancel()
    seconds = await _until_done(dsn, name, len(graphs))
    tasks = sum(len(graph) for graph in graphs)
    return Figures(tasks=tasks, seconds=seconds, cpu=_cpu(processes) - before)


async def _until_done(dsn: str, name: str, runs: int) -> float:
    query = (
        "select count(*) filter (where topic = 'run.completed'),"
        " extract(epoch from max((event->'meta'->>'at')::timestamptz)"
        " - min((event->'meta'->>'at')::timestamptz))"
        " from (select topic, convert_from(state, 'utf8')::jsonb as event from events"
        " where originator_id like %s and topic in ('run.started', 'run.completed')) as ends"
    )
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        while True:
            row = await (await connection.execute(query, [f"exec_{name}-%"])).fetchone()
            if row is not None and row[0] == runs:
                return float(row[1])
            await asyncio.sleep(0.2)


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
