"""``taskloom db``: the schema of the database."""

import typer

from infra.cli.output import AsJson, print_json, say

app = typer.Typer(help="The schema of the database.", no_args_is_help=True)


@app.command()
def upgrade() -> None:
    """Apply the migrations that the database has not seen; safe to repeat."""
    import asyncio

    from infra.cli.target import database
    from infra.migrations import upgrade as apply
    from infra.settings import Settings

    async def work() -> None:
        async with database(Settings(), is_new=True) as dsn:
            applied = await asyncio.to_thread(apply, dsn)
        for version in applied:
            print(version)
        say(f"{len(applied)} migrations applied" if applied else "the database is up to date")

    asyncio.run(work())


@app.command()
def grant() -> None:
    """Give each service's role the least rights; TASKLOOM_DB_PASSWORD_<ROLE> sets its password."""
    import asyncio
    import os

    from infra.cli.target import database
    from infra.postgres import SERVICES
    from infra.postgres import grant as give
    from infra.processes.known_secrets import refuse_known_passwords
    from infra.settings import Settings

    variables = {role: f"TASKLOOM_DB_PASSWORD_{role.upper()}" for role in SERVICES}
    found = {role: os.environ.get(variable) for role, variable in variables.items()}
    passwords = {role: password for role, password in found.items() if password}
    refuse_known_passwords(
        {variables[role]: password for role, password in passwords.items()},
        is_development=Settings().development,
    )

    async def work() -> None:
        async with database(Settings()) as dsn:
            await asyncio.to_thread(give, dsn, passwords)

    asyncio.run(work())
    say(f"{len(SERVICES)} roles have their rights, {len(passwords)} of them a new password")


@app.command()
def current(as_json: AsJson = False) -> None:
    """Show which migrations the database has seen."""
    import asyncio

    from infra.cli.exits import Exit
    from infra.cli.target import database
    from infra.migrations import known, pending
    from infra.settings import Settings

    async def work() -> bool:
        async with database(Settings()) as dsn:
            owed = set(await asyncio.to_thread(pending, dsn))
        rows = [(migration.version, migration.version not in owed) for migration in known()]
        if as_json:
            print_json([{"version": version, "applied": applied} for version, applied in rows])
        else:
            for version, applied in rows:
                print(f"{version}  {'applied' if applied else 'pending'}")
        return not owed

    if not asyncio.run(work()):
        say("some are pending: `taskloom db upgrade` applies them")
        raise typer.Exit(Exit.FAILURE)
