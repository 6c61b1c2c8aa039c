"""A message that kills who reads it is found among its neighbours, and buried."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from bus.consuming import Consumer
from bus.dead_letters import (
    DeadLetters,
)
from bus.failpoints import watch
from bus.inbox import Inbox
from bus.messages import Delivery
from bus.recorder import Recorder
from bus.suspects import Ledger, portions
from bus.topology import REPORTS
from domain.errors import TaskloomError
from infra.store.store import DatabaseUnavailable
from tests.bus.test_inbox import delivery, hello
from tests.support.memory_store import MemoryStore
from tests.support.recorders import recording
from tests.support.waiting import until
from tests.support.watched_store import WatchedStore


@dataclass
class MemoryLedger:
    """The ledger in memory."""

    counts: dict[str, int] = field(default_factory=dict[str, int])

    async def entries(self, fingerprints: Sequence[str]) -> Mapping[str, int]:
        return {name: self.counts[name] for name in fingerprints if name in self.counts}

    async def enter(self, fingerprints: Sequence[str]) -> None:
        for name in fingerprints:
            self.counts[name] = self.counts.get(name, 0) + 1

    async def clear(self, fingerprints: Sequence[str]) -> None:
        for name in fingerprints:
            self.counts.pop(name, None)


@dataclass
class Redelivered:
    """A queue whose reader has died once more."""

    envelopes: Sequence[dict[str, Any]]
    queue: str = REPORTS
    acked: list[str] = field(default_factory=list[str])

    async def groups(self, _: int) -> AsyncGenerator["Back"]:
        left = [each for each in self.envelopes if each["id"] not in self.acked]
        yield Back([replace(delivery(each), is_redelivered=True) for each in left], self)
        await asyncio.Event().wait()


@dataclass
class Back:
    """What came again."""

    deliveries: Sequence[Delivery]
    source: Redelivered

    def part(self, start: int, end: int) -> "Back":
        return Back(self.deliveries[start:end], self.source)

    async def ack(self) -> None:
        self.source.acked += [str(each.properties.message_id) for each in self.deliveries]


@dataclass
class Grave:
    """Where dead letters go."""

    buried: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    async def send(self, refused: Sequence[tuple[Delivery, TaskloomError]], *, queue: str) -> None:
        self.buried += [(str(one.properties.message_id), why.code) for one, why in refused]


async def live(source: Redelivered, recorder: Recorder, ledger: Ledger, grave: Grave) -> None:
    """Read what is there until all is answered, or until reading ``hello-a7`` is the end."""
    dies = asyncio.Event()

    def kill(name: str, about: tuple[object, ...]) -> None:
        if name == "inbox.hear" and b'hello-a7"' in cast("bytes", about[0]):
            dies.set()
            raise DatabaseUnavailable(OSError("dead"))

    inbox = Inbox(cast("Consumer", source), recorder, cast("DeadLetters", grave), ledger=ledger)
    watch(kill)
    running = asyncio.create_task(inbox.run())
    try:
        await until(lambda: dies.is_set() or len(source.acked) == 40, "it ends")
    finally:
        watch(None)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_exactly_the_message_that_kills_its_readers_is_buried_after_four() -> None:
    source = Redelivered([hello(f"a{number}") for number in range(40)])
    ledger, grave, watched = MemoryLedger(), Grave(), WatchedStore(MemoryStore())
    lives: list[int] = []
    async with recording(watched) as recorder:
        for _ in range(5):
            lives.append(len(source.acked))
            await live(source, recorder, ledger, grave)
    assert lives == [0, 0, 0, 7, 7]
    assert grave.buried == [("hello-a7", "kills-its-reader")]
    assert len(source.acked) == 40
    assert ledger.counts == {}
    assert sum(watched.appends) == 39


def test_what_was_entered_once_is_read_by_portions_and_what_was_more_often_alone() -> None:
    names = [f"m{number}" for number in range(60)]
    assert list(portions(names, {})) == [(0, 60)]
    once = dict.fromkeys(names, 1)
    assert list(portions(names, once)) == [(0, 25), (25, 50), (50, 60)]
    assert list(portions(names[:5], once | {"m2": 2})) == [(0, 2), (2, 3), (3, 5)]
    twice = dict.fromkeys(names[:3], 2)
    assert list(portions(names[:3], twice)) == [(0, 1), (1, 2), (2, 3)]


async def test_what_comes_again_for_the_first_time_is_read_together() -> None:
    source = Redelivered([hello(f"a{number}") for number in range(40)])
    ledger, watched = MemoryLedger(), WatchedStore(MemoryStore())
    async with recording(watched) as recorder:
        inbox = Inbox(cast("Consumer", source), recorder, cast("DeadLetters", None), ledger=ledger)
        running = asyncio.create_task(inbox.run())
        await until(lambda: len(source.acked) == 40, "all are answered")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert watched.appends == [40]
    assert ledger.counts == {}
