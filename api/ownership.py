"""Whether what somebody asks for is theirs. What is not is not there: 404, as if it had never been.

An owner never changes, so who it is needs to be looked up once.
"""

from collections import OrderedDict
from typing import Final, cast

from fastapi import Request

from api.deps import Deps
from api.reading import snapshot, wait_for
from domain.errors import UnknownPlan, UnknownRun
from domain.identity import Action, Caller
from projections.executions import EXECUTIONS
from projections.ownership import owner_of_plan, owner_of_run
from projections.plans import PLANS

_MOST: Final = 50_000
_LONGEST: Final = 200


def owners_of(request: Request) -> "Owners":
    """Return what the app knows about owners."""
    return cast("Owners", request.app.state.owners)


class Owners:
    """Who owns which plan and which run, as far as somebody has asked."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()

    async def require(
        self,
        ports: Deps,
        caller: Caller,
        action: Action,
        *,
        plan_id: str | None = None,
        run_id: str | None = None,
    ) -> None:
        """Let those pass who may act on a plan and a run.

        Raises:
            UnknownPlan: The plan is not there, or not theirs.
            UnknownRun: The run is not there, or not theirs.
        """
        only = caller.only(action)
        if only is None:
            return
        if plan_id is not None and not await self._is_owned(ports, plan_id, only):
            raise UnknownPlan(plan_id)
        if run_id is not None and not await self._is_owned(ports, run_id, only):
            raise UnknownRun(run_id)

    async def _is_owned(self, ports: Deps, name: str, owner: str) -> bool:
        if not name.isprintable() or len(name) > _LONGEST:
            return False
        if self._known.get(name) == owner:
            return True
        # Whose it is otherwise is looked up as if nobody knew: how long a 404 takes tells nothing.
        if await self._read(ports, name) != owner:
            # What was made a moment ago is in the log already, and will be in the views.
            await wait_for(ports, await ports.head(), PLANS, EXECUTIONS)
            if await self._read(ports, name) != owner:
                return False
        self._known[name] = owner
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return True

    async def _read(self, ports: Deps, name: str) -> str | None:
        async with snapshot(ports, PLANS, EXECUTIONS) as read:
            find = owner_of_plan if name.startswith("plan_") else owner_of_run
            return await find(read.connection, name)
