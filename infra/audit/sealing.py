"""Seals the log as it grows, and says outside of the database now and then how far it is sealed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool

from bus.ports import Clock
from domain.errors import Unavailable
from infra.audit.checkpoints import Checkpoint, CheckpointFile
from infra.store.pools import connection_of

log = structlog.get_logger(__name__)

MOST: Final = 1_000
"""Events in a seal."""

PACE: Final = 1.0
"""Seconds between two looks: a seal for each of a few events would cost more than it tells."""

# PostgreSQL hashes where the events are; nothing of them travels.
_SEAL: Final = """
with before as (
    (select number, last_position, hash from seals order by number desc limit 1)
    union all
    select 0, 0, decode(repeat('00', 32), 'hex')
    order by number desc limit 1
), batch as (
    select notification_id as place,
           event_hash(notification_id, originator_id, originator_version, topic, state) as hash
    from events where notification_id > (select last_position from before)
    order by notification_id limit %(most)s
), found as (
    select count(*)::int as count, min(place) as first, max(place) as last,
           string_agg(hash, '' order by place) as hashes,
           case when max(place) - min(place) + 1 = count(*) then null
                else string_agg(int8send(place), '' order by place) end as positions,
           date_trunc('second', now()) as at
    from batch
)
insert into seals (number, first_position, last_position, count, positions, hashes, previous, hash,
                   sealed_at)
select before.number + 1, first, last, count, positions, hashes, before.hash,
       sha256(int8send(before.number + 1) || int8send(first) || int8send(last) || int8send(count)
              || int8send(extract(epoch from at)::bigint)
              || int4send(coalesce(octet_length(positions), 0)) || coalesce(positions, '')
              || hashes || before.hash),
       at
from found, before where count > 0
returning number, last_position, count, hash
"""

_TOTAL: Final = "select coalesce(sum(count), 0)::bigint from seals where number <= %s"


class Sealer:
    """Seals what is appended, and appends a signed checkpoint to a file every so often.

    It needs no position of its own: the last seal is where it stands. Two at once are safe, since
    the second to seal a stretch is refused.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        *,
        checkpoints: CheckpointFile,
        clock: Clock,
        every: int = 1_000,
        seconds: float = 60.0,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take the database; a checkpoint is due after ``every`` events or so many seconds."""
        self._pool = pool
        self._checkpoints = checkpoints
        self._clock = clock
        self._every = every
        self._seconds = seconds
        self._rest = rest
        self._last: Checkpoint | None = None
        self._has_looked = False

    async def run(self) -> None:
        """Seal until cancelled; what is unavailable is tried again."""
        while True:
            try:
                while await self.seal() == MOST:
                    await self.testify()
                await self.testify()
            except (Unavailable, psycopg.Error, OSError) as error:
                # Nothing else may wait for a seal. What is not sealed now is sealed later.
                log.warning("seals.wait", why=str(error).strip() or type(error).__name__)
            await self._rest(PACE)

    async def seal(self) -> int:
        """Seal the next events, and return how many."""
        try:
            async with connection_of(self._pool) as connection:
                cursor = await connection.execute(_SEAL, {"most": MOST})
                row = await cursor.fetchone()
        except psycopg.errors.UniqueViolation:
            return 0  # another coordinator has sealed them
        return int(row[2]) if row is not None else 0

    async def testify(self) -> Checkpoint | None:
        """Append a checkpoint, if one is due, and return it.

        Raises:
            OSError: The file cannot be written.
        """
        if not self._has_looked:
            self._last = await asyncio.to_thread(self._checkpoints.last)
            self._has_looked = True
        async with connection_of(self._pool) as connection:
            seal = await _last_seal(connection)
            if seal is None or not self._is_due(*seal):
                return None
            number, position, hash_ = seal
            cursor = await connection.execute(_TOTAL, [number])
            (total,) = await cursor.fetchone() or (0,)
        self._last = await asyncio.to_thread(
            self._checkpoints.append,
            seal=number,
            position=position,
            events=int(total),
            hash_=hash_,
            at=self._clock.now(),
        )
        return self._last

    def _is_due(self, number: int, position: int, hash_: bytes) -> bool:
        last = self._last
        if last is None or position < last.position:
            return True
        if (number, hash_.hex()) == (last.seal, last.hash):
            return False
        waited = (self._clock.now() - last.at).total_seconds()
        return position - last.position >= self._every or waited >= self._seconds


async def _last_seal(connection: psycopg.AsyncConnection[Any]) -> tuple[int, int, bytes] | None:
    cursor = await connection.execute(
        "select number, last_position, hash from seals order by number desc limit 1"
    )
    row = await cursor.fetchone()
    return None if row is None else (int(row[0]), int(row[1]), bytes(row[2]))
