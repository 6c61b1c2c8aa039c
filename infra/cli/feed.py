"""The log as the HTTP API gives it: for those who cannot reach the database."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import orjson

from bus.envelope import decode_recorded
from domain.deciders import EVENTS
from domain.policies import Event
from domain.recorded import Recorded
from infra.cli.client import Client
from infra.cli.formats.exports import LARGEST_LINE

PAUSE = 0.2
"""Seconds between two questions while nothing happens."""


class ApiLog:
    """A log, as its followers know it, behind the API."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read_all(self, *, after: int, limit: int) -> Sequence[Recorded[Event]]:
        """Return at most ``limit`` events after a position."""
        batch: list[Any] = await self._client.get("/events", after=after, limit=limit)
        registry = cast("dict[str, type[Any]]", EVENTS)
        return [
            decode_recorded(orjson.dumps(event), registry, max_bytes=LARGEST_LINE)
            for event in batch
        ]

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 # the wait is bounded, not failed
        """Return after a short while, in which something may have been appended."""
        await asyncio.sleep(min(timeout, PAUSE))


async def position_before(client: Client, plan_id: str) -> int:
    """Return a position that a plan's first event comes soon after.

    The log is in the order of time, so that it is found by halving: a question for each doubling
    of the log, instead of reading it all.
    """
    plan: dict[str, Any] = await client.get(f"/plans/{plan_id}")
    # Clocks of several processes may differ a little, and the answer has whole seconds.
    moment = datetime.fromisoformat(plan["created_at"]) - timedelta(seconds=5)
    log = ApiLog(client)
    low, high = 0, int((await client.get("/status"))["position"] or 0)
    while low < high:
        middle = (low + high) // 2
        found = await log.read_all(after=middle, limit=1)
        if found and found[0].at < moment:
            low = found[0].position
        else:
            high = middle
    return low
