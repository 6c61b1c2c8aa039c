"""The table of subscriptions. Secrets of webhooks are wrapped by the key that is not in it."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from bus.subscriptions import Subscription
from bus.webhooks import PREFIX
from infra.store.kek import Kek
from infra.store.keyring import WrongKek
from infra.store.pools import connection_of

_LONGEST_ERROR: Final = 500


class SubscriptionTable:
    """One row a subscription."""

    def __init__(
        self, pool: AsyncConnectionPool, *, kek: Kek, patience: float | None = None
    ) -> None:
        self._pool = pool
        self._kek = kek
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
                    self._wrapped(subscription.subscription_id, subscription.secret),
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
            return self._read(await cursor.fetchone())

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
            return [found for row in await cursor.fetchall() if (found := self._read(row))]

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
            return self._read(await cursor.fetchone())

    async def disable(self, subscription_id: str, why: str) -> None:
        """Bring nothing to it any more."""
        async with connection_of(self._pool, patience=self._patience) as connection:
            await connection.execute(
                "update subscriptions set state = 'disabled', last_error = %s"
                " where subscription_id = %s",
                [why[:_LONGEST_ERROR], subscription_id],
            )

    async def wrap(self) -> None:
        """Wrap the secrets that were kept in the clear."""
        async with connection_of(self._pool, patience=self._patience) as connection:
            cursor = await connection.execute(
                "select subscription_id, secret from subscriptions where starts_with(secret, %s)",
                [PREFIX],
            )
            for name, secret in await cursor.fetchall():
                await connection.execute(
                    "update subscriptions set secret = %s"
                    " where subscription_id = %s and secret = %s",
                    [self._wrapped(name, secret), name, secret],
                )

    def _wrapped(self, name: str, secret: str | None) -> str | None:
        if secret is None:
            return None
        wrapped = self._kek.wrap(secret.encode(), _place(name))
        return f"{self._kek.id}:{base64.b64encode(wrapped).decode()}"

    def _read(self, row: Subscription | None) -> Subscription | None:
        """Return a row with its secret; without it where it was not wrapped for this one.

        Raises:
            WrongKek: It is wrapped by another key than ours.
        """
        if row is None or row.secret is None or row.secret.startswith(PREFIX):
            return row
        kek, _, wrapped = row.secret.partition(":")
        if kek != self._kek.id:
            raise WrongKek(kek, self._kek.id)
        try:
            secret = self._kek.unwrap(base64.b64decode(wrapped), _place(row.subscription_id))
        except (InvalidTag, ValueError):
            return replace(row, secret=None)
        return replace(row, secret=secret.decode())


def _place(name: str) -> str:
    return f"subscriptions/{name}"
