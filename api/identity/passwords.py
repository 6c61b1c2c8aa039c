"""Passwords: argon2id, off the event loop, two at a time."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST: Final = 12
LONGEST: Final = 256


class Passwords:
    """Hashes and checks. Each costs 64 MiB and some 50 ms on purpose (argon2-cffi's defaults)."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turn = asyncio.Semaphore(2)
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """Return what to store of a password."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Return whether a password is right; without a hash it takes as long to say no."""
        async with self._turn:
            is_right = await asyncio.to_thread(self._verify, hashed, password)
        return is_right and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Return whether a hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def _verify(self, hashed: str | None, password: str) -> bool:
        # Made at the first attempt, whoever it is for: nobody is slower for not being there.
        self._nobody = self._nobody or self._hasher.hash("nobody has this password")
        try:
            return self._hasher.verify(hashed or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
