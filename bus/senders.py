"""Who sent a message: what the broker guarantees of it, whatever the message itself says.

The broker refuses a ``user_id`` that is not the user of the connection. So who is named there is
who sent it; who names nobody is unknown. Agents of one type share a user, ``agent.<role>.<type>``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bus.properties import Properties
from domain.values import AgentType, Role

USER: Final = "x-taskloom-user"
"""Who sent a message that one of our processes sends again on its behalf."""

_LONGEST: Final = 190
_AGENTS: Final = re.compile(r"agent\.((?:planning|execution)\.[a-z0-9_]+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A user of the broker; an empty name is nobody known."""

    user: str
    kind: str = ""
    """What it may speak for, ``execution.cad``, where it is a user of agents."""


NOBODY: Final = Sender(user="")


def sender_of(properties: Properties) -> Sender:
    """Return who sent a message, as far as the broker guarantees it."""
    user = properties.user_id or ""
    if not user:
        return NOBODY
    if found := _AGENTS.fullmatch(user):
        return Sender(user=user, kind=found[1])
    behalf = (properties.headers or {}).get(USER)
    if isinstance(behalf, str):
        return _named(behalf[:_LONGEST])
    return Sender(user=user[:_LONGEST])


def may_speak_for(
    user: str, role: Role, agent_type: AgentType, *, requires_user: bool = False
) -> bool:
    """Return whether a user of the broker may be who speaks for an agent of a type."""
    kind = _named(user).kind
    return kind == kind_name(role, agent_type) if kind else bool(user) or not requires_user


def on_behalf(properties: Properties) -> Mapping[str, str]:
    """Return the header that tells later who has sent a message first."""
    return {USER: sender_of(properties).user}


def kind_name(role: Role, agent_type: AgentType) -> str:
    """Return what a user of agents of that type speaks for."""
    return f"{role}.{agent_type.lower()}"


def _named(user: str) -> Sender:
    found = _AGENTS.fullmatch(user)
    return Sender(user=user, kind=found[1] if found else "")
