"""``taskloom chaos``: break a whole stack on purpose, and judge what is left."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.output import AsJson

if TYPE_CHECKING:
    from infra.chaos.evidence import Evidence

app = typer.Typer(
    help="Break a whole stack on purpose, and judge what is left.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The folder of a run.")]
_SHOWN = 5


@app.command()
def run(
    seed: Annotated[str, typer.Option(help="What chooses the faults and the work.")] = "1",
    tasks: Annotated[int, typer.Option(min=1, help="How many tasks are accepted.")] = 2_000,
    kills: Annotated[int, typer.Option(min=0, help="How often a process is killed, in all.")] = 60,
    hits: Annotated[
        int | None, typer.Option(min=0, help="At each crash point; by default a 30th of kills.")
    ] = None,
    restarts: Annotated[
        int | None,
        typer.Option(min=0, help="Of broker and database, each; by default a 15th of kills."),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="For which things are broken.")] = 10.0,
    only: Annotated[
        str, typer.Option(help="These families or faults only: crash,kill,F-P6.", metavar="LIST")
    ] = "",
    times: Annotated[
        int, typer.Option(min=0, help="How often each of them; 0 leaves it to the others.")
    ] = 0,
    folder: Annotated[Path | None, typer.Option(file_okay=False, help="Where it is kept.")] = None,
    go_on: Annotated[
        Path | None,
        typer.Option(
            "--continue", exists=True, file_okay=False, help="A run that has not done all yet."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Break things while work goes on; exit 1 where a promise is broken, 8 where it proves nothing.

    PostgreSQL and RabbitMQ are started for it, from this machine's programs.
    """
    import asyncio
    import time

    from infra.chaos.nemesis import Quotas
    from infra.chaos.run import Plan, plan_of
    from infra.chaos.run import run as break_things
    from infra.cli.output import say

    if go_on is not None:
        folder, plan = go_on, plan_of(go_on, minutes=minutes)
    else:
        folder = folder or Path(".taskloom") / "chaos" / f"{time.strftime('%Y%m%d-%H%M%S')}-{seed}"
        wanted = [word.strip() for word in only.split(",") if word.strip()]
        _require_known(wanted)
        quotas = Quotas(
            kills=kills,
            hits=kills // 30 if hits is None else hits,
            restarts=kills // 15 if restarts is None else restarts,
            only=wanted,
            times=times,
        )
        plan = Plan(seed=seed, tasks=tasks, minutes=minutes, quotas=quotas)
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(break_things(folder.resolve(), plan, tell=say))
    _answer(folder, as_json=as_json)


@app.command()
def check(folder: Folder, as_json: AsJson = False) -> None:
    """Judge a run again, from what it left in its folder."""
    _answer(folder, as_json=as_json)


@app.command()
def selftest(
    folder: Annotated[
        Path | None,
        typer.Argument(exists=True, file_okay=False, help="The folder of a run, to be falsified."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Commit crimes and see whether they are noticed; exit 1 where one is not.

    With a folder, copies of what a run left are falsified; without one, bugs are planted in the
    loops themselves, in a simulation.
    """
    from dataclasses import asdict

    from infra.chaos import evidence
    from infra.chaos.selftest import find_all, hunt_all
    from infra.cli.exits import Exit
    from infra.cli.output import print_json, print_table, table

    found = hunt_all() if folder is None else find_all(evidence.load(folder))
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        made = table("plant", "found", "as")
        for one in found:
            made.add_row(one.plant, "yes" if one.is_found else "NO", one.example[:100])
        print_table(made)
    if not all(one.is_found for one in found):
        raise typer.Exit(Exit.FAILURE)


@app.command()
def report(
    folders: Annotated[
        list[Path], typer.Argument(exists=True, file_okay=False, help="The folders of runs.")
    ],
    to: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A file; its twin in JSON goes beside it.")
    ] = None,
) -> None:
    """Write one page of what some runs have shown: faults, violations, recovery times."""
    import orjson

    from infra.chaos import evidence
    from infra.chaos.report import as_json, judged, page

    runs = [judged(folder.name, evidence.load(folder)) for folder in folders]
    text = page(runs)
    if to is None:
        print(text)
        return
    to.write_text(text)
    to.with_suffix(".json").write_bytes(
        orjson.dumps(as_json(runs), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )


def _answer(folder: Path, *, as_json: bool) -> None:
    from infra.chaos import evidence
    from infra.chaos.verdict import judge, lacking
    from infra.cli.exits import Exit
    from infra.cli.output import print_json, say

    found = evidence.load(folder)
    violations, lacks = judge(found), lacking(found)
    if as_json:
        print_json({"folder": folder, "violations": violations, "lacking": lacks})
    else:
        _show(found, violations, lacks)
    if any(violations.values()):
        raise typer.Exit(Exit.FAILURE)
    if lacks:
        say(f"it proves nothing yet; go on with: taskloom chaos run --continue {folder}")
        raise typer.Exit(Exit.INVALID)


def _show(found: "Evidence", violations: Mapping[str, Sequence[str]], lacks: Sequence[str]) -> None:
    from infra.chaos.verdict import hits, kills
    from infra.cli.output import print_table, table

    tasks = sum(line.said["tasks"] for line in found.lines if line.what == "ok")
    struck = hits(found)
    print(f"{tasks} tasks accepted, {len(found.events)} events, {kills(found)} kill -9,")
    print(f"{sum(struck.values())} of them at {len(struck)} crash points")
    made = table(">violations", "promise", "for example")
    for promise, broken in violations.items():
        made.add_row(str(len(broken)), promise, "; ".join(broken[:_SHOWN]))
    print_table(made)
    for lack in lacks:
        print(f"lacking: {lack}")


def _require_known(wanted: Sequence[str]) -> None:
    from infra.chaos.faults.catalogue import FAULTS

    known = {fault.family for fault in FAULTS.values()} | FAULTS.keys()
    if unknown := sorted(set(wanted) - known):
        raise typer.BadParameter(
            f"there is no {', '.join(unknown)}; choose from {', '.join(sorted(known))}",
            param_hint="--only",
        )
