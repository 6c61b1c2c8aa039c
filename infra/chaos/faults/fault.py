"""What a fault is, and what it has at hand."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infra.chaos.world import World

Family = Literal[
    "crash", "kill", "broker", "database", "network", "message", "zombie", "stop", "outage"
]
Heals = Literal["completed", "acknowledged", "moved", "projected"]
"""What shows that a fault is over: a task completed, a command acknowledged, the work of the agent
held elsewhere, the views caught up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a fault."""

    fired: bool
    said: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a fault has at hand."""

    world: World
    lots: random.Random
    nudge: Callable[[], None]
    """Has a command submitted at once."""

    submit: Callable[[int], Awaitable[str]]
    """Has a graph of so many tasks accepted, all of which may begin at once."""

    plans: Callable[[], Sequence[str]]
    """The ids of the plans that were acknowledged."""

    begun: Callable[..., object]
    """Writes down that the fault is there from now on, and what it concerns."""


Inject = Callable[[Means], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of them."""

    id: str
    family: Family
    about: str
    heals: Heals
    inject: Inject


def came(*, fired: bool, **said: object) -> Outcome:
    """Return what came of a fault."""
    return Outcome(fired=fired, said=said)


def fault(
    id_: str, family: Family, about: str, inject: Inject, heals: Heals = "completed"
) -> Fault:
    """Return one kind of fault."""
    return Fault(id=id_, family=family, about=about, heals=heals, inject=inject)
