"""Measure throughput, latency and the cost of size on this machine: `make bench`.

Absolute figures depend on the machine and its load. What counts are the ratios within one run.
"""

import argparse
import asyncio
import statistics
import time

from rich.console import Console
from rich.table import Table

from domain.graph import check
from domain.scheduling.critical_path import critical_path
from tests.bench import floor, latency, ours, planning
from tests.bench.peers import with_celery
from tests.support.databases import fresh_database
from tests.support.services import Servers

ENOUGH = 0.35
"""The share of the floor that we promise."""

PLANNED_WITHIN = 2.0
"""Seconds from a goal to its first dispatched task, for nineteen goals of twenty."""

GROWTH = 1.3
"""How much dearer a task may be in a run of 10,000 than in a run of 100."""


def main() -> int:
    """Measure, print a table, and return 1 where a promise is not kept."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tasks", type=int, default=5_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--peers", action="store_true", help="install and measure Celery, too")
    chosen = arguments.parse_args()
    console = Console()
    servers = Servers()
    console.print(f"PostgreSQL: {servers.postgres_choice.description}")
    console.print(f"broker: {servers.rabbitmq_choice.description}")
    kept: list[bool] = []
    try:
        kept.append(_throughput(console, servers, chosen))
        kept.append(_growth(console, servers))
        _latency(console, servers)
        kept.append(_planning(console, servers))
        _graphs(console)
    finally:
        servers.end()
    return 0 if all(kept) else 1


def _throughput(console: Console, servers: Servers, chosen: argparse.Namespace) -> bool:
    """Take turns, so that whatever else the machine does touches both alike."""
    tasks: int = chosen.tasks
    table = Table(title=f"{tasks:,} noop tasks, durable at every step")
    columns = ["round", "floor, tasks/s", "ours, tasks/s", "ratio", "our CPU, µs a task"]
    for column in [*columns, "Celery, tasks/s"] if chosen.peers else columns:
        table.add_column(column, justify="right")
    ratios: list[float] = []
    for number in range(1, chosen.rounds + 1):
        with fresh_database(servers.dsn) as dsn, servers.vhost() as url:
            least = floor.measure(dsn, url, tasks)
        with (
            fresh_database(servers.dsn) as dsn,
            servers.vhost() as url,
            ours.running(dsn, url) as processes,
        ):
            graph = ours.independent(tasks)
            figures = asyncio.run(ours.measure(dsn, processes, [graph], "bench"))
        ratios.append(figures.per_second / least)
        peers: list[str] = []
        if chosen.peers:
            with fresh_database(servers.dsn) as dsn, servers.vhost() as url:
                # Fewer, because it takes longer; the rate does not depend on how many there are.
                peers = [f"{with_celery.measure(dsn, url, tasks // 3):,.0f}"]
        table.add_row(
            str(number),
            f"{least:,.0f}",
            f"{figures.per_second:,.0f}",
            f"{ratios[-1]:.2f}",
            f"{figures.cpu_per_task:,.0f}",
            *peers,
        )
    console.print(table)
    ratio = statistics.median(ratios)
    console.print(f"median ratio {ratio:.2f}; promised {ENOUGH}\n")
    return ratio >= ENOUGH


def _growth(console: Console, servers: Servers) -> bool:
    table = Table(title="10,000 tasks with two parents each")
    for column in ("as", "tasks/s", "CPU, µs a task"):
        table.add_column(column, justify="right")
    costs: list[float] = []
    for name, graphs in (
        ("100 runs of 100", [ours.layered(100, width=10)] * 100),
        ("1 run of 10,000", [ours.layered(10_000, width=1_000)]),
    ):
        with (
            fresh_database(servers.dsn) as dsn,
            servers.vhost() as url,
            ours.running(dsn, url) as processes,
        ):
            figures = asyncio.run(ours.measure(dsn, processes, graphs, "growth"))
        costs.append(figures.cpu_per_task)
        table.add_row(name, f"{figures.per_second:,.0f}", f"{figures.cpu_per_task:,.0f}")
    console.print(table)
    console.print(f"cost of size {costs[1] / costs[0]:.2f}; promised at most {GROWTH}\n")
    return costs[1] / costs[0] <= GROWTH


def _latency(console: Console, servers: Servers) -> None:
    with (
        fresh_database(servers.dsn) as dsn,
        servers.vhost() as url,
        ours.running(dsn, url),
    ):
        measured = asyncio.run(latency.measure(dsn, rate=100, seconds=10))
    if not measured:
        console.print("latency: not measured")
        return
    p50, p99 = (measured[int(len(measured) * share)] for share in (0.5, 0.99))
    console.print(
        f"dispatched to completed at 100 tasks/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms "
        f"({len(measured)} tasks)\n"
    )


def _planning(console: Console, servers: Servers) -> bool:
    """Plan the sample goals one after the other, and five at a time."""
    table = Table(title="from a goal to its first dispatched task, rules only")
    for column in ("at once", "goals", "p50, ms", "p95, ms", "max, ms"):
        table.add_column(column, justify="right")
    worst = 0.0
    for at_once in (1, 5):
        with fresh_database(servers.dsn) as dsn, servers.vhost() as url:
            took = asyncio.run(planning.measure(dsn, url, rounds=6, at_once=at_once))
        p50, p95 = (took[round(share * (len(took) - 1))] for share in (0.5, 0.95))
        table.add_row(
            str(at_once), str(len(took)), *(f"{1000 * s:,.0f}" for s in (p50, p95, took[-1]))
        )
        worst = max(worst, p95)
    console.print(table)
    return worst < PLANNED_WITHIN


def _graphs(console: Console) -> None:
    for count in (100, 10_000):
        graph = ours.layered(count, width=max(10, count // 10))
        begin = time.perf_counter()
        check(graph)
        checked = time.perf_counter()
        critical_path(graph)
        done = time.perf_counter()
        console.print(
            f"graph of {count:,}: checked in {(checked - begin) * 1000:.1f} ms, "
            f"critical path in {(done - checked) * 1000:.1f} ms"
        )


if __name__ == "__main__":
    raise SystemExit(main())
