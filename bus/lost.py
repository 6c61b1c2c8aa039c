"""What the calls of the client library end with when their channel or connection is lost."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

import structlog
from aiormq.exceptions import AMQPError, ChannelAccessRefused, ChannelPreconditionFailed

from bus.connect import reconnect_interval

log = structlog.get_logger(__name__)

LOST = (AMQPError, OSError, RuntimeError, TimeoutError)
"""What a call may raise whose broker, connection or channel is not there."""


@contextmanager
def telling_loss() -> Generator[None]:
    """Raise one of ``LOST`` for whatever the calls within end with, for want of a channel.

    aiormq ends the calls that a lost channel leaves unanswered with a bare ``Exception``, or
    cancels them although nobody has cancelled their caller: a loop that catches what it knows ends.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        raise ConnectionError("the channel was closed under a call") from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise ConnectionError("the channel was lost under a call") from error


async def insist(call: Callable[[], Awaitable[None]]) -> None:
    """Call now or when the broker is back.

    Raises:
        AMQPError: The broker refuses, as it would again.
    """
    while True:
        try:
            with telling_loss():
                await call()
        except (ChannelAccessRefused, ChannelPreconditionFailed):
            raise
        except LOST as error:
            log.info("broker.wait", why=str(error))
            await asyncio.sleep(reconnect_interval())
        else:
            return
