"""The schedule of a plan: the one that is built in, made shorter where the options ask for it."""

from collections.abc import Sequence

from agents.optimizing.improving import improved
from domain.goals import Options
from domain.plan import run_options
from domain.scheduling.schedules import Schedule, built_in, project_of, said
from domain.tasks import Task


async def scheduled(tasks: Sequence[Task], options: Options) -> Schedule:
    """Return when the tasks of a plan run.

    Raises:
        BadGraph: The tasks form no graph.
    """
    run = run_options(options)
    project = project_of(tasks, run)
    found = built_in(project)
    if not options.optimize:
        return said(project, found, tasks, run)
    better = await improved(project, found, seconds=options.optimize)
    is_solvers = better.found != found
    return said(project, better.found, tasks, run, solver=better.status, is_solvers=is_solvers)
