"""``taskloom doctor``: whether everything is as it has to be, and what to do where it is not."""

from typing import Annotated

import typer

from infra.cli.output import AsJson

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    live: Annotated[
        bool, typer.Option("--live", help="Look only whether a process is up; for containers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the database, its settings, the broker, the views and what is unfinished."""
    import asyncio

    from infra.cli.exits import Exit
    from infra.cli.health.findings import Finding
    from infra.cli.output import out, print_json
    from infra.settings import Settings

    settings = Settings()
    if live:
        from infra.cli.health.processes import look_for_processes

        findings: list[Finding] = asyncio.run(look_for_processes(settings))
    else:
        from infra.cli.health.everything import look

        findings = asyncio.run(look(settings))
    if as_json:
        print_json(
            [
                {"level": one.level, "what": one.what, "found": one.found, "advice": one.advice}
                for one in findings
            ]
        )
    else:
        console = out()
        for one in findings:
            console.print(f"[{STYLES[one.level]}]{MARKS[one.level]}[/]  {one.what}: ", end="")
            console.print(one.found, markup=False)
            if one.advice and one.level != "ok":
                console.print(f"      → {one.advice}", markup=False)
    if any(one.level == "fail" for one in findings):
        raise typer.Exit(Exit.FAILURE)
