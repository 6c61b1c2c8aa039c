"""The table of idempotency keys: what was asked with each, for as long as anybody asks again."""

from datetime import timedelta
from typing import Final

from psycopg_pool import AsyncConnectionPool

from infra.store.pools import connection_of

KEPT: Final = timedelta(days=7)
"""How long a key is remembered."""

_CLAIM: Final = (
    "with old as (delete from idempotency_keys where asked_at < now() - %(kept)s),"
    " claimed as (insert into idempotency_keys (caller, key, fingerprint)"
    " values (%(caller)s, %(key)s, %(fingerprint)s)"
    " on conflict (caller, key) do nothing returning fingerprint)"
    " select true, fingerprint from claimed union all select false, fingerprint"
    " from idempotency_keys where caller = %(caller)s and key = %(key)s"
)


class AskedKeys:
    """Remembers what callers asked with their keys."""

    def __init__(self, pool: AsyncConnectionPool, *, patience: float | None = None) -> None:
        self._pool = pool
        self._patience = patience

    async def claim(self, caller: str, key: str, fingerprint: bytes) -> bool | None:
        """Take a key for a question: True for the first time, False again, None for another one."""
        parts = {"caller": caller, "key": key, "fingerprint": fingerprint, "kept": KEPT}
        async with connection_of(self._pool, patience=self._patience) as connection:
            while True:  # somebody may have taken it since the statement began
                row = await (await connection.execute(_CLAIM, parts)).fetchone()
                if row is not None:
                    is_first, known = row
                    return bool(is_first) if known == fingerprint else None

    async def release(self, caller: str, key: str) -> None:
        """Forget a key whose question led to nothing."""
        async with connection_of(self._pool, patience=self._patience) as connection:
            await connection.execute(
                "delete from idempotency_keys where caller = %s and key = %s", [caller, key]
            )
