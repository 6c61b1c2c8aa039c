"""Writes rights as RabbitMQ's definitions: vhost, users with hashed passwords, permissions."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from bus.topology import EXECUTION_TYPES, PLANNING_TYPES
from domain.errors import Conflict, Refused
from domain.values import AgentType, Role
from infra.rabbitmq.rights import MOST_AGENTS, SERVICES, Rights, agent_rights

Kind = tuple[Role, AgentType]

KNOWN_KINDS: Final[Sequence[Kind]] = (
    *(("planning", kind) for kind in PLANNING_TYPES),
    *(("execution", kind) for kind in EXECUTION_TYPES if kind != "NOOP"),
)
"""Every type of agents that comes with Taskloom, but the one that does nothing."""

_KIND: Final[TypeAdapter[Kind]] = TypeAdapter(Kind)

DEVELOPMENT: Final = "development-only"
"""The password of everybody in the file that is part of the project."""


class UnknownKind(Refused):
    """Somebody names a type of agents in a way that means none."""

    code = "unknown-kind"


def kind_of(name: str) -> Kind:
    """Return the role and type that ``execution.CAD`` names.

    Raises:
        UnknownKind: It names none.
    """
    role, _, agent_type = name.partition(".")
    try:
        return _KIND.validate_python((role, agent_type.upper()))
    except ValidationError as error:
        raise UnknownKind(
            f"{name!r} is no type of agents; write planning.TYPE or execution.TYPE"
        ) from error


def rights_for(kinds: Sequence[Kind], *, most_agents: int = MOST_AGENTS) -> Sequence[Rights]:
    """Return the rights of every service and of agents of some types."""
    return (*SERVICES, *(agent_rights(*kind, most=most_agents) for kind in kinds))


def fresh_passwords(rights: Sequence[Rights]) -> Mapping[str, str]:
    """Return a password for every user that nobody has had before."""
    return {one.user: secrets.token_urlsafe(24) for one in rights}


def definitions(
    rights: Sequence[Rights],
    passwords: Mapping[str, str],
    *,
    vhost: str = "taskloom",
    salt: Callable[[str], bytes] = lambda _: secrets.token_bytes(4),
) -> dict[str, list[Any]]:
    """Return what RabbitMQ imports; ``salt`` gives four bytes for a user."""
    return {
        "vhosts": [{"name": vhost}],
        "users": [
            {
                "name": one.user,
                "password_hash": hashed(passwords[one.user], salt(one.user)),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [*one.tags],
                "limits": dict(one.limits),
            }
            for one in rights
        ],
        "permissions": [
            {
                "user": one.user,
                "vhost": vhost,
                "configure": one.configure,
                "write": one.write,
                "read": one.read,
            }
            for one in rights
        ],
        "topic_permissions": [
            {"user": one.user, "vhost": vhost, "exchange": name, "write": write, "read": read}
            for one in rights
            for name, (write, read) in one.topics.items()
        ],
        "parameters": [],
        "global_parameters": [],
        "policies": [],
        "exchanges": [],
        "queues": [],
        "bindings": [],
    }


def for_development() -> dict[str, list[Any]]:
    """Return the definitions that are part of the project: the same bytes each time."""
    rights = rights_for(KNOWN_KINDS)
    passwords = {one.user: DEVELOPMENT for one in rights}
    return definitions(
        rights, passwords, salt=lambda user: hashlib.sha256(user.encode()).digest()[:4]
    )


def hashed(password: str, salt: bytes) -> str:
    """Return a password as RabbitMQ keeps it."""
    digest = hashlib.sha256(salt + password.encode()).digest()
    return base64.b64encode(salt + digest).decode()


def written(found: Mapping[str, Sequence[Any]]) -> str:
    """Return definitions as text, a line for each user and each permission."""
    parts: list[str] = []
    for name, rows in found.items():
        lines = ",\n".join(f"    {json.dumps(row)}" for row in rows)
        parts.append(f'  "{name}": [\n{lines}\n  ]' if rows else f'  "{name}": []')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write_new(folder: Path, files: Mapping[str, str]) -> None:
    """Write files that only their owner may read, and that are not there yet.

    Raises:
        Conflict: One is there: whoever uses its passwords would be locked out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        if (folder / name).exists():
            raise Conflict(f"{folder / name} is there already; move it away or choose a new folder")
    for name, text in files.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(text)
