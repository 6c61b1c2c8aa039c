"""Who may do what on RabbitMQ: a user for each role, and one for each type of agents.

RabbitMQ checks the name of an exchange or queue against three patterns, and the routing key against
a fourth where the exchange is a topic exchange. Before RabbitMQ 4 the keys in ``CC`` and ``BCC``
headers pass that fourth check, so nothing here rests on it alone: a consumer is told the key that
was checked, and reads what came under another one as nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bus.topology import LANES
from domain.values import AgentType, Role

_EAR: Final = r"amq\.gen-.*"
"""An exclusive queue that the broker has named."""

_ANY_LANE: Final = "(" + "|".join(LANES) + ")"
_NOTHING: Final = "^$"

MOST_AGENTS: Final = 50
"""Processes of one type that may be connected at a time."""

_CONNECTIONS, _CHANNELS = 4, 16
"""What one agent has open: it takes, reports, lives, and looks after its queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What one user may do."""

    user: str
    configure: str = _NOTHING
    write: str = _NOTHING
    read: str = _NOTHING
    tags: Sequence[str] = ()
    topics: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """By exchange: the keys to write with, and those to bind."""

    limits: Mapping[str, int] = field(default_factory=dict[str, int])


def user_of(role: Role, agent_type: AgentType) -> str:
    """Return the name of the user that agents of one type connect as."""
    return f"agent.{role}.{agent_type.lower()}"


SERVICES: Final[Sequence[Rights]] = (
    Rights(user="admin", configure=".*", write=".*", read=".*", tags=("administrator",)),
    Rights(user="monitor", tags=("monitoring",)),
    Rights(
        user="coordinator",
        configure=rf"^(taskloom\..*|{_EAR})$",
        write=rf"^(taskloom\..*|{_EAR})$",
        read=rf"^(taskloom\..*|{_EAR})$",
    ),
    Rights(
        user="projector",
        configure=rf"^(taskloom\.signals|{_EAR})$",
        write=f"^{_EAR}$",
        read=rf"^(taskloom\.(events|signals)|{_EAR})$",
    ),
    Rights(
        user="api",
        configure=rf"^(taskloom\.signals|{_EAR})$",
        write=rf"^(taskloom\.(reports|signals|work)|{_EAR})$",
        read=rf"^(taskloom\.(events|signals)|{_EAR})$",
        topics={"taskloom.work": (r"^agent\.", _NOTHING)},
    ),
)


def agent_rights(role: Role, agent_type: AgentType, *, most: int = MOST_AGENTS) -> Rights:
    """Return what agents of one type may do: take their own work, and speak for themselves.

    They may make their own queues, because somebody may have deleted them, and nothing else.
    """
    kind = rf"{role}\.{agent_type.lower()}"
    work = rf"taskloom\.work\.{kind}\.{_ANY_LANE}"
    orders = rf"taskloom\.signals\.{kind}\..+"
    own = rf"{work}|taskloom\.work\.{kind}\.agent\..+|{orders}"
    return Rights(
        user=user_of(role, agent_type),
        configure=f"^({own})$",
        write=rf"^(taskloom\.(reports|signals|dead)|{own})$",
        read=rf"^(taskloom\.(work|signals)|{own})$",
        topics={
            "taskloom.reports": (r"^(task|agent)\.", _NOTHING),
            "taskloom.signals": (r"^agent\.", r"^order\."),
            "taskloom.dead": (rf"^([0-9]+s\.)?{kind}\.{_ANY_LANE}$", _NOTHING),
            "taskloom.work": (_NOTHING, rf"^(#\.{kind}\.{_ANY_LANE}|agent\.{kind}\.[^#*]+)$"),
        },
        limits={"max-connections": most * _CONNECTIONS, "max-channels": most * _CHANNELS},
    )
