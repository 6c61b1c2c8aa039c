"""How often somebody may try to get in."""

import math
import time
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from api.identity.errors import TooManyAttempts

PER_ACCOUNT: Final = 5
PER_ADDRESS: Final = 60


class Attempts:
    """Counts attempts by account and address, in a window that moves; success clears the first."""

    def __init__(self, *, per_account: int = PER_ACCOUNT, per_address: int = PER_ADDRESS) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._account = RateLimitItemPerMinute(per_account, namespace="account")
        self._address = RateLimitItemPerMinute(per_address, namespace="address")

    async def begin(self, account: str, address: str) -> None:
        """Count an attempt to log in.

        Raises:
            TooManyAttempts: There were too many, of this account or from this address.
        """
        await self._hit(self._account, account)
        await self._hit(self._address, address)

    async def succeed(self, account: str) -> None:
        """Forget the attempts of an account whose password was right."""
        await self._limiter.clear(self._account, account)

    async def fail(self, address: str) -> None:
        """Count a token or a key that was wrong.

        Raises:
            TooManyAttempts: There were too many from this address.
        """
        await self._hit(self._address, address)

    async def _hit(self, item: RateLimitItem, key: str) -> None:
        if await self._limiter.hit(item, key):
            return
        window = await self._limiter.get_window_stats(item, key)
        raise TooManyAttempts(max(1, math.ceil(window.reset_time - time.time())))
