"""The projector: keeps the views that questions are answered from."""

from contextlib import AsyncExitStack

from infra.processes.parts import open_pool, open_store
from infra.settings import Settings
from projections.catalog import PROJECTED
from projections.postgres import PostgresViews
from projections.runner import Runner


async def run(settings: Settings) -> None:
    """Follow the log into the views until cancelled."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        pool = await stack.enter_async_context(open_pool(settings))
        await Runner(views=PROJECTED, log=store.log(), store=PostgresViews(pool), pace=0.02).run()
