"""The secret of a webhook is told to whoever signs with it, and to nobody who reads the table."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from psycopg_pool import AsyncConnectionPool

from bus.subscriptions import Subscription
from bus.webhooks import new_secret
from infra.store.kek import Kek
from infra.store.keyring import WrongKek
from infra.store.subscriptions import SubscriptionTable
from tests.support.scenario import NOW

KEK = Kek(bytes(32))


@dataclass
class Kept:
    pool: AsyncConnectionPool
    table: SubscriptionTable

    async def column(self, name: str) -> str:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                "select secret from subscriptions where subscription_id = %s", [name]
            )
            row = await cursor.fetchone()
        assert row is not None
        return str(row[0])

    async def write(self, name: str, secret: str) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(
                "update subscriptions set secret = %s where subscription_id = %s", [secret, name]
            )

    async def secret(self, name: str) -> str | None:
        found = await self.table.find(name)
        assert found is not None
        (listed,) = [one for one in await self.table.all() if one.subscription_id == name]
        assert listed == found
        return found.secret


@pytest.fixture
async def kept(database: str) -> AsyncIterator[Kept]:
    async with AsyncConnectionPool(database, open=False, kwargs={"autocommit": True}) as pool:
        yield Kept(pool, SubscriptionTable(pool, kek=KEK))


def hook(name: str, secret: str) -> Subscription:
    return Subscription(
        subscription_id=name,
        owner="users/ada",
        agent_id="erp",
        topics=["task.#"],
        filters={},
        delivery="webhook",
        url="https://erp.example/hook",
        secret=secret,
        created_at=NOW,
        position=0,
    )


async def test_a_secret_is_read_with_the_key_alone(kept: Kept) -> None:
    secret = new_secret()
    await kept.table.add(hook("sub_1", secret))
    assert secret not in await kept.column("sub_1")
    assert await kept.secret("sub_1") == secret
    failed = await kept.table.fail("sub_1", "it is away", at=NOW)
    assert failed is not None
    assert failed.secret == secret
    with pytest.raises(WrongKek):
        await SubscriptionTable(kept.pool, kek=Kek(bytes(range(32)))).find("sub_1")


async def test_a_secret_that_was_put_elsewhere_signs_nothing(kept: Kept) -> None:
    for name in ("sub_1", "sub_2"):
        await kept.table.add(hook(name, new_secret()))
    await kept.write("sub_1", await kept.column("sub_2"))
    assert await kept.secret("sub_1") is None


async def test_secrets_of_before_are_read_and_wrapped(kept: Kept) -> None:
    secret = new_secret()
    await kept.table.add(hook("sub_1", "replaced"))
    await kept.write("sub_1", secret)
    assert await kept.secret("sub_1") == secret
    await kept.table.wrap()
    assert secret not in await kept.column("sub_1")
    assert await kept.secret("sub_1") == secret
