"""The tables of users, sessions and keys."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Final, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from api.identity.accounts import Key, Turn, User
from infra.store.pools import connection_of

GRACE: Final = timedelta(seconds=10)
"""For how long the same client may show a refresh token again, because the answer was lost."""

_USER: Final[LiteralString] = (
    "select user_id, login, name, role, is_active, created_at from identity.users"
)
_KEY: Final[LiteralString] = (
    # Whoever is no admin any more has no key of one; a service has the role that it was given.
    "select k.key_id, k.owner, k.subject,"
    " case k.role when 'admin' then u.role else k.role end as role, k.scopes, k.name,"
    " k.created_at, k.expires_at, k.revoked_at, k.last_used_at"
    " from identity.keys k join identity.users u on u.user_id = k.owner"
)


_BY: Final[Mapping[str, LiteralString]] = {
    "login": f"{_USER} where login = %s",
    "user_id": f"{_USER} where user_id = %s",
}
_END: Final[Mapping[str, LiteralString]] = {
    "session_id": "update identity.sessions set ended_at = %s, why = %s"
    " where ended_at is null and session_id = %s",
    "user_id": "update identity.sessions set ended_at = %s, why = %s"
    " where ended_at is null and user_id = %s",
}


class AccountTables:
    """Users, sessions and keys in PostgreSQL."""

    def __init__(self, pool: AsyncConnectionPool, *, patience: float = 5.0) -> None:
        self._pool = pool
        self._patience = patience

    def _connection(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return connection_of(self._pool, patience=self._patience)

    async def find(self, login: str) -> tuple[User, str] | None:
        """Return a user by what they log in with, and their password's hash."""
        async with self._connection() as connection:
            user = await _user(connection, "login", login)
            if user is None:
                return None
            cursor = await connection.execute(
                "select password from identity.users where user_id = %s", [user.user_id]
            )
            row = await cursor.fetchone()
        return None if row is None else (user, str(row[0]))

    async def user(self, user_id: str) -> User | None:
        """Return a user."""
        async with self._connection() as connection:
            return await _user(connection, "user_id", user_id)

    async def users(self) -> Sequence[User]:
        """Return all users, by their logins."""
        async with (
            self._connection() as connection,
            connection.cursor(row_factory=class_row(User)) as cursor,
        ):
            await cursor.execute(f"{_USER} order by login")
            return await cursor.fetchall()

    async def add_user(self, user: User, password: str) -> bool:
        """Add a user; False where the login is taken."""
        async with self._connection() as connection:
            cursor = await connection.execute(
                "insert into identity.users"
                " (user_id, login, name, password, role, is_active, created_at)"
                " values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
                [
                    user.user_id, user.login, user.name, password, user.role, user.is_active,
                    user.created_at,
                ],
            )  # fmt: skip
        return cursor.rowcount == 1

    async def change_user(self, user: User, password: str | None = None) -> None:
        """Store what is different; the login and the id stay.

        Subscriptions were made with the rights of a role: they end with it.
        """
        async with self._connection() as connection, connection.transaction():
            cursor = await connection.execute(
                "select role from identity.users where user_id = %s for update", [user.user_id]
            )
            if not user.is_active or await cursor.fetchone() != (user.role,):
                await _end_subscriptions(connection, f"users/{user.user_id}")
            await connection.execute(
                "update identity.users set name = %s, role = %s, is_active = %s,"
                " password = coalesce(%s, password) where user_id = %s",
                [user.name, user.role, user.is_active, password, user.user_id],
            )

    async def open_session(
        self, session_id: str, user_id: str, digest: bytes, *, now: datetime, until: datetime
    ) -> None:
        """Begin a session with its first refresh token."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute(
                "insert into identity.sessions (session_id, user_id, opened_at)"
                " values (%s, %s, %s)",
                [session_id, user_id, now],
            )
            await _add_token(connection, digest, session_id, until)
            # What nobody can use any more need not be kept.
            await connection.execute(
                "delete from identity.sessions s where user_id = %s and not exists"
                " (select from identity.refresh_tokens t where t.session_id = s.session_id"
                "  and t.expires_at > %s)",
                [user_id, now],
            )

    async def rotate(
        self, digest: bytes, successor: bytes, *, client: str, now: datetime, until: datetime
    ) -> Turn:
        """Use up a refresh token and store the next one, at once or not at all."""
        async with self._connection() as connection, connection.transaction():
            cursor = await connection.execute(
                "select t.session_id, t.expires_at, t.used_at, t.used_by, s.ended_at, s.user_id"
                " from identity.refresh_tokens t join identity.sessions s using (session_id)"
                " where t.digest = %s for update",
                [digest],
            )
            row = await cursor.fetchone()
            if row is None:
                return Turn(rotation="unknown")
            session_id, expires_at, used_at, used_by, ended_at, user_id = row
            user = await _user(connection, "user_id", user_id)
            turn = Turn(rotation="rotated", session_id=session_id, user=user)
            if ended_at is not None or user is None or not user.is_active:
                return Turn(rotation="ended", session_id=session_id)
            if used_at is not None and (used_by != client or now - used_at > GRACE):
                await _end(connection, "session_id", session_id, "refresh token reused", now)
                return Turn(rotation="reused", session_id=session_id, user=user)
            if now >= expires_at:
                return Turn(rotation="expired", session_id=session_id)
            await connection.execute(
                "update identity.refresh_tokens set used_at = coalesce(used_at, %s), used_by = %s"
                " where digest = %s",
                [now, client, digest],
            )
            await _add_token(connection, successor, session_id, until)
            return turn

    async def end_session(self, session_id: str, *, why: str, now: datetime) -> None:
        """End a session and with it every token of it."""
        async with self._connection() as connection:
            await _end(connection, "session_id", session_id, why, now)

    async def end_sessions(self, user_id: str, *, why: str, now: datetime) -> int:
        """End all sessions of a user, and say how many there were."""
        async with self._connection() as connection:
            return await _end(connection, "user_id", user_id, why, now)

    async def session_user(self, session_id: str) -> User | None:
        """Return whose session this is, while it lasts and they are active."""
        async with (
            self._connection() as connection,
            connection.cursor(row_factory=class_row(User)) as cursor,
        ):
            await cursor.execute(
                "select u.user_id, u.login, u.name, u.role, u.is_active, u.created_at"
                " from identity.sessions s join identity.users u using (user_id)"
                " where s.session_id = %s and s.ended_at is null and u.is_active",
                [session_id],
            )
            return await cursor.fetchone()

    async def add_key(self, key: Key, digest: bytes) -> None:
        """Store a key; one that has its id is replaced."""
        async with self._connection() as connection:
            await connection.execute(
                "insert into identity.keys (key_id, digest, owner, subject, role, scopes, name,"
                " created_at, expires_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " on conflict (key_id) do update set digest = excluded.digest,"
                " expires_at = excluded.expires_at, revoked_at = null",
                [
                    key.key_id, digest, key.owner, key.subject, key.role,
                    None if key.scopes is None else list(key.scopes), key.name, key.created_at,
                    key.expires_at,
                ],
            )  # fmt: skip

    async def key(self, key_id: str) -> tuple[Key, bytes] | None:
        """Return a key and the digest of its secret; whoever owns it is active."""
        async with (
            self._connection() as connection,
            connection.cursor(row_factory=class_row(Key)) as cursor,
        ):
            await cursor.execute(
                f"{_KEY} where k.key_id = %s and u.is_active",
                [key_id],
            )
            key = await cursor.fetchone()
            if key is None:
                return None
            found = await connection.execute(
                "select digest from identity.keys where key_id = %s", [key_id]
            )
            row = await found.fetchone()
        return None if row is None else (key, bytes(row[0]))

    async def keys(self, owner: str | None) -> Sequence[Key]:
        """Return the keys of a user, or of all, the latest first."""
        async with (
            self._connection() as connection,
            connection.cursor(row_factory=class_row(Key)) as cursor,
        ):
            await cursor.execute(
                f"{_KEY} where %(owner)s::text is null or k.owner = %(owner)s"
                " order by k.created_at desc, k.key_id limit 1000",
                {"owner": owner},
            )
            return await cursor.fetchall()

    async def revoke_key(self, key_id: str, owner: str | None, *, now: datetime) -> bool:
        """Revoke a key, of an owner or whosever it is; False where there is none.

        The subscriptions of a service end with its last key.
        """
        async with self._connection() as connection, connection.transaction():
            cursor = await connection.execute(
                "update identity.keys set revoked_at = coalesce(revoked_at, %(now)s)"
                " where key_id = %(key)s and (%(owner)s::text is null or owner = %(owner)s)"
                " returning case role when 'system' then subject end",
                {"now": now, "key": key_id, "owner": owner},
            )
            row = await cursor.fetchone()
            if row is not None and row[0] is not None:
                cursor = await connection.execute(
                    "select from identity.keys where subject = %s and role = 'system'"
                    " and revoked_at is null and expires_at > %s limit 1",
                    [row[0], now],
                )
                if await cursor.fetchone() is None:
                    await _end_subscriptions(connection, f"services/{row[0]}")
        return row is not None

    async def key_used(self, key_id: str, *, now: datetime) -> None:
        """Remember when a key was used last."""
        async with self._connection() as connection:
            await connection.execute(
                "update identity.keys set last_used_at = %s where key_id = %s", [now, key_id]
            )

    async def revoke_subject(self, subject: str, *, now: datetime) -> None:
        """Let no token of a subject count that was issued before now, and no subscription."""
        async with self._connection() as connection, connection.transaction():
            await _end_subscriptions(connection, subject)
            await connection.execute(
                "insert into identity.revoked (subject, not_before) values (%s, %s)"
                " on conflict (subject) do update set not_before = excluded.not_before",
                [subject, now],
            )

    async def not_before(self, subject: str) -> datetime | None:
        """Return before when tokens of a subject count no more, if ever."""
        async with self._connection() as connection:
            cursor = await connection.execute(
                "select not_before from identity.revoked where subject = %s", [subject]
            )
            row = await cursor.fetchone()
        return None if row is None else row[0]


async def _user(connection: AsyncConnection, column: str, value: str) -> User | None:
    async with connection.cursor(row_factory=class_row(User)) as cursor:
        await cursor.execute(_BY[column], [value])
        return await cursor.fetchone()


async def _end_subscriptions(connection: AsyncConnection, actor: str) -> None:
    await connection.execute(
        "update subscriptions set state = 'disabled', last_error = %s"
        " where owner = %s and state = 'active'",
        ["whoever made it was let out", actor],
    )


async def _add_token(
    connection: AsyncConnection, digest: bytes, session_id: str, until: datetime
) -> None:
    await connection.execute(
        "insert into identity.refresh_tokens (digest, session_id, expires_at) values (%s, %s, %s)",
        [digest, session_id, until],
    )


async def _end(
    connection: AsyncConnection, column: str, value: str, why: str, now: datetime
) -> int:
    cursor = await connection.execute(_END[column], [now, why, value])
    return cursor.rowcount
