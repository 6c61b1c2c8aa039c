"""The table of events that followers have passed over because they could not read them."""

from collections.abc import Sequence

from psycopg_pool import AsyncConnectionPool

from infra.store.pools import connection_of


class ParkedEvents:
    """One row for each follower and event."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def park(self, follower: str, position: int, *, stream: str, why: str) -> None:
        """Note that a follower has passed over an event."""
        async with connection_of(self._pool) as connection:
            await connection.execute(
                "insert into parked (follower, position, stream, why) values (%s, %s, %s, %s)"
                " on conflict do nothing",
                [follower, position, stream, why[:1_000]],
            )

    async def parked(self, follower: str) -> Sequence[int]:
        """Return the positions that a follower has passed over, the first of them first."""
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(
                "select position from parked where follower = %s order by position", [follower]
            )
            return [int(position) for (position,) in await cursor.fetchall()]

    async def release(self, follower: str, position: int) -> None:
        """Forget an event that a follower has heard after all."""
        async with connection_of(self._pool) as connection:
            await connection.execute(
                "delete from parked where follower = %s and position = %s", [follower, position]
            )

    async def streams(self) -> Sequence[str]:
        """Return the streams of which anything is parked."""
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute("select distinct stream from parked order by stream")
            return [str(stream) for (stream,) in await cursor.fetchall()]
