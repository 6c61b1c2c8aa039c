"""The log of a stack as the domain knows it: what is personal in it is opened with its key."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from domain.policies import Event
from domain.recorded import Recorded
from infra.store.kek import Kek
from infra.store.store import PostgresStore
from tests.system.processes import Stack

Kind = TypeVar("Kind")


async def read_log(stack: Stack, stream: str = "") -> Sequence[Recorded[Event]]:
    """Return what is recorded, of one stream or of all."""
    kek = Kek.of_file(stack.folder / "state" / "keys" / "kek")
    async with PostgresStore(stack.dsn, pool_max=1, kek=kek) as store:
        if stream:
            return await store.read(stream)
        found: list[Recorded[Event]] = []
        while page := await store.read_all(after=found[-1].position if found else 0, limit=1_000):
            found += page
        return found


def log_of(stack: Stack, stream: str = "") -> Sequence[Recorded[Event]]:
    """Return the same where no loop runs."""
    return asyncio.run(read_log(stack, stream))


def of_type(events: Sequence[Recorded[Event]], kind: type[Kind]) -> Sequence[Kind]:
    """Return the events of one kind."""
    return [each.event for each in events if isinstance(each.event, kind)]
