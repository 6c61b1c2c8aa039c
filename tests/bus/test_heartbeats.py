"""Whose heartbeats are heard: those that an agent has signed itself, where agents sign."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from psycopg_pool import AsyncConnectionPool

from bus.heartbeats import MOST_WAITING, Believing
from bus.messages import Delivery, arrived
from bus.signals import Heartbeat, encode_heartbeat
from bus.signatures import BELIEVED, KnownKey, Signatures, Strictness
from bus.signing import SIGNATURE, SigningKey, key_of
from domain.errors import Unavailable
from infra.store.agent_keys import AgentKeyTable
from tests.support.heartbeats import a_heartbeat
from tests.support.inboxes import SteppedClock
from tests.support.waiting import until

SECRET = b"a secret of thirty-two characters"
ANN, BOB = a_heartbeat(), a_heartbeat(agent_id="bob")


class Keys(AgentKeyTable):
    """The keys of a database that can fall silent."""

    is_silent = False
    answers: asyncio.Event | None = None
    """Without it they answer at once."""

    async def known(self, key_ids: Sequence[str]) -> Mapping[str, KnownKey]:
        if self.is_silent:
            raise Unavailable("the database does not answer")
        if self.answers is not None:
            await self.answers.wait()
        return await super().known(key_ids)


@pytest.fixture
async def keys(database: str) -> AsyncIterator[Keys]:
    async with AsyncConnectionPool(database, min_size=1, max_size=2, open=False) as pool:
        yield Keys(pool, SECRET)


class Ear:
    """Hears what is believed."""

    def __init__(self, keys: Keys, strictness: Strictness = "require") -> None:
        self.clock = SteppedClock()
        self.believing = Believing(
            signatures=Signatures(keys, self.clock, strictness=strictness),
        )

    async def hears(self, *said: Delivery) -> Sequence[str]:
        """Return the agents that are heard of those that speak."""
        heard: list[str] = []
        for delivery in said:
            self.believing.hear(delivery, lambda heartbeat: heard.append(heartbeat.agent_id))
        await self.believing.look()
        return heard


def beat(heartbeat: Heartbeat, key: SigningKey | None, *, message_id: str = "1/1") -> Delivery:
    return arrived(encode_heartbeat(heartbeat, message_id=message_id, key=key))


@pytest.mark.proves("S-12e")
async def test_an_agent_is_heard_that_signs_and_nobody_else_in_its_name(keys: Keys) -> None:
    ann, bob = await keys.issue("ann", by="test"), await keys.issue("bob", by="test")
    own = beat(ANN, ann)
    unsigned, of_bob = beat(ANN, None), beat(ANN, bob)
    unknown = beat(ANN, key_of(b"another secret", key_id="key_x", agent_id="ann"))
    altered = replace(own, body=own.body.replace(b'"ready"', b'"error"'))
    twice = replace(own, properties=replace(own.properties, message_id="1/2"))
    odd = replace(own.properties, headers={**(own.properties.headers or {}), SIGNATURE: "é"})
    forged = (of_bob, unknown, altered, twice, replace(own, properties=odd))
    assert altered.body != own.body
    assert await Ear(keys).hears(unsigned, *forged, own, beat(BOB, bob)) == ["ann", "bob"]
    lenient = Ear(keys, "verify")
    for _ in range(2):  # the second time their keys are at hand
        assert await lenient.hears(*forged) == []
        assert await lenient.hears(unsigned) == ["ann"]


@pytest.mark.proves("S-14b")
async def test_a_revoked_key_keeps_no_lease_for_longer_than_two_seconds(keys: Keys) -> None:
    ear, key = Ear(keys), await keys.issue("ann", by="test")
    assert await ear.hears(beat(ANN, key)) == ["ann"]
    await keys.revoke("ann", because="stolen")
    ear.clock.pass_by(BELIEVED.total_seconds())
    assert await ear.hears(beat(ANN, key)) == []
    assert timedelta(seconds=2) >= BELIEVED


async def test_a_silent_database_makes_nobody_silent_who_was_known(keys: Keys) -> None:
    ear = Ear(keys)
    ann, bob = await keys.issue("ann", by="test"), await keys.issue("bob", by="test")
    assert await ear.hears(beat(ANN, ann)) == ["ann"]
    keys.is_silent = True
    ear.clock.pass_by(60)
    assert await ear.hears(beat(ANN, ann), beat(ANN, bob), beat(BOB, bob)) == ["ann"]
    keys.is_silent = False
    assert await ear.hears(beat(BOB, bob)) == ["bob"]


async def test_a_slow_database_makes_nobody_silent_who_was_known(keys: Keys) -> None:
    ear = Ear(keys)
    ann, bob = await keys.issue("ann", by="test"), await keys.issue("bob", by="test")
    assert await ear.hears(beat(ANN, ann)) == ["ann"]
    keys.answers = asyncio.Event()
    ear.clock.pass_by(60)
    assert await ear.hears(beat(ANN, ann), beat(BOB, bob)) == ["ann"]
    keys.answers.set()
    await ear.hears(beat(ANN, ann))
    assert await ear.hears(beat(BOB, bob)) == ["bob"]


@pytest.mark.proves("S-12e")
async def test_a_key_that_can_be_nobodys_harms_nobody(keys: Keys) -> None:
    odd = key_of(b"another secret", key_id="a\0b", agent_id="ann")
    ann = await keys.issue("ann", by="test")
    assert await Ear(keys, "verify").hears(beat(ANN, odd), beat(ANN, ann)) == ["ann"]


async def test_what_waits_is_bounded(keys: Keys) -> None:
    ear, key = Ear(keys), await keys.issue("ann", by="test")
    large = beat(a_heartbeat(instance="i" * 200), key)
    most = MOST_WAITING // len(large.body) + 1
    assert len(await ear.hears(*[large] * (most + 10))) == most


async def test_what_was_said_while_nobody_looked_is_no_news(keys: Keys) -> None:
    ear, key = Ear(keys), await keys.issue("ann", by="test")
    heard: list[str] = []
    ear.believing.hear(beat(ANN, key), lambda _: heard.append("before"))
    looking = asyncio.create_task(ear.believing.run())
    await asyncio.sleep(0)
    ear.believing.hear(beat(ANN, key), lambda _: heard.append("now"))
    await until(lambda: heard != [], "what is said now")
    looking.cancel()
    assert heard == ["now"]
