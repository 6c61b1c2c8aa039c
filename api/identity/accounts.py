"""What is kept about users, their sessions and their keys. Its tables are in ``infra/store``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from domain.identity import UserRole


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody with a password."""

    user_id: str
    login: str
    name: str
    role: Literal["user", "admin"]
    is_active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key, without its secret."""

    key_id: str
    owner: str
    """Who made it: their user id."""

    subject: str
    """Whom it speaks for: its owner, or a service."""

    role: UserRole
    scopes: Sequence[str] | None
    """What it may do of what its role may; None is everything."""

    name: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


Rotation = Literal["rotated", "unknown", "expired", "ended", "reused"]
"""What became of a refresh token that was shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A refresh token for the next one."""

    rotation: Rotation
    session_id: str = ""
    user: User | None = None


class Accounts(Protocol):
    """The tables behind logins. All times are given; secrets come as digests."""

    async def find(self, login: str) -> tuple[User, str] | None:
        """Return a user by what they log in with, and their password's hash."""
        ...

    async def user(self, user_id: str) -> User | None:
        """Return a user."""
        ...

    async def users(self) -> Sequence[User]:
        """Return all users, by their logins."""
        ...

    async def add_user(self, user: User, password: str) -> bool:
        """Add a user; False where the login is taken."""
        ...

    async def change_user(self, user: User, password: str | None = None) -> None:
        """Store what is different; the login and the id stay."""
        ...

    async def open_session(
        self, session_id: str, user_id: str, digest: bytes, *, now: datetime, until: datetime
    ) -> None:
        """Begin a session with its first refresh token."""
        ...

    async def rotate(
        self, digest: bytes, successor: bytes, *, client: str, now: datetime, until: datetime
    ) -> Turn:
        """Use up a refresh token and store the next one, at once or not at all.

        Shown twice it ends its session, unless the same client shows it again within seconds:
        its answer was lost.
        """
        ...

    async def end_session(self, session_id: str, *, why: str, now: datetime) -> None:
        """End a session and with it every token of it."""
        ...

    async def end_sessions(self, user_id: str, *, why: str, now: datetime) -> int:
        """End all sessions of a user, and say how many there were."""
        ...

    async def session_user(self, session_id: str) -> User | None:
        """Return whose session this is, while it lasts and they are active."""
        ...

    async def add_key(self, key: Key, digest: bytes) -> None:
        """Store a key."""
        ...

    async def key(self, key_id: str) -> tuple[Key, bytes] | None:
        """Return a key and the digest of its secret; whoever owns it is active."""
        ...

    async def keys(self, owner: str | None) -> Sequence[Key]:
        """Return the keys of a user, or of all, the latest first."""
        ...

    async def revoke_key(self, key_id: str, owner: str | None, *, now: datetime) -> bool:
        """Revoke a key, of an owner or whosever it is; False where there is none."""
        ...

    async def key_used(self, key_id: str, *, now: datetime) -> None:
        """Remember when a key was used last."""
        ...

    async def revoke_subject(self, subject: str, *, now: datetime) -> None:
        """Let no token of a subject count that was issued before now."""
        ...

    async def not_before(self, subject: str) -> datetime | None:
        """Return before when tokens of a subject count no more, if ever."""
        ...
