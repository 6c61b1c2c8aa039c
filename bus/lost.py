"""What the calls of the client library end with when their channel or connection is lost."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from aiormq.exceptions import AMQPError

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
