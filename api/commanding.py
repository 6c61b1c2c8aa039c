"""Commands: what is asked of a plan or a run is one report, done once however often it is said."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Response

from api.access import Who
from api.deps import Deps, Ports
from api.reading import POSITION, wait_for
from api.tags import IfMatch
from bus.recorder import Outcome
from domain.deciders import stream_of
from domain.policies import AnyReport
from domain.recorded import derived_id
from projections.view import AnyView


@dataclass(frozen=True, slots=True, kw_only=True)
class Commander:
    """Says one report, and knows what it has led to."""

    ports: Deps
    response: Response
    key: str | None
    at_version: int | None
    actor: str

    async def say(self, report: AnyReport, *, about: str = "") -> Outcome:
        """Record what a person asks; ``about`` tells commands apart that ask for the same."""
        said = f"{report.type}/{about}/{self.actor}/{self.key or self.ports.new_id()}"
        outcome = await self.ports.say(
            report,
            actor=self.actor,
            report_id=derived_id(stream_of(report), said),
            at_version=self.at_version,
        )
        if outcome.events:
            self.response.headers[POSITION] = str(outcome.position)
        return outcome

    async def see(self, outcome: Outcome, *views: AnyView) -> None:
        """Wait until views tell what has happened."""
        # What led to nothing may say what another request has just recorded.
        position = outcome.position or await self.ports.head()
        await wait_for(self.ports, position, *views)
        self.response.headers[POSITION] = str(position)


async def commander(
    caller: Who,
    ports: Ports,
    response: Response,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="Asked twice, done once.")
    ] = None,
    at_version: IfMatch = None,
) -> Commander:
    """Return what says a command for a request."""
    return Commander(
        ports=ports,
        response=response,
        key=idempotency_key,
        at_version=at_version,
        actor=caller.actor,
    )


Command = Annotated[Commander, Depends(commander)]
