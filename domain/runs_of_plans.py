"""The ids of a plan's runs: each is made of the plan's id, and tells it."""

import re
from typing import Final

_RUN: Final = re.compile(r"exec_(.+?)-(?:plan|replan-\d{1,6}|\d{1,6})", re.ASCII)
"""Shorter numbers than a part of a random id can have, which a run without a plan has for an id."""


def planning_run_of(plan_id: str) -> str:
    """Return the id of the run that plans a plan."""
    return _run_of(plan_id, "plan")


def replanning_run_of(plan_id: str, number: int) -> str:
    """Return the id of the run that finds another graph for a plan for the 1st, 2nd, 3rd … time."""
    return _run_of(plan_id, f"replan-{number}")


def execution_of(plan_id: str, number: int) -> str:
    """Return the id of a plan's execution number 1, 2, 3 …."""
    return _run_of(plan_id, f"{number}")


def plan_behind(run_id: str) -> str | None:
    """Return the plan that a run belongs to, as its id tells; None where it belongs to none."""
    found = _RUN.fullmatch(run_id)
    return None if found is None else f"plan_{found[1]}"


def _run_of(plan_id: str, what: str) -> str:
    return f"exec_{plan_id.removeprefix('plan_')}-{what}"
