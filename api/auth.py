"""Getting in: a password for tokens, a refresh token for the next ones, and the way out."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field, SecretStr, StringConstraints

from api.access import May
from api.asked import Asked
from api.deps import Ports
from api.identity.auditing import address_of
from api.identity.callers import credentials_of
from api.identity.errors import Unauthenticated
from api.identity.passwords import LONGEST, SHORTEST
from api.identity.sessions import ACCESS, REFRESH, Granted
from domain.identity import Caller, Permission, UserRole
from domain.values import Value

router = APIRouter(prefix="/auth", tags=["auth"])

Login = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,199}$", to_lower=True, strip_whitespace=True
    ),
]
"""What somebody logs in with: a name or a mail address."""

_Shown = Annotated[SecretStr, Field(min_length=1, max_length=LONGEST)]
NewPassword = Annotated[SecretStr, Field(min_length=SHORTEST, max_length=LONGEST)]


class LoginRequest(Asked):
    """Who wants to come in."""

    login: Login
    password: _Shown


class RefreshRequest(Asked):
    """The refresh token of the last answer."""

    refresh_token: Annotated[SecretStr, Field(min_length=1, max_length=200)]


class PasswordRequest(Asked):
    """Another password."""

    old_password: _Shown
    new_password: NewPassword


class TokensAnswer(Value):
    """Tokens, as OAuth 2 has them (RFC 6749, section 5.1)."""

    access_token: str
    """Show it as ``Authorization: Bearer …``."""

    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 # the name of a scheme
    expires_in: int
    """Seconds."""

    refresh_token: str
    """For one use: the answer has the next one."""

    refresh_expires_in: int
    user_id: str
    role: UserRole


class CallerAnswer(Value):
    """Who asks."""

    subject: str
    actor: str
    """How the record names them."""

    role: UserRole
    permissions: Sequence[Permission]


class LoggedOut(Value):
    """The session is over."""

    status: Literal["logged_out"] = "logged_out"


@router.post("/login")
async def log_in(
    asked: LoginRequest, request: Request, response: Response, ports: Ports
) -> TokensAnswer:
    """Open a session with a password."""
    granted = await ports.identity.sessions.log_in(
        asked.login, asked.password.get_secret_value(), address=address_of(request)
    )
    return _tokens(granted, response)


@router.post("/refresh")
async def refresh(
    asked: RefreshRequest, request: Request, response: Response, ports: Ports
) -> TokensAnswer:
    """Go on with a session. The refresh token is used up; showing it again ends the session."""
    address = address_of(request)
    granted = await ports.identity.sessions.refresh(
        asked.refresh_token.get_secret_value(),
        client=f"{address} {request.headers.get('user-agent', '')}"[:300],
        address=address,
    )
    return _tokens(granted, response)


@router.post("/logout")
async def log_out(
    request: Request, ports: Ports, caller: Annotated[Caller, Depends(May("status:read"))]
) -> LoggedOut:
    """End the session of the access token: it and its refresh tokens count no more."""
    del caller
    bearer = credentials_of(request).bearer
    if bearer is None:
        raise Unauthenticated("a key has no session; revoke it with DELETE /api/v1/keys/{key_id}")
    await ports.identity.sessions.log_out(bearer, address=address_of(request))
    return LoggedOut()


@router.get("/me")
async def show_caller(caller: Annotated[Caller, Depends(May("status:read"))]) -> CallerAnswer:
    """Show who asks, and what they may do."""
    return CallerAnswer(
        subject=caller.subject,
        actor=caller.actor,
        role=caller.role,
        permissions=sorted(caller.permissions),
    )


@router.post("/password")
async def change_password(
    asked: PasswordRequest,
    request: Request,
    ports: Ports,
    caller: Annotated[Caller, Depends(May("key:manage"))],
) -> LoggedOut:
    """Change one's own password; every session ends, this one as well."""
    await ports.identity.sessions.change_password(
        caller.subject,
        asked.old_password.get_secret_value(),
        asked.new_password.get_secret_value(),
        address=address_of(request),
    )
    return LoggedOut()


def _tokens(granted: Granted, response: Response) -> TokensAnswer:
    response.headers["Cache-Control"] = "no-store"
    return TokensAnswer(
        access_token=granted.access_token,
        expires_in=round(ACCESS.total_seconds()),
        refresh_token=granted.refresh_token,
        refresh_expires_in=round(REFRESH.total_seconds()),
        user_id=granted.user.user_id,
        role=granted.user.role,
    )
