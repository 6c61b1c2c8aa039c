"""Users: who has a password here, and which role."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import StrictBool, StringConstraints

from api.access import May
from api.asked import Asked
from api.auth import Login, NewPassword
from api.deps import Ports
from api.durations import Moment
from api.identity.accounts import User
from api.identity.auditing import address_of
from api.identity.errors import LoginTaken, UnknownUser
from domain.errors import Conflict
from domain.identity import Caller
from domain.values import Value

router = APIRouter(prefix="/users", tags=["users"])

_Name = Annotated[str, StringConstraints(max_length=200)]
_UserId = Annotated[str, StringConstraints(pattern=r"^usr_[A-Za-z0-9-]{1,100}$"), Path()]
_Manager = Annotated[Caller, Depends(May("user:manage"))]


class NewUser(Asked):
    """A user to be."""

    login: Login
    password: NewPassword
    name: _Name = ""
    role: Literal["user", "admin"] = "user"


class UserChange(Asked):
    """What is to be different; what is not given stays."""

    name: _Name | None = None
    role: Literal["user", "admin"] | None = None
    is_active: StrictBool | None = None
    password: NewPassword | None = None


class UserAnswer(Value):
    """One user."""

    user_id: str
    login: str
    name: str
    role: Literal["user", "admin"]
    is_active: bool
    created_at: Moment


class UsersAnswer(Value):
    """All users."""

    users: Sequence[UserAnswer]
    total: int


class OwnAccount(Conflict):
    """Somebody wanted to do to their own account what is for others to do, or done elsewhere."""

    code = "own-account"


@router.get("")
async def show_users(ports: Ports, caller: _Manager) -> UsersAnswer:
    """Show all users."""
    del caller
    users = await ports.identity.accounts.users()
    return UsersAnswer(users=[_answer(user) for user in users], total=len(users))


@router.post("", status_code=201)
async def add_user(
    asked: NewUser, request: Request, response: Response, ports: Ports, caller: _Manager
) -> UserAnswer:
    """Add a user."""
    identity = ports.identity
    user = User(
        user_id=f"usr_{ports.new_id()}",
        login=asked.login,
        name=asked.name,
        role=asked.role,
        is_active=True,
        created_at=ports.clock.now(),
    )
    hashed = await identity.passwords.hash(asked.password.get_secret_value())
    if not await identity.accounts.add_user(user, hashed):
        raise LoginTaken(asked.login)
    await identity.auditor.note(
        "user.created",
        user.user_id,
        actor=caller.actor,
        detail=f"role {user.role}",
        address=address_of(request),
    )
    response.headers["Location"] = f"/api/v1/users/{user.user_id}"
    return _answer(user)


@router.get("/{user_id}")
async def show_user(user_id: _UserId, ports: Ports, caller: _Manager) -> UserAnswer:
    """Show one user."""
    del caller
    return _answer(await _require(ports, user_id))


@router.patch("/{user_id}")
async def change_user(
    user_id: _UserId, asked: UserChange, request: Request, ports: Ports, caller: _Manager
) -> UserAnswer:
    """Change a user. Another role, another password or none at all ends their sessions."""
    user = await _require(ports, user_id)
    changed = replace(
        user,
        name=user.name if asked.name is None else asked.name,
        role=asked.role or user.role,
        is_active=user.is_active if asked.is_active is None else asked.is_active,
    )
    is_weaker = changed.role != user.role or changed.is_active != user.is_active
    if user_id == caller.subject:
        if is_weaker:
            raise OwnAccount("nobody takes away their own role or account; ask another admin")
        if asked.password is not None:
            raise OwnAccount("your own password is changed by POST /api/v1/auth/password")
    identity = ports.identity
    hashed = None
    if asked.password is not None:
        hashed = await identity.passwords.hash(asked.password.get_secret_value())
    await identity.accounts.change_user(changed, hashed)
    if is_weaker or hashed is not None:
        now = ports.clock.now()
        await identity.accounts.end_sessions(user_id, why="account changed", now=now)
    await identity.auditor.note(
        "user.changed" if changed.is_active else "user.disabled",
        user_id,
        actor=caller.actor,
        detail=", ".join(f"{name}" for name in sorted(asked.model_fields_set)),
        address=address_of(request),
    )
    return _answer(changed)


async def _require(ports: Ports, user_id: str) -> User:
    user = await ports.identity.accounts.user(user_id)
    if user is None:
        raise UnknownUser(user_id)
    return user


def _answer(user: User) -> UserAnswer:
    return UserAnswer(
        user_id=user.user_id,
        login=user.login,
        name=user.name,
        role=user.role,
        is_active=user.is_active,
        created_at=user.created_at,
    )
