"""What callers may do in a time is counted once, whoever asks at the same moment."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from psycopg_pool import AsyncConnectionPool

from api.allowances import Quota
from infra.store.allowances import AllowanceTable

HOURLY, DAILY = Quota(most=5, seconds=3_600), Quota(most=9, seconds=86_400)


@pytest.fixture
async def table(database: str) -> AsyncIterator[AllowanceTable]:
    async with AsyncConnectionPool(database, min_size=8, max_size=8, open=False) as pool:
        yield AllowanceTable(pool)


async def test_of_many_at_once_as_many_are_let_through_as_may(table: AllowanceTable) -> None:
    assert await table.take("users/ann", "plans", [HOURLY, DAILY]) is None
    answers = await asyncio.gather(
        *(table.take("users/ann", "plans", [HOURLY, DAILY]) for _ in range(40))
    )
    assert answers.count(None) == 4
    spent = next(answer for answer in answers if answer is not None)
    assert (spent.quota, spent.current) == (HOURLY, 5)


async def test_what_is_refused_takes_from_no_other_quota(table: AllowanceTable) -> None:
    for _ in range(20):
        await table.take("users/ann", "plans", [HOURLY, DAILY])
    assert await table.take("users/ann", "plans", [Quota(most=6, seconds=86_400)]) is None


async def test_what_is_given_back_may_be_taken_again(table: AllowanceTable) -> None:
    once = [Quota(most=1, seconds=60)]
    assert await table.take("users/ann", "plans", once) is None
    assert await table.take("users/ann", "plans", once) is not None
    await table.give_back("users/ann", "plans", once)
    assert await table.take("users/ann", "plans", once) is None
    assert await table.take("users/bob", "plans", once) is None
