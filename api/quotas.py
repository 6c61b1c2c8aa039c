"""How much one may do in a time, where each of it costs others something: plans.

It is counted in the database: for all processes, and across their restarts.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from limits import parse

from api.errors import QuotaSpent
from bus.recorder import Outcome
from domain.errors import Refused
from domain.identity import Caller

if TYPE_CHECKING:
    from api.deps import Deps

PLANS: Final = "plans"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """So many, in so many seconds from the first."""

    most: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A quota of which nothing is left."""

    what: str
    quota: Quota
    current: int
    reset_at: datetime


class Allowances(Protocol):
    """Counts what callers have done.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    async def take(self, caller: str, what: str, quotas: Sequence[Quota]) -> Spent | None:
        """Take one of each quota, or none at all; return the quota that is spent for longest."""
        ...

    async def give_back(self, caller: str, what: str, quotas: Sequence[Quota]) -> None:
        """Let what was taken last not count, because nothing came of it."""
        ...


def quota_of(said: str) -> Quota:
    """Return the quota that ``10/hour`` stands for."""
    rate = parse(said)
    return Quota(most=rate.amount, seconds=rate.get_expiry())


async def within_quota(
    ports: "Deps", caller: Caller, plan_id: str, say: Callable[[], Awaitable[Outcome]]
) -> Outcome:
    """Have a plan made, if its maker may make another one; one that is there costs nothing.

    Raises:
        QuotaSpent: They may not, for now.
        Refused: It cannot be made, and does not count.
        Unavailable: It may be made or not, and counts until it is asked for again.
    """
    quotas = [quota_of(said) for said in ports.quotas.get(caller.role, ())]
    if not quotas or ports.allowances is None or await ports.streams.version(plan_id):
        return await say()
    spent = await ports.allowances.take(caller.actor, PLANS, quotas)
    if spent is not None:
        raise QuotaSpent(
            spent.what,
            limit=spent.quota.most,
            seconds=spent.quota.seconds,
            current=spent.current,
            reset_at=spent.reset_at,
            now=ports.clock.now(),
        )
    try:
        outcome = await say()
    except Refused:
        await ports.allowances.give_back(caller.actor, PLANS, quotas)
        raise
    if not outcome.events:
        await ports.allowances.give_back(caller.actor, PLANS, quotas)
    return outcome
