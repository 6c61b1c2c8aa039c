"""The ledger of messages that were being read when their reader died."""

from collections.abc import Mapping, Sequence

from psycopg_pool import AsyncConnectionPool

from infra.store.pools import connection_of


class SuspectTable:
    """One row a message, from before it is read until it is answered."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def entries(self, fingerprints: Sequence[str]) -> Mapping[str, int]:
        """Return how often messages were entered, of those that were."""
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(
                "select fingerprint, entries from suspects where fingerprint = any(%s)",
                [list(fingerprints)],
            )
            return dict(await cursor.fetchall())

    async def enter(self, fingerprints: Sequence[str]) -> None:
        """Enter messages that are about to be read."""
        async with connection_of(self._pool) as connection:
            await connection.execute(
                "insert into suspects (fingerprint, entries)"
                " select distinct unnest(%s::text[]), 1"
                " on conflict (fingerprint) do update"
                " set entries = suspects.entries + 1, entered_at = now()",
                [list(fingerprints)],
            )

    async def clear(self, fingerprints: Sequence[str]) -> None:
        """Forget messages that are answered, and those that never came again."""
        async with connection_of(self._pool) as connection:
            await connection.execute(
                "delete from suspects where fingerprint = any(%s)"
                " or entered_at < now() - interval '1 day'",
                [list(fingerprints)],
            )

    async def count(self) -> int:
        """Return how many messages were entered again, because their reader died."""
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute("select count(*) from suspects where entries > 1")
            (number,) = await cursor.fetchone() or (0,)
        return int(number)
