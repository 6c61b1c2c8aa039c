"""Benchmark projects as others write them down: PSPLIB ``.sm`` and Patterson ``.rcp``.

PSPLIB is that of Kolisch and Sprecher, "PSPLIB - a project scheduling problem library", 1997.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.scheduling.network import Activity
from infra.cli.formats.files import NotUnderstood


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Activities, and the capacities of the resources that they share."""

    activities: Sequence[Activity]
    capacities: Sequence[int]


def read_project(file: Path) -> Project:
    """Read a project.

    Raises:
        NotUnderstood: It is in neither of the two forms.
    """
    text = file.read_text("utf-8", errors="replace")
    try:
        return _patterson(text) if file.suffix == ".rcp" else _psplib(text)
    except (ValueError, IndexError, StopIteration, KeyError) as error:
        raise NotUnderstood(f"{file}: this is no project of PSPLIB or Patterson") from error


def best_known(file: Path) -> int | None:
    """Return the best known makespan of a file's project, where a table beside it says so.

    The table is ``<folder>_best.csv`` beside the folder, or ``optimum.csv`` in it.
    """
    for table in (
        file.parent.with_name(f"{file.parent.name}_best.csv"),
        file.parent / "optimum.csv",
    ):
        if table.is_file():
            with table.open(newline="") as lines:
                for row in csv.DictReader(lines):
                    if row.get("instance") == file.stem:
                        return int(row.get("ub") or row["optimum"])
    return None


def _psplib(text: str) -> Project:
    lines = text.splitlines()
    followers = {row[0]: row[3 : 3 + row[2]] for row in _rows(lines, "jobnr.    #modes", skip=1)}
    needs = _needs(followers)
    requests = _rows(lines, "jobnr. mode", skip=2)
    (capacities,) = _rows(lines, "RESOURCEAVAILABILITIES", skip=2)
    if any(row[1] != 1 for row in requests):
        raise ValueError("several modes")
    return _project({row[0]: (row[2], row[3:]) for row in requests}, needs, capacities)


def _rows(lines: Sequence[str], heading: str, *, skip: int) -> list[list[int]]:
    first = next(place for place, line in enumerate(lines) if line.startswith(heading)) + skip
    rows: list[list[int]] = []
    for line in lines[first:]:
        if line.startswith("*"):
            break
        rows.append([int(word) for word in line.split()])
    return rows


def _patterson(text: str) -> Project:
    words = iter(map(int, text.split()))
    count, resources = next(words), next(words)
    capacities = [next(words) for _ in range(resources)]
    jobs: dict[int, tuple[int, list[int]]] = {}
    followers: dict[int, list[int]] = {}
    for job in range(1, count + 1):
        jobs[job] = (next(words), [next(words) for _ in range(resources)])
        followers[job] = [next(words) for _ in range(next(words))]
    return _project(jobs, _needs(followers), capacities)


def _needs(followers: Mapping[int, Sequence[int]]) -> Mapping[int, Sequence[int]]:
    needs: dict[int, list[int]] = {job: [] for job in followers}
    for job, following in followers.items():
        for follower in following:
            needs[follower].append(job)
    return needs


def _project(
    jobs: Mapping[int, tuple[int, Sequence[int]]],
    needs: Mapping[int, Sequence[int]],
    capacities: Sequence[int],
) -> Project:
    width = len(str(len(jobs)))
    return Project(
        activities=[
            Activity(
                id=f"{job:0{width}}",
                duration=duration,
                needs=tuple(f"{need:0{width}}" for need in needs[job]),
                demand=tuple(demand),
            )
            for job, (duration, demand) in jobs.items()
        ],
        capacities=capacities,
    )
