"""A schedule given to the solver for some seconds, and taken back at least as good."""

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from agents.optimizing.problem import Problem, Solution
from domain.scheduling.network import Network, Time
from domain.scheduling.schedules import SolverStatus
from domain.scheduling.searching import Found, left_justified

MOST: Final = 1_000
"""Activities that a solver is asked to look at: beyond, it finds nothing in any patience."""

WORKERS: Final = 2
GRACE: Final = 10.0
"""Seconds beyond its own that the process has to begin and to answer, before it is ended."""

_COMMAND: Sequence[str] = ("-m", "agents.optimizing.solver")
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Improved:
    """The better of two schedules, and what the solver says of it."""

    found: Found
    status: SolverStatus


async def improved(
    project: Network, found: Found, *, seconds: float, workers: int = WORKERS
) -> Improved:
    """Return a schedule that is not longer than the one found, with the best bound known.

    Nothing is raised for a solver that is missing or dies: the found schedule stands.
    """
    if found.is_optimal:
        return Improved(found=found, status="optimal")
    if len(project) > MOST or not project.unit:
        return Improved(found=found, status="too_large")
    if find_spec("ortools") is None:
        return Improved(found=found, status="unavailable")
    problem = problem_of(project, found, seconds=seconds, workers=workers)
    answer = await _ask(problem, patience=seconds + GRACE)
    if answer is None:
        return Improved(found=found, status="unavailable")
    return _better(project, found, answer)


def _better(project: Network, found: Found, answer: Solution) -> Improved:
    # Placing in the solver's order is feasible whatever the solver said, and never longer.
    starts: Sequence[Time] = left_justified(project, [s * project.unit for s in answer.starts])
    makespan = project.makespan_of(starts)
    if makespan >= found.makespan:
        starts, makespan = found.starts, found.makespan
    bound = max(found.bound, answer.bound * project.unit)
    better = Found(starts=tuple(starts), makespan=makespan, bound=bound, passes=found.passes)
    return Improved(found=better, status="optimal" if better.is_optimal else answer.status)


def problem_of(project: Network, found: Found, *, seconds: float, workers: int) -> Problem:
    """Return what the solver is told, in the largest steps that leave every time whole."""

    def steps(times: Sequence[Time]) -> list[int]:
        return [int(time) // project.unit for time in times]

    return Problem(
        durations=steps(project.durations),
        after=project.after,
        demands=project.demands,
        capacities=project.capacities,
        earliest=steps(project.earliest),
        tails=steps(project.tails),
        starts=steps(found.starts),
        makespan=int(found.makespan) // project.unit,
        bound=-(-int(found.bound) // project.unit),
        seconds=seconds,
        workers=workers,
    )


async def _ask(problem: Problem, *, patience: float) -> Solution | None:
    """Return what a fresh process says; None where it says nothing in time."""
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *_COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    try:
        async with asyncio.timeout(patience):
            said, _ = await process.communicate(problem.model_dump_json().encode())
        return Solution.model_validate_json(said)
    except (TimeoutError, ValidationError, ConnectionError):
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
