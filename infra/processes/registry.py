"""Users, managed by whoever may write the database: the way in where nobody can log in yet."""

import asyncio
import getpass
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal

from uuid_utils.compat import uuid7

from api.identity.accounts import User
from api.identity.auditing import Auditor
from api.identity.errors import LoginTaken, UnknownUser
from api.identity.passwords import Passwords
from bus.ports import SystemClock
from bus.recorder import Recorder
from domain.audit import Act
from domain.errors import Refused
from infra.processes.parts import open_pool, open_store
from infra.settings import Settings
from infra.store.accounts import AccountTables

_LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,199}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The accounts, and the trail of who changed them."""

    accounts: AccountTables
    passwords: Passwords
    auditor: Auditor
    clock: SystemClock

    async def create(
        self, login: str, password: str, *, name: str, role: Literal["user", "admin"]
    ) -> User:
        """Add a user.

        Raises:
            Refused: That is no login.
            LoginTaken: Somebody has it.
        """
        login = login.strip().lower()
        if not _LOGIN.fullmatch(login):
            raise Refused(f"{login!r} is no login: letters, digits and . _ @ + -")
        user = User(
            user_id=f"usr_{uuid7()}",
            login=login,
            name=name,
            role=role,
            is_active=True,
            created_at=self.clock.now(),
        )
        if not await self.accounts.add_user(user, await self.passwords.hash(password)):
            raise LoginTaken(login)
        await self._note("user.created", user, f"role {role}")
        return user

    async def set_password(self, login: str, password: str) -> None:
        """Give a user another password, and end their sessions.

        Raises:
            UnknownUser: There is none.
        """
        user = await self._find(login)
        await self.accounts.change_user(user, await self.passwords.hash(password))
        await self.accounts.end_sessions(user.user_id, why="password changed", now=self.clock.now())
        await self._note("password.changed", user)

    async def disable(self, login: str) -> None:
        """Let a user in no more.

        Raises:
            UnknownUser: There is none.
        """
        user = await self._find(login)
        await self.accounts.change_user(replace(user, is_active=False))
        await self.accounts.end_sessions(user.user_id, why="disabled", now=self.clock.now())
        await self._note("user.disabled", user)

    async def users(self) -> Sequence[User]:
        """Return all users."""
        return await self.accounts.users()

    async def _find(self, login: str) -> User:
        found = await self.accounts.find(login.strip().lower())
        if found is None:
            raise UnknownUser(login)
        return found[0]

    async def _note(self, act: Act, user: User, detail: str = "") -> None:
        actor = f"operators/{getpass.getuser()}"
        await self.auditor.note(act, user.user_id, actor=actor, detail=detail)


@asynccontextmanager
async def registry(settings: Settings, dsn: str) -> AsyncGenerator[Registry]:
    """Open the accounts of a database."""
    clock = SystemClock()
    there = settings.model_copy(update={"db": settings.db.model_copy(update={"dsn": dsn})})
    async with open_store(there) as store, open_pool(there) as pool:
        recorder = Recorder(store, clock)
        recording = asyncio.create_task(recorder.run(), name="recorder")
        try:
            yield Registry(
                accounts=AccountTables(pool),
                passwords=Passwords(),
                auditor=Auditor(recorder.record, clock, lambda: str(uuid7())),
                clock=clock,
            )
        finally:
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)
