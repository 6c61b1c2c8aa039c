"""The table of dead letters."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from bus.dead_letter_keeper import DeadLetter
from domain.errors import NotFound
from infra.store.pools import connection_of


class UnknownDeadLetter(NotFound):
    """No dead letter has this number."""

    code = "unknown-dead-letter"

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no dead letter {number}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLetter:
    """A dead letter as it is kept."""

    id: int
    message_id: str
    reason: str
    detail: str
    exchange: str
    routing_key: str
    queue: str
    headers: Mapping[str, object]
    properties: Mapping[str, object]
    body: bytes
    died_at: datetime
    fingerprint: str


class DeadLetterTable:
    """Keeps dead letters, each once."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters; those that are there already are passed over."""
        rows = [
            asdict(letter)
            | {
                "headers": Jsonb(letter.headers),
                "properties": Jsonb(letter.properties),
                "fingerprint": letter.fingerprint,
            }
            for letter in letters
        ]
        async with connection_of(self._pool) as connection, connection.cursor() as cursor:
            await cursor.executemany(
                "insert into dead_letters (message_id, reason, detail, exchange, routing_key,"
                " queue, headers, properties, body, died_at, fingerprint)"
                " values (%(message_id)s, %(reason)s, %(detail)s, %(exchange)s, %(routing_key)s,"
                " %(queue)s, %(headers)s, %(properties)s, %(body)s, %(died_at)s, %(fingerprint)s)"
                " on conflict (fingerprint) do nothing",
                rows,
            )

    async def list(self, *, reason: str | None = None, limit: int = 100) -> Sequence[KeptLetter]:
        """Return the latest letters, the newest first."""
        async with (
            connection_of(self._pool) as connection,
            connection.cursor(row_factory=class_row(KeptLetter)) as cursor,
        ):
            await cursor.execute(
                "select * from dead_letters where %(reason)s::text is null or reason = %(reason)s"
                " order by id desc limit %(limit)s",
                {"reason": reason, "limit": limit},
            )
            return await cursor.fetchall()

    async def show(self, number: int) -> KeptLetter:
        """Return one letter.

        Raises:
            UnknownDeadLetter: There is none.
        """
        async with (
            connection_of(self._pool) as connection,
            connection.cursor(row_factory=class_row(KeptLetter)) as cursor,
        ):
            await cursor.execute("select * from dead_letters where id = %s", [number])
            letter = await cursor.fetchone()
        if letter is None:
            raise UnknownDeadLetter(number)
        return letter

    async def count(self) -> int:
        """Return how many there are."""
        async with connection_of(self._pool) as connection:
            row = await (await connection.execute("select count(*) from dead_letters")).fetchone()
        return 0 if row is None else int(row[0])
