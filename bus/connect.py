"""Connections to the broker that come back by themselves.

Publishing and consuming take a connection each: a broker that runs short of memory stops reading
from connections that publish, and the acknowledgements of a consumer must not wait behind that.
"""

import random
from urllib.parse import urlsplit

from aio_pika import RobustConnection, connect_robust
from yarl import URL

RECONNECT_INTERVAL = 0.2
"""Seconds between two attempts to connect, before the jitter."""

HEARTBEAT = 10
"""Seconds; the broker gives false alarms below 5."""

CONNECT_TIMEOUT = 5.0


def with_heartbeat(url: str, *, name: str) -> str:
    """Return the URL with our heartbeat and the name that the management console shows."""
    address = URL(url)
    ours = {"heartbeat": str(HEARTBEAT), "name": name}
    return str(address.update_query({**ours, **address.query}))


def reconnect_interval() -> float:
    """Return seconds between two attempts, not the same for everybody."""
    return RECONNECT_INTERVAL * random.uniform(1.0, 1.5)  # noqa: S311 # no secret, only not in step


class _Closing(RobustConnection):
    """Leaves nothing behind when its first attempt is given up.

    The library goes on reconnecting for ever then, whatever is cancelled, although nobody has
    anything that could be closed: a process could not end.
    """

    async def connect(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 # as the library's
        try:
            await super().connect(timeout)
        except BaseException:
            await self.close()
            raise


async def connect(url: str, *, name: str, is_patient: bool = True) -> RobustConnection:
    """Connect, and stay connected until closed.

    Someone patient waits for a broker that is not there yet; somebody else hears of it at once.

    Raises:
        ConnectionError: There is no broker, and the caller is not patient.
    """
    return await connect_robust(
        with_heartbeat(url, name=name),
        timeout=CONNECT_TIMEOUT,
        reconnect_interval=reconnect_interval(),
        fail_fast=not is_patient,
        connection_class=_Closing,
    )


def user_of(connection: RobustConnection) -> str:
    """Return the name that a connection is known by to the broker."""
    return connection.url.user or "guest"


def without_password(url: str) -> str:
    """Return the URL as it may be shown."""
    address = urlsplit(url)
    return address._replace(netloc=address.netloc.rpartition("@")[2], query="").geturl()
