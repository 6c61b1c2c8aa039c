"""Why a task is not done: what it waits for, what stops that, and so on down to one root.

A cause is a *link* where other tasks are behind it, and a *root* where none is. Whoever asks why a
task waits follows the links to the root that needs a person most, and by the shortest way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domain.values import AgentType, ErrorClass, Lane, Role, TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitsFor:
    """It needs tasks that have not ended well yet."""

    tasks: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedBecause:
    """It was skipped, because tasks that it needs did not end well."""

    tasks: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldByLimit:
    """As many tasks of its agent type are under way as its run allows at a time."""

    agent_type: AgentType
    most: int
    tasks: Sequence[str]
    """Those that are under way, or some of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldInSequence:
    """Its run does one task after the other, and another one is under way."""

    tasks: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """It could be dispatched, but its run is paused."""

    since: datetime | None
    reason: str
    checkpoint: str | None
    """Where the run goes on from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpublished:
    """It is dispatched in the record, and the broker does not have it yet."""

    since: datetime
    behind: int
    """How many positions the relay is before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitsForRetry:
    """Its last attempt failed, and the pause before the next one is not over."""

    until: datetime
    attempt: int
    most: int
    """How many attempts may fail, all in all."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldByBreaker:
    """New work for its agent type is held back, because agents of the type fail at it."""

    agent_type: AgentType
    role: Role
    until: datetime | None
    """When a probe is let through; None where one is let through already."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAgents:
    """It is ready to be taken, and no agent of its type is there."""

    agent_type: AgentType
    role: Role
    since: datetime
    gone: Sequence[str]
    """Agents of the type that should be there, and are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InQueue:
    """It is ready to be taken by the next agent of its type that has a hand free."""

    agent_type: AgentType
    role: Role
    lane: Lane
    since: datetime
    depth: int | None
    """How many messages its queue holds; None where the broker did not say."""

    agents: int
    """How many agents of the type are there."""

    healthy: int
    busy: int
    """How many tasks they have in hand, together."""

    capacity: int
    """How many they would carry out at a time, together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InHand:
    """An agent has it, and its start is not recorded yet."""

    agent_id: str
    since: datetime
    asks_claim: bool
    """Whether its external effect may begin only when its claim is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """An agent works on it, and says so."""

    agent_id: str
    since: datetime
    epoch: int
    progress: float | None
    """From 0 to 1, where its agent says it."""

    heard_at: datetime | None
    """When its lease was renewed last."""

    ends_by: datetime | None
    """When a timeout strikes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FallsSilent:
    """An agent has it and says so no more: its lease runs out, and another attempt begins."""

    agent_id: str
    since: datetime
    epoch: int
    heard_at: datetime
    """When its lease was renewed last."""

    lease_until: datetime
    is_claimed: bool
    """Whether an external effect may have begun, whose outcome would be unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedForGood:
    """It has failed, and is not tried again by itself."""

    error_class: ErrorClass | None
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeUnknown:
    """Its external effect may have happened, or not; nobody here knows."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """It was cancelled, with its run."""

    reason: str
    checkpoint: str | None
    """What the run could be rolled back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unexplained:
    """Nothing that is known keeps it: the system owes it something."""

    status: TaskStatus


Link = WaitsFor | SkippedBecause | HeldByLimit | HeldInSequence
Root = (
    Unexplained
    | FailedForGood
    | OutcomeUnknown
    | Cancelled
    | NoAgents
    | Paused
    | HeldByBreaker
    | Unpublished
    | FallsSilent
    | WaitsForRetry
    | InQueue
    | InHand
    | AtWork
)
Cause = Link | Root

ROOTS: Final[Sequence[type[Root]]] = (
    Unexplained,
    OutcomeUnknown,
    FailedForGood,
    Cancelled,
    NoAgents,
    Paused,
    HeldByBreaker,
    Unpublished,
    FallsSilent,
    WaitsForRetry,
    InQueue,
    InHand,
    AtWork,
)
"""Every root, the one that needs a person most first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One task on the way down, and why it is not done."""

    task_id: str
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a task is not done."""

    steps: Sequence[Step]
    """From the task that was asked for to the root."""

    others: Sequence[Step]
    """What else it waits for in the end, the worst first."""

    @property
    def root(self) -> Step:
        """The cause that has to go first."""
        return self.steps[-1]


def urgency(root: Root) -> int:
    """Return the place of a root among all: the lower, the more it needs a person."""
    return ROOTS.index(type(root))
