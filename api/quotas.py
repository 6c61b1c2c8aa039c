"""How much one may do in a time, where each of it costs others something: plans.

It is counted in the database: for all processes, and across their restarts.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from api.allowances import quota_of
from api.deps import Deps
from api.errors import QuotaSpent
from bus.recorder import Outcome
from domain.errors import Refused
from domain.identity import Caller

PLANS: Final = "plans"


async def within_quota(
    ports: Deps, caller: Caller, plan_id: str, say: Callable[[], Awaitable[Outcome]]
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
