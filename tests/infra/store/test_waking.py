"""Who waits for the log can be stopped, even at the moment it is woken."""

import asyncio

import pytest

from infra.store.store import PostgresStore


@pytest.mark.parametrize("turns", range(6))
async def test_a_wait_that_is_woken_and_cancelled_at_once_is_cancelled(turns: int) -> None:
    log = PostgresStore("postgresql://nowhere").log()

    async def follow() -> None:
        while True:
            log.appended.clear()
            await log.wait(60)

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.01)
    log.appended.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    following.cancel()
    _, late = await asyncio.wait([following], timeout=1)
    following.cancel()
    assert not late
    assert following.cancelled()
