"""Real workflows with 1, 4 and 16 agents, where ``../shared/data/workflows`` is there."""

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

from domain.run_options import RunOptions
from domain.scheduling.network import Activity
from domain.scheduling.schedules import project_of, schedule_of
from domain.scheduling.searching import single_pass
from infra.cli.formats.files import read
from tests.support.feasible import faults_of

SHARED = Path(__file__).parents[4] / "shared" / "data" / "workflows"
TICK = timedelta(microseconds=1)
QUICK = 120
"""Tasks: the larger instances belong to a bench."""


def test_workflows_are_scheduled_between_their_bound_and_the_greedy_schedule(
    record_property: Any,
) -> None:
    facts = SHARED / "facts.csv"
    lines = facts.read_text().splitlines() if facts.is_file() else []
    rows = list(csv.DictReader(lines))
    checked = 0
    for row in rows:
        file = SHARED / "wfformat" / row["file"]
        if int(row["tasks"]) > QUICK or not file.is_file():
            continue
        tasks = read(file).tasks
        activities = [
            Activity(id=task.id, duration=task.duration // TICK, needs=task.needs, demand=(1,))
            for task in tasks
        ]
        for agents in (1, 4, 16):
            options = RunOptions(limits={task.agent: agents for task in tasks})
            schedule = schedule_of(tasks, options)
            greedy = single_pass(project_of(tasks, options))
            starts = {name: round(start * 1e6) for name, start in schedule.starts.items()}
            assert not faults_of(activities, [agents], starts)
            least = float(row["sum_runtime" if agents == 1 else f"lb_{agents}agents"])
            assert least - 0.01 <= schedule.bound + 0.01 <= schedule.makespan + 0.02
            assert schedule.makespan <= greedy.makespan / 1e6
            checked += 1
    record_property("schedules", checked)
    print(f"{checked} schedules of shared workflows")
