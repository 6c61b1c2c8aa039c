"""Tells who asks: by an access token, an agent's token, or an API key."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from starlette.requests import HTTPConnection

from api.identity.accounts import Accounts, Key, User
from api.identity.attempts import Attempts
from api.identity.auditing import NOBODY, Auditor, address_of
from api.identity.errors import Unauthenticated
from api.identity.recent import Recent
from api.identity.secrets import KEY_PREFIX, is_secret, split_key
from api.identity.tokens import BadToken, Claims, Tokens
from bus.ports import Clock
from domain.identity import PERMISSIONS, Caller, Permission

_USED_EVERY = timedelta(hours=1)
"""How often it is written down that a key is in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request shows for itself."""

    bearer: str | None
    key: str | None


def credentials_of(request: HTTPConnection) -> Credentials:
    """Return what a request shows.

    Raises:
        Unauthenticated: It shows two things, or something else than a bearer token.
    """
    shown = request.headers.getlist("authorization")
    keys = request.headers.getlist("x-api-key")
    if len(shown) + len(keys) > 1:
        raise Unauthenticated("show one thing: a bearer token, or an X-API-Key")
    bearer = None
    if shown:
        scheme, _, bearer = shown[0].partition(" ")
        if scheme.lower() != "bearer" or not bearer:
            raise Unauthenticated("the header Authorization has to be: Bearer <token>")
    key = keys[0] if keys else None
    if bearer is not None and bearer.startswith(KEY_PREFIX):
        bearer, key = None, bearer
    return Credentials(bearer=bearer, key=key)


class Callers:
    """Knows callers. What was revoked is noticed within a second."""

    def __init__(
        self,
        accounts: Accounts,
        tokens: Tokens,
        attempts: Attempts,
        auditor: Auditor,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._attempts = attempts
        self._auditor = auditor
        self._clock = clock
        now = time.monotonic
        self._sessions: Recent[User | None] = Recent(now)
        self._keys: Recent[tuple[Key, bytes] | None] = Recent(now)
        self._revoked: Recent[datetime | None] = Recent(now)

    async def identify(self, request: HTTPConnection) -> Caller:
        """Return who asks.

        Raises:
            Unauthenticated: Nobody that we know.
            TooManyAttempts: Too many wrong tokens and keys came from there.
        """
        credentials = credentials_of(request)
        address = address_of(request)
        if credentials.key is not None:
            return await self._by_key(credentials.key, address)
        if credentials.bearer is not None:
            return await self._by_token(credentials.bearer, address)
        raise Unauthenticated(
            "say who you are: Authorization: Bearer <token>, or X-API-Key: <key>;"
            " POST /api/v1/auth/login gives a token for a password"
        )

    async def _by_token(self, token: str, address: str) -> Caller:
        try:
            claims = self._tokens.read(token, now=self._clock.now())
        except BadToken as bad:
            await self._attempts.fail(address)  # first: who has to wait writes nothing down
            if bad.is_forged:
                await self._auditor.note(
                    "identity.forged",
                    "token",
                    actor=NOBODY,
                    outcome="refused",
                    detail=str(bad),
                    address=address,
                )
            raise Unauthenticated(str(bad)) from bad
        if claims.kind == "agent+jwt":
            return await self._agent(claims)
        user = await self._sessions.get(
            claims.session, lambda: self._accounts.session_user(claims.session)
        )
        if user is None or user.user_id != claims.subject:
            raise Unauthenticated("the session is over; log in again")
        # What the token says about roles is a hint: the account decides.
        return Caller(subject=user.user_id, role=user.role, permissions=PERMISSIONS[user.role])

    async def _agent(self, claims: Claims) -> Caller:
        not_before = await self._revoked.get(
            claims.subject, lambda: self._accounts.not_before(f"agents/{claims.subject}")
        )
        if not_before is not None and claims.issued_at <= not_before:
            raise Unauthenticated("the agent has been deregistered; register again")
        return Caller(subject=claims.subject, role="agent", permissions=PERMISSIONS["agent"])

    async def _by_key(self, text: str, address: str) -> Caller:
        now = self._clock.now()
        parts = split_key(text)
        found = None
        if parts is not None:
            key_id = parts[0]
            found = await self._keys.get(key_id, lambda: self._accounts.key(key_id))
        if parts is None or found is None or not is_secret(parts[1], found[1]):
            await self._attempts.fail(address)
            raise Unauthenticated("the key is not one of ours")
        key, _ = found
        if key.revoked_at is not None or now >= key.expires_at:
            raise Unauthenticated("the key was revoked or has expired; make a new one")
        if key.last_used_at is None or now - key.last_used_at > _USED_EVERY:
            await self._accounts.key_used(key.key_id, now=now)
            self._keys.forget(key.key_id)
            actor = f"users/{key.owner}"
            await self._auditor.note("key.used", key.key_id, actor=actor, address=address)
        allowed = PERMISSIONS[key.role]
        if key.scopes is not None:
            allowed &= cast("frozenset[Permission]", frozenset(key.scopes))
        return Caller(subject=key.subject, role=key.role, permissions=allowed)
