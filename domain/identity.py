"""Who may do what: roles, permissions, and the caller of a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

UserRole = Literal["user", "admin", "system", "agent"]
"""What somebody is here: a person, who runs this, another service, or an agent."""

Permission = Literal[
    "plan:create",
    "plan:read:own",
    "plan:read:all",
    "plan:steer:own",
    "plan:steer:all",
    "task:create",
    "task:read:own",
    "task:read:all",
    "task:delete",
    "agent:read",
    "agent:register",
    "agent:manage",
    "message:publish",
    "message:subscribe",
    "queue:read",
    "queue:write",
    "event:read",
    "metrics:view",
    "dead-letter:read",
    "dead-letter:decide",
    "status:read",
    "key:manage",
    "user:manage",
    "audit:read",
]
"""``task:…`` speaks of briefs, as DOC2 does; ``…:own`` of what the caller has made."""

Action = Literal["plan:read", "plan:steer", "task:read"]
"""What one may do with one's own things, or with those of all."""

_USER: Final[frozenset[Permission]] = frozenset(
    {
        "plan:create",
        "plan:read:own",
        "plan:steer:own",
        "task:create",
        "task:read:own",
        "agent:read",
        "queue:read",
        "status:read",
        "key:manage",
    }
)
_AGENT: Final[frozenset[Permission]] = frozenset(
    {"agent:read", "agent:register", "message:publish", "message:subscribe", "status:read"}
)
_SYSTEM: Final[frozenset[Permission]] = (
    _USER
    | _AGENT
    | frozenset[Permission](
        {
            "plan:read:all",
            "plan:steer:all",
            "task:read:all",
            "queue:write",
            "event:read",
            "metrics:view",
            "dead-letter:read",
        }
    )
)
_ADMIN: Final[frozenset[Permission]] = _SYSTEM | frozenset[Permission](
    {"task:delete", "agent:manage", "dead-letter:decide", "user:manage", "audit:read"}
)

PERMISSIONS: Final[Mapping[UserRole, frozenset[Permission]]] = {
    "user": _USER,
    "admin": _ADMIN,
    "system": _SYSTEM,
    "agent": _AGENT,
}
"""What each role may do (DOC2's permissions, and those that DOC0's endpoints need)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and what they may do."""

    subject: str
    """``usr_…``, the id of a service, or of an agent."""

    role: UserRole
    permissions: frozenset[Permission] = field(default=frozenset())

    @property
    def actor(self) -> str:
        """Return how the record names them."""
        match self.role:
            case "agent":
                return f"agents/{self.subject}"
            case "system":
                return f"services/{self.subject}"
            case "user" | "admin":
                return f"users/{self.subject}"

    def may(self, permission: Permission | Action) -> bool:
        """Return whether they may do something, be it only with what is theirs."""
        return not self.permissions.isdisjoint(
            {permission, f"{permission}:own", f"{permission}:all"}
        )

    def only(self, action: Action) -> str | None:
        """Return whose things they may act on, for queries: their own, or None for everybody's."""
        return None if f"{action}:all" in self.permissions else self.actor
