"""Asks agents as soon as there is a connection to the broker."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final, Self

from bus.asking import Asker, Question
from bus.connect import connect
from bus.depths import BrokerUnavailable
from bus.publishing import Publisher
from bus.requests import AgentAnswer
from bus.together import end

_PATIENCE: Final = 1.0
"""Seconds that somebody who asks waits for the broker."""


class AsksSoon:
    """Connects in the background: whoever serves does not wait for a broker that is not there."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open = AsyncExitStack()
        self._opening: asyncio.Task[Asker] | None = None

    async def __aenter__(self) -> Self:
        self._opening = asyncio.create_task(self._connect(), name="asker")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._opening is not None:
            await end((self._opening,))
        await self._open.aclose()

    async def ask(self, question: Question) -> AgentAnswer:
        """Return what the agent answers.

        Raises:
            AgentNotThere: No queue takes requests to it.
            AgentTimeout: It has not answered in so many seconds.
            Unavailable: The broker does not answer.
        """
        assert self._opening is not None, "use it as a context"  # noqa: S101
        done, _ = await asyncio.wait((self._opening,), timeout=_PATIENCE)
        if not done:
            raise BrokerUnavailable(ConnectionError("there is no connection yet"))
        return await self._opening.result().ask(question)

    async def _connect(self) -> Asker:
        connection = await connect(self._url, name="api.requests")
        self._open.push_async_callback(connection.close)
        publisher = await self._open.enter_async_context(Publisher(connection))
        asker = Asker(connection, publisher)
        await asker.listen()
        return asker
