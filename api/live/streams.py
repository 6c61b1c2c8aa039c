"""Server-sent events: the same updates for whoever has only HTTP, ``curl`` for one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import ExitStack, aclosing, suppress

import psycopg
from psycopg_pool import PoolTimeout
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from api.live.door import Recheck
from api.live.frames import Frame
from api.live.hub import Ending
from api.live.sockets import ASK_AGAIN, PACE, PATIENCE, Batches, TooSlow
from domain.errors import Refused, Unavailable

EVENT_STREAM = "text/event-stream"

_ENDS = (Ending, Refused, Unavailable, psycopg.Error, PoolTimeout)
"""What ends a stream: the reader asks again with ``Last-Event-ID``, and is answered what is so."""


class Updates(StreamingResponse):
    """Frames as server-sent events, for a reader that accepts them in time."""

    def __init__(self, batches: Batches, recheck: Recheck, seat: ExitStack) -> None:
        """Take what is told, whether it still may be, and what is closed when it ends."""
        self._seat = seat
        super().__init__(
            _told(batches, recheck),
            media_type=EVENT_STREAM,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until either side ends it."""

        async def patiently(message: Message) -> None:
            try:
                async with asyncio.timeout(PATIENCE):
                    await send(message)
            except TimeoutError as error:
                raise TooSlow from error

        with self._seat, suppress(TooSlow):
            await super().__call__(scope, receive, patiently)


def event_of(frame: Frame) -> str:
    """Return a frame as one server-sent event; only what is recorded has an id."""
    place = f"id: {frame.position}\n" if frame.position else ""
    return f"event: {frame.type}\n{place}data: {frame.text}\n\n"


async def _told(batches: Batches, recheck: Recheck) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    asked = loop.time()
    yield "retry: 1000\n\n"
    try:
        async with aclosing(_ticking(batches)) as told:
            async for frames in told:
                if loop.time() - asked > ASK_AGAIN:
                    with suppress(Unavailable):
                        await recheck()
                    asked = loop.time()
                if frames:
                    yield "".join(map(event_of, frames))
                    await asyncio.sleep(PACE)
    except _ENDS:
        return


async def _ticking(batches: Batches) -> AsyncGenerator[Sequence[Frame]]:
    """Yield batches, and nothing every now and then while there is none."""
    async with aclosing(batches):
        coming = asyncio.ensure_future(anext(batches))
        try:
            while True:
                done, _ = await asyncio.wait([coming], timeout=ASK_AGAIN)
                if not done:
                    yield ()
                    continue
                yield coming.result()
                coming = asyncio.ensure_future(anext(batches))
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await coming
