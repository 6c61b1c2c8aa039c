"""Views in a fresh database."""

from collections.abc import AsyncIterator

import pytest
from psycopg_pool import AsyncConnectionPool


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(
        database, min_size=1, max_size=4, open=False, kwargs={"autocommit": True}
    ) as pool:
        yield pool
