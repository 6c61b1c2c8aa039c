"""Signatures of agents: right ones count, all others are refused, and revoked keys within 2 s."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from psycopg_pool import AsyncConnectionPool

from agents.kit.identity import Identity
from agents.kit.reporter import Reporter
from bus.gate import Gate
from bus.heard import Heard, hear
from bus.messages import Delivery, arrived
from bus.recorder import Recorder
from bus.refusals import IdentityMismatch
from bus.signatures import BELIEVED, Signatures, Strictness
from bus.signing import (
    SIGNATURE,
    BadKey,
    Said,
    SigningKey,
    canonical,
    key_of,
    read_key,
    sign,
    signature_headers,
)
from domain.agent import AgentDeregistered, AgentRegistered, agent_stream
from infra.store.agent_keys import AgentKeyTable
from tests.support.inboxes import World, delivery, hello
from tests.support.recorders import recording
from tests.support.recording import recorded

SECRET = b"a secret of thirty-two characters"
SIGNED = "ce1e5c3bf1d28740ce2a9b7e686861148801fed69d9af7858f04be44b80d6971"


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(database, min_size=1, max_size=2, open=False) as pool:
        yield pool


@pytest.fixture
def keys(pool: AsyncConnectionPool) -> AgentKeyTable:
    return AgentKeyTable(pool, SECRET)


def signed(
    key: SigningKey, agent_id: str = "ann", *, ident: str = "", **changes: object
) -> Delivery:
    """Return a registration with the signature that its own agent would give it."""
    plain = delivery(hello(agent_id, "CAD", ident))
    report = hear(plain).report
    assert report is not None
    said = Said(message_id=report.id, body=report.body, sent=plain.body)
    headers = {**signature_headers(key, said), **changes}
    return delivery(hello(agent_id, "CAD", ident), headers=headers)


def world(keys: AgentKeyTable, strictness: Strictness = "require") -> World:
    made = World()
    made.signatures = Signatures(keys, made.clock, strictness=strictness)
    return made


async def test_what_an_agent_has_signed_is_heard(keys: AgentKeyTable) -> None:
    key = await keys.issue("ann", by="test")
    assert await world(keys).hear([signed(key)]) == []


@pytest.mark.proves("S-12b", "A-08")
async def test_what_is_not_signed_is_refused_where_all_sign(keys: AgentKeyTable) -> None:
    assert await world(keys).hear([delivery(hello("ann"))]) == ["missing-signature"]
    assert await world(keys, "verify").hear([delivery(hello("ann"))]) == []


@pytest.mark.proves("S-12b")
async def test_what_is_signed_otherwise_is_refused(keys: AgentKeyTable) -> None:
    ann, bob = await keys.issue("ann", by="test"), await keys.issue("bob", by="test")
    altered = signed(ann)
    forged = Delivery(
        body=altered.body.replace(b'"CAD"', b'"SIM"'),
        tag=1,
        exchange=altered.exchange,
        key=altered.key,
        is_redelivered=False,
        properties=altered.properties,
    )
    of_another = signed(bob, "ann")
    unknown = signed(key_of(b"another secret", key_id="key_x", agent_id="ann"))
    wrong = signed(ann, **{SIGNATURE: "00" * 32})
    odd = signed(ann, **{SIGNATURE: "é" * 64})
    told = world(keys, "verify")
    for message in (forged, of_another, unknown, wrong, odd):
        assert await told.hear([message]) == ["bad-signature"]
    assert "agent.registered" not in told.types


@pytest.mark.proves("S-14b")
async def test_a_revoked_key_counts_for_two_seconds_at_most(keys: AgentKeyTable) -> None:
    told = world(keys)
    key = await keys.issue("ann", by="test")
    assert await told.hear([signed(key)]) == []
    assert await keys.revoke("ann", because="stolen") == 1
    told.clock.pass_by(BELIEVED.total_seconds())
    assert await told.hear([signed(key, ident="again")]) == ["bad-signature"]
    assert timedelta(seconds=2) >= BELIEVED


@pytest.mark.proves("S-14b")
@pytest.mark.parametrize(
    ("actor", "expected"), [("users/ada", ["bad-signature"]), ("agents/ann", [])]
)
async def test_deregistering_an_agent_voids_its_keys_and_a_goodbye_does_not(
    keys: AgentKeyTable, actor: str, expected: list[str]
) -> None:
    told = world(keys)
    key = await keys.issue("ann", by="test")
    assert await told.hear([signed(key)]) == []
    event = recorded(agent_stream("ann"), 2, AgentDeregistered(agent_id="ann"))
    gone = type(event)(
        id=event.id,
        position=9,
        stream=event.stream,
        version=2,
        event=event.event,
        at=event.at,
        actor=actor,
        correlation_id="c",
    )
    async with recording(told.store, clock=told.clock) as recorder:
        later = await keys.replace("ann", by="ann", since=3)  # it is back before that is heard
        await gate(told, recorder).revoke([gone])
    assert await told.hear([signed(key, ident="again")]) == expected
    assert await told.hear([signed(later, ident="back")]) == []


async def test_a_replaced_key_counts_for_what_is_on_its_way_and_no_longer(
    pool: AsyncConnectionPool,
) -> None:
    patient, strict = AgentKeyTable(pool, SECRET), AgentKeyTable(pool, SECRET, grace=timedelta())
    first = await patient.issue("ann", by="cli")
    second = await patient.replace("ann", by="ann", since=3)
    assert await world(patient).hear([signed(first), signed(second, ident="2")]) == []
    third = await strict.replace("ann", by="ann", since=3)
    told = world(strict)
    assert await told.hear([signed(second), signed(third, ident="3")]) == ["replaced-key"]
    assert await told.hear([signed(second, **{SIGNATURE: "00" * 32})]) == ["bad-signature"]


async def test_who_signs_with_a_replaced_key_has_not_offended(pool: AsyncConnectionPool) -> None:
    keys = AgentKeyTable(pool, SECRET, grace=timedelta())
    old = await keys.issue("ann", by="test")
    await keys.replace("ann", by="ann", since=3)
    told = world(keys)
    late = [signed(old, ident=f"late-{number}") for number in range(3)]
    assert await told.hear(late) == ["replaced-key"] * 3
    assert told.types == []


async def test_a_deregistration_voids_no_key_that_was_handed_out_since(
    keys: AgentKeyTable,
) -> None:
    old = await keys.replace("ann", by="ann", since=1)
    new = await keys.replace("ann", by="ann", since=3)
    assert await keys.revoke("ann", because="deregistered", before=2) == 1
    assert await world(keys).hear([signed(old), signed(new, ident="2")]) == ["bad-signature"]
    assert await keys.revoke("ann", because="deregistered", before=4) == 1
    assert await world(keys).hear([signed(new, ident="3")]) == ["bad-signature"]


def test_a_key_is_not_shown_by_accident() -> None:
    key = key_of(SECRET, key_id="key_1", agent_id="ann")
    assert key.encoded not in repr(key)
    assert str(key.secret) not in repr(key)


def gate(told: World, recorder: Recorder) -> Gate:
    return Gate(told.store, recorder, told.clock, signatures=told.signatures)


async def test_who_signs_is_suspended_alone_after_three_offences(keys: AgentKeyTable) -> None:
    told = world(keys)
    ann, bob = await keys.issue("ann", by="test"), await keys.issue("bob", by="test")
    lies: list[Heard] = []
    for number in range(3):
        message = signed(ann, ident=f"lie-{number}")
        lies.append(Heard(message, None, signer="ann"))
    async with recording(told.store, clock=told.clock) as recorder:
        for lie in lies:
            lie.refuse(IdentityMismatch("she is another"))
        await gate(told, recorder).tell(lies)
    assert await told.hear([signed(ann), signed(bob, "bob")]) == ["suspended"]


def test_a_key_is_read_as_it_is_written() -> None:
    key = key_of(SECRET, key_id="key_1", agent_id="ann")
    assert read_key(f" {key}\n") == key
    for wrong in ("", "key_1", "key_1:", "key_1:AAAA", "key_1:é", f"key_1:{'A' * 44}"):
        with pytest.raises(BadKey):
            read_key(wrong)


def test_other_languages_sign_the_same() -> None:
    """What the page for other systems promises, byte for byte."""
    report = hear(delivery(hello("ann"))).report
    assert report is not None
    lines = canonical(Said(message_id="hello-ann", body=report.body, sent=b'{"a":1}'))
    assert lines == (
        b"taskloom-hmac-1\nhello-ann\nagent.registered\n\n\nann\n"
        b"015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    )
    key = SigningKey(key_id="key_1", secret=bytes(range(32)))
    assert sign(key, lines) == SIGNED


async def nothing() -> None:
    """Restore nothing: nobody has taken anything away."""


async def test_what_our_own_agents_sign_and_compress_is_heard(keys: AgentKeyTable) -> None:
    told = world(keys)
    key = await keys.issue("ann", by="test")
    identity = Identity(agent_id="ann", agent_type="CAD", role="execution")
    reporter = Reporter(told.letters, identity, restore=nothing, clock=told.clock, key=key)
    reporter.compresses = True
    registered = AgentRegistered(
        agent_id="ann",
        agent_type="CAD",
        instance="1",
        encodings=("gzip",),
        metadata={str(number): f"some text {number * 7919}" for number in range(400)},
    )
    plain = AgentRegistered(agent_id="ann", agent_type="CAD", instance="1", encodings=("gzip",))
    first = reporter.report(plain, origin="1")
    large = reporter.report(registered, origin="2")
    assert (first.content_encoding, large.content_encoding) == (None, "gzip")
    assert await told.hear([arrived(first, tag=1)], [arrived(large, tag=1)]) == []
    assert told.types == ["agent.registered"] * 2
