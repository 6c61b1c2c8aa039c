"""What the API needs of the world; its composition root gives it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_bytes
from typing import Annotated, Literal, Protocol, cast

from fastapi import Depends, Request
from psycopg_pool import AsyncConnectionPool

from api.allowances import Allowances
from api.identity.ports import Identity
from api.live.ports import Live
from bus.asking import Asks
from bus.depths import WorkDepths
from bus.letters import Letters
from bus.ports import Clock, Log, Store
from bus.recorder import Outcome
from bus.redrives import Redrives
from bus.signatures import HandedOut, Strictness
from bus.subscriptions import Subscriptions
from domain.deciders import stream_of
from domain.policies import AnyReport
from domain.recorded import Report

Condition = Literal["healthy", "degraded", "unhealthy", "unknown"]
Probe = Callable[[], Awaitable[Condition]]
"""Looks at something the system depends on. It answers within a second, and does not raise."""


class Streams(Store, Protocol):
    """The log stream by stream, and how long each stream is."""

    async def version(self, stream: str, *, until: int | None = None) -> int:
        """Return how many events a stream has, or had at a position."""
        ...


class Keys(Protocol):
    """Remembers what was asked with a key."""

    async def claim(self, caller: str, key: str, fingerprint: bytes) -> bool | None:
        """Take a key for a question: True for the first time, False again, None for another one."""
        ...

    async def release(self, caller: str, key: str) -> None:
        """Forget a key whose question led to nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """The ports of the API."""

    views: AsyncConnectionPool
    """Connections to the database that holds the views."""

    record: Callable[[Report[AnyReport]], Awaitable[Outcome]]
    log: Log
    head: Callable[[], Awaitable[int]]
    """Tells the position of the last event."""

    streams: Streams
    """The log stream by stream: what dead letters are rehearsed against."""

    letters: Letters
    redrives: Redrives
    clock: Clock
    new_id: Callable[[], str]
    """Draws the sortable part of an id: letters, digits and dashes."""

    version: str
    started_at: datetime
    probes: Mapping[str, Probe] = field(default_factory=dict[str, Probe])
    """Further components of the health report, by their names: ``message_bus``, ``migrations``."""

    identity: Identity
    """Who asks, and how they get in."""

    asks: Asks | None = None
    """Asks agents over the broker; None where there is nobody to ask."""

    live: Live | None = None
    """Live updates; None where nobody follows the log."""

    subscriptions: Subscriptions | None = None
    """Who subscribes to what; None where nothing is brought to anybody."""

    webhook_hosts: Sequence[str] = ()
    """Hosts that webhooks may be brought to although they are not outside."""

    depths: WorkDepths | None = None
    """Asks the broker what its queues hold; None where there is nobody to ask."""

    heartbeat: timedelta = timedelta(seconds=0.3)
    """How often an agent shows that it lives."""

    keys: Keys | None = None
    """Remembers what was asked with idempotency keys; None where each route looks for itself."""

    agent_keys: HandedOut | None = None
    """Hands out what agents sign with; None where nobody looks at signatures."""

    signatures: Strictness = "off"
    """Whether what agents say has to be signed."""

    cursor_secret: bytes = field(default_factory=lambda: token_bytes(32))
    """Seals cursors; the same in every process, where a page may come from another one."""

    rates: Mapping[str, str] = field(default_factory=dict[str, str])
    """How often one may ask, by role and for ``nobody``: ``100/minute``, or ``unlimited``."""

    quotas: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """How many plans one may make, by role: ``10/hour``. Without a quota it is not counted."""

    allowances: Allowances | None = None
    """Counts what has a quota; None where nothing has."""

    followed: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many live updates one may follow at a time, by role; without a number, any."""

    docs: bool = True
    """Whether the API describes itself to whoever asks."""

    origins: Sequence[str] = ()
    """Web pages of which origins may ask."""

    lease: timedelta = timedelta(seconds=1.2)
    """How long an agent may be silent before its attempts are lost."""

    most_behind: int = 10_000
    """By how many positions a view may lag behind the log before the API is not ready."""

    async def say(
        self, body: AnyReport, *, actor: str, report_id: str, at_version: int | None = None
    ) -> Outcome:
        """Record what somebody says now, in the stream that hears it.

        Raises:
            Refused: It cannot be true, or its stream is not at ``at_version`` any more.
            Unavailable: It may be recorded or not; saying it again with its id does no harm.
        """
        report = Report(
            id=report_id,
            stream=stream_of(body),
            body=body,
            said_at=self.clock.now(),
            actor=actor,
            correlation_id=report_id,
            at_version=at_version,
        )
        return await self.record(report)


def deps_of(request: Request) -> Deps:
    """Return the ports that the app was made with."""
    return cast("Deps", request.app.state.deps)


async def _ports(request: Request) -> Deps:
    return deps_of(request)


# What a route depends on is asynchronous throughout: FastAPI sends anything else to a thread, and
# the way there and back costs more than most questions.
Ports = Annotated[Deps, Depends(_ports)]
