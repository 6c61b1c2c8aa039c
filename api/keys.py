"""API keys: for programs. A key is shown once, when it is made."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field, StringConstraints

from api.access import May
from api.asked import Asked
from api.deps import Ports
from api.durations import Moment
from api.identity.accounts import Key
from api.identity.auditing import address_of
from api.identity.errors import BadScopes, UnknownKey
from api.identity.secrets import digest_of, key_text, new_key_id, new_secret
from domain.identity import PERMISSIONS, Caller, Permission, UserRole
from domain.values import Name, Value

router = APIRouter(prefix="/keys", tags=["keys"])

_Manager = Annotated[Caller, Depends(May("key:manage"))]
_KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$"), Path()]
_Service = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.-]{0,63}$")]


class NewKey(Asked):
    """A key to be."""

    name: Name
    service: _Service | None = None
    """The service it is for, which then has the role ``system``; made by admins only."""

    scopes: tuple[Permission, ...] | None = Field(default=None, max_length=50)
    """What it may do of what its role may; everything, when not given."""

    expires_in_days: Annotated[int, Field(ge=1, le=365, strict=True)] = 90


class KeyAnswer(Value):
    """One key, without its secret."""

    key_id: str
    name: str
    owner: str
    subject: str
    role: UserRole
    scopes: Sequence[str] | None
    created_at: Moment
    expires_at: Moment
    revoked_at: Moment | None
    last_used_at: Moment | None
    """To the hour."""


class NewKeyAnswer(KeyAnswer):
    """A key that was just made."""

    key: str
    """The whole of it: it is never shown again."""


class KeysAnswer(Value):
    """Keys, the latest first."""

    keys: Sequence[KeyAnswer]
    total: int


class KeyRevoked(Value):
    """A key counts no more."""

    key_id: str
    status: Literal["revoked"] = "revoked"


@router.get("")
async def show_keys(ports: Ports, caller: _Manager) -> KeysAnswer:
    """Show one's own keys; admins see all."""
    keys = await ports.identity.accounts.keys(_owner(caller))
    return KeysAnswer(keys=[KeyAnswer(**_fields(key)) for key in keys], total=len(keys))


@router.post("", status_code=201)
async def make_key(
    asked: NewKey, request: Request, response: Response, ports: Ports, caller: _Manager
) -> NewKeyAnswer:
    """Make a key. It may do no more than whoever makes it."""
    if asked.service is not None and not caller.may("user:manage"):
        raise BadScopes("only admins make keys for services")
    if caller.role not in ("user", "admin"):
        raise BadScopes("a service makes no keys; a user does")
    role: UserRole = caller.role if asked.service is None else "system"
    wanted = set(asked.scopes) if asked.scopes is not None else None
    allowed = PERMISSIONS[role] & caller.permissions if asked.service is None else PERMISSIONS[role]
    if wanted is not None and (beyond := sorted(wanted - allowed)):
        raise BadScopes(f"the key would be allowed more than you are: {', '.join(beyond)}")
    if wanted is None and allowed != PERMISSIONS[role]:
        wanted = set(allowed)
    now, secret = ports.clock.now(), new_secret()
    key = Key(
        key_id=new_key_id(),
        owner=caller.subject,
        subject=asked.service or caller.subject,
        role=role,
        scopes=None if wanted is None else sorted(wanted),
        name=asked.name,
        created_at=now,
        expires_at=now + timedelta(days=asked.expires_in_days),
        revoked_at=None,
        last_used_at=None,
    )
    await ports.identity.accounts.add_key(key, digest_of(secret))
    await ports.identity.auditor.note(
        "key.created",
        key.key_id,
        actor=caller.actor,
        detail=f"role {key.role}, for {key.subject}",
        address=address_of(request),
    )
    response.headers["Location"] = f"/api/v1/keys/{key.key_id}"
    response.headers["Cache-Control"] = "no-store"
    return NewKeyAnswer(**_fields(key), key=key_text(key.key_id, secret))


@router.delete("/{key_id}")
async def revoke_key(
    key_id: _KeyId, request: Request, ports: Ports, caller: _Manager
) -> KeyRevoked:
    """Revoke a key: within a second it counts no more."""
    accounts, now = ports.identity.accounts, ports.clock.now()
    if not await accounts.revoke_key(key_id, _owner(caller), now=now):
        raise UnknownKey(key_id)
    await ports.identity.auditor.note(
        "key.revoked", key_id, actor=caller.actor, address=address_of(request)
    )
    return KeyRevoked(key_id=key_id)


def _owner(caller: Caller) -> str | None:
    return None if caller.may("user:manage") else caller.subject


def _fields(key: Key) -> dict[str, Any]:
    return {name: getattr(key, name) for name in KeyAnswer.model_fields}
