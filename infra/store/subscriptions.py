"""The table of subscriptions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from bus.subscriptions import Subscription
from infra.store.pools import connection_of

_LONGEST_ERROR: Final = 500


class SubscriptionTable:
    """One row a subscription."""

    def __init__(self, pool: AsyncConnectionPool, *, patience: float | None = None) -> None:
        self._pool = pool
        self._patience = patience

    async def add(self, subscription: Subscription) -> None:
        """Keep a new one."""
        async with connection_of(self._pool, patience=self._patience) as connection:
            await connection.execute(
                "insert into subscriptions (subscription_id, owner, agent_id, topics, filters,"
                " delivery, url, secret, hears_all, plans_of, created_at, position)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    subscription.subscription_id,
                    subscription.owner,
                    subscription.agent_id,
                    list(subscription.topics),
                    Jsonb(dict(subscription.filters)),
                    subscription.delivery,
                    subscription.url,
                    subscription.secret,
                    subscription.hears_all,
                    subscription.plans_of,
                    subscription.created_at,
                    subscription.position,
                ],
            )

    async def find(self, subscription_id: str) -> Subscription | None:
        """Return one, if it is there."""
        async with (
            connection_of(self._pool, patience=self._patience) as connection,
            connection.cursor(row_factory=class_row(Subscription)) as cursor,
        ):
            await cursor.execute(
                "select * from subscriptions where subscription_id = %s", [subscription_id]
            )
            return await cursor.fetchone()

    async def all(self, *, owner: str | None = None) -> Sequence[Subscription]:
        """Return those of an actor, or everybody's, the oldest first."""
        async with (
            connection_of(self._pool, patience=self._patience) as connection,
            connection.cursor(row_factory=class_row(Subscription)) as cursor,
        ):
            await cursor.execute(
                "select * from subscriptions where %(owner)s::text is null or owner = %(owner)s"
                " order by created_at, subscription_id",
                {"owner": owner},
            )
            return await cursor.fetchall()

    async def remove(self, subscription_id: str) -> bool:
        """Forget one; False where it is not there."""
        async with connection_of(self._pool, patience=self._patience) as connection:
            cursor = await connection.execute(
                "delete from subscriptions where subscription_id = %s", [subscription_id]
            )
            return cursor.rowcount > 0

    async def advance(self, subscription_id: str, position: int, *, delivered: int) -> None:
        """Remember that it is further, and that what failed has succeeded."""
        async with connection_of(self._pool, patience=self._patience) as connection:
            await connection.execute(
                "update subscriptions set position = greatest(position, %s),"
                " delivered = delivered + %s, failing_since = null, failures = 0"
                " where subscription_id = %s",
                [position, delivered, subscription_id],
            )

    async def fail(self, subscription_id: str, why: str, *, at: datetime) -> Subscription | None:
        """Remember that an attempt has failed, and return how it stands; None where it is gone."""
        async with (
            connection_of(self._pool, patience=self._patience) as connection,
            connection.cursor(row_factory=class_row(Subscription)) as cursor,
        ):
            await cursor.execute(
                "update subscriptions set failures = failures + 1, last_error = %s,"
                " failing_since = coalesce(failing_since, %s)"
                " where subscription_id = %s returning *",
                [why[:_LONGEST_ERROR], at, subscription_id],
            )
            return await cursor.fetchone()

    async def disable(self, subscription_id: str, why: str) -> None:
        """Bring nothing to it any more."""
        async with connection_of(self._pool, patience=self._patience) as connection:
            await connection.execute(
                "update subscriptions set state = 'disabled', last_error = %s"
                " where subscription_id = %s",
                [why[:_LONGEST_ERROR], subscription_id],
            )
