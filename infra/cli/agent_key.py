"""``taskloom agent-key``: what agents sign with."""

from typing import Annotated

import typer

from infra.cli.output import say

app = typer.Typer(help="Keys that agents sign with.", no_args_is_help=True)

AgentId = Annotated[str, typer.Argument(metavar="AGENT", help="The id of an agent.")]


@app.command()
def issue(agent_id: AgentId) -> None:
    """Print a new key for an agent, once: it is kept nowhere. The keys it has go on counting."""
    import asyncio

    from infra.cli.target import database
    from infra.processes.parts import open_pool
    from infra.settings import Settings
    from infra.store.agent_keys import AgentKeyTable

    settings = Settings()
    secret = settings.amqp.secret()

    async def work() -> None:
        async with database(settings) as dsn:
            part = settings.db.model_copy(update={"dsn": dsn})
            async with open_pool(settings.model_copy(update={"db": part})) as pool:
                print(await AgentKeyTable(pool, secret).issue(agent_id, by="cli"))

    asyncio.run(work())


@app.command()
def revoke(
    agent_id: AgentId,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks later.")] = "",
) -> None:
    """Let no key of an agent count any more, within two seconds."""
    import asyncio

    from infra.cli.target import database
    from infra.processes.parts import open_pool
    from infra.settings import Settings
    from infra.store.agent_keys import AgentKeyTable

    settings = Settings()

    async def work() -> None:
        async with database(settings) as dsn:
            part = settings.db.model_copy(update={"dsn": dsn})
            async with open_pool(settings.model_copy(update={"db": part})) as pool:
                revoked = await AgentKeyTable(pool, b"").revoke(agent_id, because=reason)
        say(f"{revoked} keys revoked")

    asyncio.run(work())
