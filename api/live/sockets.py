"""WebSockets: a reader is told in batches, at its own pace, as long as it may listen."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Final

import psycopg
import structlog
from psycopg_pool import PoolTimeout
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.live.door import Recheck, seat_for
from api.live.frames import Frame
from api.live.hub import Ending
from api.problems import problem_of
from bus.together import end
from domain.errors import Refused, TaskloomError, Unavailable

log = structlog.get_logger(__name__)

PACE: Final = 0.1
"""Seconds between two batches: ten a second are enough for anybody."""

PATIENCE: Final = 10.0
"""Seconds that a reader may take to accept a batch."""

ASK_AGAIN: Final = 2.0
"""Seconds between two looks at whether a reader may still listen."""

MOST_SAID: Final = 100
"""Messages of a reader that are passed over; it has nothing to say here."""

NOT_ALLOWED: Final = 1008
FAILED: Final = 1011
RESTARTING: Final = 1012
TRY_AGAIN: Final = 1013

Batches = AsyncGenerator[Sequence[Frame]]


class TooSlow(Exception):  # it is an answer, not a failure
    """A reader has accepted nothing for too long."""


class NothingToSay(Refused):
    """A reader keeps talking, where nobody listens."""

    code = "nothing-to-say"

    def __init__(self) -> None:
        super().__init__("nothing is understood here but a close")


async def serve(
    websocket: WebSocket,
    admit: Callable[[], Awaitable[Recheck]],
    batches: Callable[[], Awaitable[Batches]],
) -> None:
    """Tell a reader what a feed has, until either side ends it."""
    try:
        recheck = await admit()
        told = await batches()
        seat = seat_for(websocket, recheck.caller)
    except TaskloomError as error:
        await websocket.send_denial_response(problem_of(error))
        return
    with seat:
        async with aclosing(told):
            await websocket.accept()
            code, why = await _until_it_ends(websocket, told, recheck)
    if code:
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(1):
                await websocket.close(code, why[:120])


async def _until_it_ends(
    websocket: WebSocket, batches: Batches, recheck: Recheck
) -> tuple[int, str]:
    tasks = [
        asyncio.create_task(_tell(websocket, batches), name="live.tell"),
        asyncio.create_task(_listen(websocket), name="live.listen"),
        asyncio.create_task(_ask_again(recheck), name="live.ask"),
    ]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks)
    return _code_of(next(iter(ended)))


def _code_of(ended: asyncio.Task[None]) -> tuple[int, str]:
    """Return how a connection is closed; 0 where it is closed already."""
    if ended.cancelled():
        return RESTARTING, "restarting"
    match ended.exception():
        case None | WebSocketDisconnect():
            return 0, ""
        case Ending():
            return RESTARTING, "restarting"
        case TooSlow():
            return TRY_AGAIN, "too-slow"
        case Unavailable() as error:
            return TRY_AGAIN, error.code
        case psycopg.OperationalError() | psycopg.InterfaceError() | PoolTimeout():
            return TRY_AGAIN, "database-unavailable"
        case Refused() as error:
            return NOT_ALLOWED, error.code
        case error:
            log.error("live.unexpected", exc_info=error)
            return FAILED, "unexpected"


async def _tell(websocket: WebSocket, batches: Batches) -> None:
    loop = asyncio.get_running_loop()
    async for frames in batches:
        if not frames:
            continue
        began = loop.time()
        try:
            async with asyncio.timeout(PATIENCE):
                for frame in frames:
                    await websocket.send_text(frame.text)
        except TimeoutError as error:
            raise TooSlow from error
        await asyncio.sleep(began + PACE - loop.time())


async def _listen(websocket: WebSocket) -> None:
    for _ in range(MOST_SAID):
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
    raise NothingToSay


async def _ask_again(recheck: Recheck) -> None:
    """Go on as long as the reader may listen."""
    while True:
        await asyncio.sleep(ASK_AGAIN)
        with suppress(Unavailable):
            await recheck()
