"""The table of keys that agents sign with: whose each is, and whether it still counts."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Final

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from bus.signatures import KnownKey
from bus.signing import SigningKey, key_of
from infra.store.pools import connection_of

GRACE: Final = timedelta(minutes=1)
"""How long a key goes on counting that was replaced: what it has signed may be on its way."""


class AgentKeyTable:
    """Issues keys and revokes them; what an agent signs with is handed over once, and kept nowhere.

    Every method raises ``DatabaseUnavailable`` when the database does not answer.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        secret: bytes,
        *,
        grace: timedelta = GRACE,
        patience: float | None = None,
    ) -> None:
        """Take the secret of the installation, which every key is made from."""
        self._pool = pool
        self._secret = secret
        self._grace = grace
        self._patience = patience

    async def issue(self, agent_id: str, *, by: str) -> SigningKey:
        """Return a new key for an agent; those that it has go on counting."""
        key_id = _new_id()
        async with self._connection() as connection:
            await connection.execute(
                "insert into agent_keys (key_id, agent_id, issued_by) values (%s, %s, %s)",
                [key_id, agent_id, by],
            )
        return key_of(self._secret, key_id=key_id, agent_id=agent_id)

    async def replace(self, agent_id: str, *, by: str, since: int) -> SigningKey:
        """Return a new key for an agent; those it has count for a minute more."""
        key_id = _new_id()
        async with self._connection() as connection:
            # Of two at once, the later insert is not seen by the other one's update, or is: whose
            # key is not replaced then is replaced the next time.
            await connection.execute(
                "with replaced as (update agent_keys set revoked_at = now() + %(grace)s,"
                " revoked_because = 'replaced', replaced_by = %(key_id)s"
                " where agent_id = %(agent_id)s and revoked_at is null)"
                " insert into agent_keys (key_id, agent_id, issued_by, since_version)"
                " values (%(key_id)s, %(agent_id)s, %(by)s, %(since)s)",
                {
                    "grace": self._grace,
                    "key_id": key_id,
                    "agent_id": agent_id,
                    "by": by,
                    "since": since,
                },
            )
        return key_of(self._secret, key_id=key_id, agent_id=agent_id)

    async def revoke(self, agent_id: str, *, because: str, before: int | None = None) -> int:
        """Let no key of an agent count any more, and return how many did.

        Those stay that were issued at version ``before`` of its stream, or later.
        """
        async with self._connection() as connection:
            cursor = await connection.execute(
                "update agent_keys set revoked_at = now(), revoked_because = %(because)s,"
                " replaced_by = null"
                " where agent_id = %(agent_id)s and (revoked_at is null or revoked_at > now())"
                " and since_version < coalesce(%(before)s, since_version + 1)",
                {"because": because[:500], "agent_id": agent_id, "before": before},
            )
            return cursor.rowcount

    async def known(self, key_ids: Sequence[str]) -> Mapping[str, KnownKey]:
        """Return the keys of some ids that were ever issued."""
        async with self._connection() as connection:
            cursor = await connection.execute(
                "select key_id, agent_id, coalesce(revoked_at <= now(), false),"
                " replaced_by is not null from agent_keys"
                " where key_id = any(%s)",
                [[key_id for key_id in key_ids if "\0" not in key_id]],
            )
            rows = await cursor.fetchall()
        return {
            key_id: KnownKey(
                agent_id=agent_id,
                key=key_of(self._secret, key_id=key_id, agent_id=agent_id),
                is_revoked=is_revoked,
                is_replaced=is_replaced,
            )
            for key_id, agent_id, is_revoked, is_replaced in rows
        }

    def _connection(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return connection_of(self._pool, patience=self._patience)


def _new_id() -> str:
    return f"key_{secrets.token_urlsafe(12)}"
