"""The table of allowances: how much of what they may do in a time callers have done."""

from collections.abc import Sequence
from datetime import timedelta

from psycopg_pool import AsyncConnectionPool

from api.allowances import Quota, Spent
from infra.store.pools import connection_of

_FIRST = (
    "insert into allowances (caller, allowance, began_at, taken)"
    " select %(caller)s, unnest(%(names)s::text[]), now(), 0 on conflict do nothing"
)
_STANDING = (
    "select quota.place, case when began_at + length > now() then taken else 0 end,"
    " began_at + length from allowances"
    " join unnest(%(names)s::text[], %(lengths)s::interval[]) with ordinality"
    " as quota (name, length, place) on allowance = quota.name"
    " where caller = %(caller)s order by allowance for update of allowances"
)
_TAKE = (
    "update allowances set taken = case when began_at + length > now() then taken + 1 else 1 end,"
    " began_at = case when began_at + length > now() then began_at else now() end"
    " from unnest(%(names)s::text[], %(lengths)s::interval[]) as quota (name, length)"
    " where caller = %(caller)s and allowance = quota.name"
)
_GIVE_BACK = (
    "update allowances set taken = taken - 1"
    " where caller = %(caller)s and allowance = any(%(names)s) and taken > 0"
)


class AllowanceTable:
    """Counts for all processes, and across their restarts.

    A window begins with the first that is taken in it. Every method raises
    ``DatabaseUnavailable`` when the database does not answer.
    """

    def __init__(self, pool: AsyncConnectionPool, *, patience: float | None = None) -> None:
        self._pool = pool
        self._patience = patience

    async def take(self, caller: str, what: str, quotas: Sequence[Quota]) -> Spent | None:
        """Take one of each quota, or none at all; return the quota that is spent for longest."""
        parts = _parts(caller, what, quotas)
        async with (
            connection_of(self._pool, patience=self._patience) as connection,
            connection.transaction(),
        ):
            await connection.execute(_FIRST, parts)
            standing = await (await connection.execute(_STANDING, parts)).fetchall()
            spent = [
                Spent(what=what, quota=quotas[int(place) - 1], current=taken, reset_at=until)
                for place, taken, until in standing
                if taken >= quotas[int(place) - 1].most
            ]
            if spent:
                return max(spent, key=lambda one: one.reset_at)
            await connection.execute(_TAKE, parts)
        return None

    async def give_back(self, caller: str, what: str, quotas: Sequence[Quota]) -> None:
        """Let what was taken last not count, because nothing came of it."""
        async with connection_of(self._pool, patience=self._patience) as connection:
            await connection.execute(_GIVE_BACK, _parts(caller, what, quotas))


def _parts(caller: str, what: str, quotas: Sequence[Quota]) -> dict[str, object]:
    return {
        "caller": caller,
        "names": [f"{what}/{quota.seconds}" for quota in quotas],
        "lengths": [timedelta(seconds=quota.seconds) for quota in quotas],
    }
