"""Benchmark projects: read, scheduled, compared with what is known of them.

A project of our own is always scheduled; a few of each set under ``../shared/data/scheduling``,
where that folder is there, and the last line of the output says how many there were.
"""

from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from domain.scheduling.network import network
from domain.scheduling.searching import search, single_pass
from infra.cli.formats.files import NotUnderstood
from infra.cli.formats.projects import best_known, read_project
from tests.infra.cli.taskloom import Shell
from tests.support.feasible import faults_of

SHARED = Path(__file__).parents[4] / "shared" / "data" / "scheduling"

SMALL = """\
************************************************************************
PRECEDENCE RELATIONS:
jobnr.    #modes  #successors   successors
   1        1          2           2   3
   2        1          1           4
   3        1          1           4
   4        1          0
************************************************************************
REQUESTS/DURATIONS:
jobnr. mode duration  R 1  R 2
------------------------------------------------------------------------
  1      1     0       0    0
  2      1     8       4    0
  3      1     4       3    1
  4      1     0       0    0
************************************************************************
RESOURCEAVAILABILITIES:
  R 1  R 2
    6    1
************************************************************************
"""
SAME = "4 2\n6 1\n0 0 0 2 2 3\n8 4 0 1 4\n4 3 1 1 4\n0 0 0 0\n"


def test_both_forms_say_the_same_project(tmp_path: Path) -> None:
    (tmp_path / "a.sm").write_text(SMALL)
    (tmp_path / "a.rcp").write_text(SAME)
    project = read_project(tmp_path / "a.sm")
    assert project == read_project(tmp_path / "a.rcp")
    assert project.capacities == [6, 1]
    assert project.activities[2].needs == ("1",)
    assert project.activities[3].needs == ("2", "3")
    assert project.activities[2].demand == (3, 1)


@pytest.mark.parametrize("text", ["", "4 2\n6", SMALL.replace("  2      1", "  2      2")])
def test_what_is_no_project_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    for name in ("odd.sm", "odd.rcp"):
        (tmp_path / name).write_text(text)
        with pytest.raises(NotUnderstood, match=name):
            read_project(tmp_path / name)


def test_the_bench_prints_set_method_gap_and_time(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "one.sm").write_text(SMALL)
    (tmp_path / "small_best.csv").write_text("instance,ub\none,12\n")
    done = shell.run("schedule", "bench", str(folder))
    assert "[1/1] small one: one pass 12, built in 12 (best known 12)" in done.err
    rows = [line.split() for line in done.out.splitlines() if "small" in line]
    assert [row[:6] for row in rows] == [
        ["small", "one", "pass", "1", "0.00%", "0.00%"],
        ["small", "built", "in", "1", "0.00%", "0.00%"],
    ]
    said = shell.run("schedule", "bench", str(folder), "--json").json
    assert [(each["method"], each["makespan"], each["gap"]) for each in said] == [
        ("one pass", 12, 0),
        ("built in", 12, 0),
    ]


def test_a_folder_without_projects_is_wrong_usage(shell: Shell, tmp_path: Path) -> None:
    assert shell.run("schedule", "bench", str(tmp_path)).code == 2


@pytest.mark.parametrize(
    ("folder", "suffix", "every", "most"),
    [
        ("psplib/j30", "sm", 20, 0.02),
        ("psplib/j60", "sm", 16, 0.04),
        ("psplib/j120", "sm", 15, 0.09),
        ("patterson", "rcp", 6, 0.02),
    ],
)
def test_shared_projects_are_scheduled_close_to_the_best_known(
    folder: str, suffix: str, every: int, most: float, record_property: Any
) -> None:
    files = sorted((SHARED / folder).glob(f"*.{suffix}"))[::every]
    gaps: list[float] = []
    for file in files:
        read = read_project(file)
        project = network(read.activities, read.capacities)
        found, alone = search(project, effort=30_000), single_pass(project)
        for each in (found, alone):
            starts = dict(zip(project.ids, each.starts, strict=True))
            assert not faults_of(read.activities, read.capacities, starts)
        best = best_known(file)
        assert best is not None
        assert found.bound <= best <= found.makespan <= alone.makespan
        gaps.append(found.makespan / best - 1)
    record_property("projects", len(files))
    if files:
        assert mean(gaps) <= most
    print(f"{len(files)} shared projects of {folder}, mean gap {mean(gaps or [0]):.2%}")
