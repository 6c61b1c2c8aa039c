"""Logging in, staying in, logging out."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from api.identity.accounts import Accounts, User
from api.identity.attempts import Attempts
from api.identity.auditing import NOBODY, Auditor
from api.identity.errors import SessionOver, WrongPassword
from api.identity.passwords import Passwords
from api.identity.secrets import digest_of, new_secret
from api.identity.tokens import BadToken, Tokens
from bus.ports import Clock

ACCESS: Final = timedelta(minutes=15)
REFRESH: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What somebody gets who may come in."""

    user: User
    access_token: str
    refresh_token: str


class Sessions:
    """Opens sessions for passwords, and carries them on for refresh tokens."""

    def __init__(
        self,
        accounts: Accounts,
        passwords: Passwords,
        tokens: Tokens,
        attempts: Attempts,
        auditor: Auditor,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._tokens = tokens
        self._attempts = attempts
        self._auditor = auditor
        self._clock = clock
        self._new_id = new_id

    async def log_in(self, login: str, password: str, *, address: str) -> Granted:
        """Open a session.

        Raises:
            WrongPassword: The login or the password is wrong, or the user is not active.
            TooManyAttempts: There were too many attempts.
        """
        login = login.strip().lower()
        await self._attempts.begin(login, address)
        found = await self._accounts.find(login)
        user, hashed = found if found is not None and found[0].is_active else (None, None)
        is_right = await self._passwords.verify(hashed, password)
        if user is None or hashed is None or not is_right:
            # What was typed may be anything, a password as well: it is not written down.
            whose = found[0].user_id if found else None
            await self._auditor.note(
                "login",
                whose or "an unknown login",
                actor=f"users/{whose}" if whose else NOBODY,
                outcome="refused",
                address=address,
            )
            raise WrongPassword
        await self._attempts.succeed(login)
        if self._passwords.is_outdated(hashed):
            await self._accounts.change_user(user, await self._passwords.hash(password))
        now = self._clock.now()
        session_id, refresh = f"ses_{self._new_id()}", new_secret()
        await self._accounts.open_session(
            session_id, user.user_id, digest_of(refresh), now=now, until=now + REFRESH
        )
        await self._auditor.note(
            "login", user.user_id, actor=f"users/{user.user_id}", address=address
        )
        return self._granted(user, session_id, refresh)

    async def refresh(self, refresh_token: str, *, client: str, address: str) -> Granted:
        """Return the next tokens for a refresh token, which is used up by that.

        Raises:
            SessionOver: It is unknown or over; shown twice, its whole session ends.
        """
        now, successor = self._clock.now(), new_secret()
        turn = await self._accounts.rotate(
            digest_of(refresh_token),
            digest_of(successor),
            client=client,
            now=now,
            until=now + REFRESH,
        )
        if turn.user is None or turn.rotation != "rotated":
            if turn.rotation == "reused":
                actor = f"users/{turn.user.user_id}" if turn.user else NOBODY
                await self._auditor.note(
                    "refresh.reused", turn.session_id, actor=actor, outcome="refused",
                    detail="the session has ended", address=address,
                )  # fmt: skip
            else:
                await self._attempts.fail(address)
            raise SessionOver
        return self._granted(turn.user, turn.session_id, successor)

    async def log_out(self, access_token: str, *, address: str) -> None:
        """End the session that an access token belongs to.

        Raises:
            SessionOver: It belongs to none.
        """
        now = self._clock.now()
        try:
            claims = self._tokens.read(access_token, now=now)
        except BadToken as bad:
            raise SessionOver from bad
        await self._accounts.end_session(claims.session, why="logout", now=now)
        actor = f"users/{claims.subject}"
        await self._auditor.note("logout", claims.session, actor=actor, address=address)

    async def change_password(self, user_id: str, old: str, new: str, *, address: str) -> None:
        """Give a user another password; every session of theirs ends.

        Raises:
            WrongPassword: The old one is not right.
            TooManyAttempts: There were too many attempts.
        """
        user = await self._accounts.user(user_id)
        if user is None:
            raise WrongPassword
        await self._attempts.begin(user.login, address)
        found = await self._accounts.find(user.login)
        if found is None or not await self._passwords.verify(found[1], old):
            await self._auditor.note(
                "password.changed", user_id, actor=f"users/{user_id}", outcome="refused",
                address=address,
            )  # fmt: skip
            raise WrongPassword
        await self._attempts.succeed(user.login)
        await self._accounts.change_user(user, await self._passwords.hash(new))
        now = self._clock.now()
        await self._accounts.end_sessions(user_id, why="password changed", now=now)
        await self._auditor.note(
            "password.changed", user_id, actor=f"users/{user_id}", address=address
        )

    def _granted(self, user: User, session_id: str, refresh: str) -> Granted:
        access = self._tokens.issue(
            "at+jwt",
            user.user_id,
            session_id,
            token_id=self._new_id(),
            now=self._clock.now(),
            lifetime=ACCESS,
            extra={"user_id": user.user_id, "email": user.login, "role": user.role},
        )
        return Granted(user=user, access_token=access, refresh_token=refresh)
