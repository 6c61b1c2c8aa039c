"""``taskloom schedule``: how good the schedules are, on problems whose answers are known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.output import AsJson

if TYPE_CHECKING:
    from domain.scheduling.schedules import SolverStatus
    from domain.scheduling.searching import Found

app = typer.Typer(help="Schedules, and how good they are.", no_args_is_help=True)

ONE_PASS, BUILT_IN, OPTIMIZE = "one pass", "built in", "optimize"


@app.callback()
def _group() -> None:
    """Keep ``bench`` a verb of its own, though it is the only one."""


@app.command()
def bench(
    paths: Annotated[
        list[Path],
        typer.Argument(exists=True, help="Projects, PSPLIB .sm or Patterson .rcp, or folders."),
    ],
    optimize: Annotated[
        float, typer.Option(min=0, help="Seconds for the solver, for each project; 0: without.")
    ] = 0.0,
    every: Annotated[int, typer.Option(min=1, help="Only each so-manieth project.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Schedule benchmark projects, and compare with the best that is known of them."""
    from infra.cli.output import print_json, print_table, say, table

    files = _files(paths)[::every]
    if not files:
        raise typer.BadParameter("there is no .sm or .rcp file", param_hint="PATHS")
    methods = (ONE_PASS, BUILT_IN, OPTIMIZE) if optimize else (ONE_PASS, BUILT_IN)
    outcomes: list[_Outcome] = []
    for count, file in enumerate(files, start=1):
        made = _measured(file, optimize)
        outcomes.extend(made)
        known = "" if made[-1].best is None else f" (best known {made[-1].best})"
        spans = ", ".join(f"{each.method} {each.makespan}" for each in made)
        say(f"[{count}/{len(files)}] {file.parent.name} {file.stem}: {spans}{known}")
    if as_json:
        print_json([_as_json(each) for each in outcomes])
        return
    shown = table("set", "method", *(f">{name}" for name in _COLUMNS))
    for name in sorted({each.set for each in outcomes}):
        for method in methods:
            row = [each for each in outcomes if (each.set, each.method) == (name, method)]
            shown.add_row(name, method, *_figures(row))
    print_table(shown)


_COLUMNS = ("projects", "mean gap", "largest gap", "proved", "mean time", "longest time")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What one method made of one project."""

    set: str
    project: str
    method: str
    makespan: float
    bound: float
    best: int | None
    """The best known makespan, if any is known."""

    status: "SolverStatus"
    seconds: float

    @property
    def gap(self) -> float:
        """By which share it is longer than the best known one, or else than the bound."""
        against = self.best or self.bound
        return self.makespan / against - 1 if against else 0.0


def _files(paths: Iterable[Path]) -> Sequence[Path]:
    files: list[Path] = []
    for path in paths:
        found = path.rglob("*") if path.is_dir() else [path]
        files.extend(each for each in found if each.suffix in (".sm", ".rcp"))
    return sorted(set(files))


def _measured(file: Path, seconds: float) -> Sequence[_Outcome]:
    import asyncio
    import time

    from agents.optimizing.improving import improved
    from domain.scheduling.network import network
    from domain.scheduling.searching import search, single_pass
    from infra.cli.formats.projects import best_known, read_project

    read = read_project(file)
    project = network(read.activities, read.capacities)
    best = best_known(file)
    began = time.perf_counter()

    def outcome(method: str, found: "Found", status: "SolverStatus") -> _Outcome:
        return _Outcome(
            set=file.parent.name,
            project=file.stem,
            method=method,
            makespan=found.makespan,
            bound=found.bound,
            best=best,
            status="optimal" if found.is_optimal else status,
            seconds=time.perf_counter() - began,
        )

    outcomes = [outcome(ONE_PASS, single_pass(project), "feasible")]
    began = time.perf_counter()
    found = search(project)
    outcomes.append(outcome(BUILT_IN, found, "feasible"))
    if seconds:
        better = asyncio.run(improved(project, found, seconds=seconds))
        outcomes.append(outcome(OPTIMIZE, better.found, better.status))
    return outcomes


def _figures(outcomes: Sequence[_Outcome]) -> Sequence[str]:
    gaps = [each.gap for each in outcomes]
    times = [each.seconds for each in outcomes]
    return (
        str(len(outcomes)),
        f"{sum(gaps) / len(gaps):.2%}",
        f"{max(gaps):.2%}",
        str(sum(each.status == "optimal" for each in outcomes)),
        f"{sum(times) / len(times):.2f} s",
        f"{max(times):.2f} s",
    )


def _as_json(outcome: _Outcome) -> dict[str, object]:
    return {
        "set": outcome.set,
        "project": outcome.project,
        "method": outcome.method,
        "makespan": outcome.makespan,
        "bound": outcome.bound,
        "best_known": outcome.best,
        "gap": outcome.gap,
        "status": outcome.status,
        "seconds": outcome.seconds,
    }
