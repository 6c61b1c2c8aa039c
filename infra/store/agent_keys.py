"""The table of keys that agents sign with: whose each is, and whether it still counts."""

import secrets
from collections.abc import Mapping, Sequence

from psycopg_pool import AsyncConnectionPool

from bus.signatures import KnownKey
from bus.signing import SigningKey, key_of
from infra.store.pools import connection_of


class AgentKeyTable:
    """Issues keys and revokes them; what an agent signs with is handed over once, and kept nowhere.

    Every method raises ``DatabaseUnavailable`` when the database does not answer.
    """

    def __init__(self, pool: AsyncConnectionPool, secret: bytes) -> None:
        """Take the secret of the installation, which every key is made from."""
        self._pool = pool
        self._secret = secret

    async def issue(self, agent_id: str, *, by: str) -> SigningKey:
        """Return a new key for an agent; those that it has go on counting."""
        key_id = f"key_{secrets.token_urlsafe(12)}"
        async with connection_of(self._pool) as connection:
            await connection.execute(
                "insert into agent_keys (key_id, agent_id, issued_by) values (%s, %s, %s)",
                [key_id, agent_id, by],
            )
        return key_of(self._secret, key_id=key_id, agent_id=agent_id)

    async def revoke(self, agent_id: str, *, because: str) -> int:
        """Let no key of an agent count any more, and return how many did."""
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(
                "update agent_keys set revoked_at = now(), revoked_because = %s"
                " where agent_id = %s and revoked_at is null",
                [because[:500], agent_id],
            )
            return cursor.rowcount

    async def known(self, key_ids: Sequence[str]) -> Mapping[str, KnownKey]:
        """Return the keys of some ids that were ever issued."""
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(
                "select key_id, agent_id, revoked_at is not null from agent_keys"
                " where key_id = any(%s)",
                [list(key_ids)],
            )
            rows = await cursor.fetchall()
        return {
            key_id: KnownKey(
                agent_id=agent_id,
                key=key_of(self._secret, key_id=key_id, agent_id=agent_id),
                is_revoked=is_revoked,
            )
            for key_id, agent_id, is_revoked in rows
        }
