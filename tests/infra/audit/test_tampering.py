"""Whoever may do everything in the database changes the past: the place is named every time."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest

from infra.audit.database import DatabaseSource
from infra.audit.hashing import NOTHING, Seal, seal_hash
from infra.audit.keys import witness_of
from infra.audit.places import Finding
from infra.audit.statements import Statements
from infra.audit.verifying import verify
from tests.support.databases import Copies
from tests.support.sealed import a_sealed_log

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
TIMES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A sealed log, as whoever tampers with it sees it."""

    connection: Connection
    positions: list[int]
    gaps: list[int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the checkpoints and their key are."""
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def sealed(databases: Copies, folder: Path) -> Iterator[str]:
    with databases.one() as dsn:
        asyncio.run(a_sealed_log(dsn, folder))
        yield dsn


@pytest.fixture
def log(sealed: str) -> Iterator[Log]:
    with psycopg.connect(sealed, autocommit=True) as connection:
        rows = connection.execute("select notification_id from events order by 1").fetchall()
        positions = [int(row[0]) for row in rows]
        gaps = sorted(set(range(1, positions[-1])) - set(positions))
        yield Log(connection=connection, positions=positions, gaps=gaps)


@contextmanager
def tampered(log: Log) -> Iterator[Connection]:
    """Let somebody do as they like, and undo it."""
    with log.connection.transaction(force_rollback=True):
        for table in ("events", "seals"):
            log.connection.execute(f"alter table {table} disable trigger user".encode())
        yield log.connection


def found_in(log: Log, statements: Statements | None = None) -> Finding:
    return verify(DatabaseSource(log.connection), statements=statements)


def flip_a_byte(log: Log, chance: random.Random) -> dict[int, str]:
    where = chance.choice(log.positions)
    log.connection.execute(
        "update events set state = set_byte(state, %(at)s %% octet_length(state),"
        " get_byte(state, %(at)s %% octet_length(state)) # (1 << %(bit)s))"
        " where notification_id = %(where)s",
        {"at": chance.randrange(10_000), "bit": chance.randrange(8), "where": where},
    )
    return {where: "changed"}


def change_a_column(log: Log, chance: random.Random) -> dict[int, str]:
    where = chance.choice(log.positions)
    change = chance.choice(
        (
            "topic = 'agent.deregistered'",
            "originator_id = 'agent:eve'",
            "originator_version = 10000",
        )
    )
    log.connection.execute(f"update events set {change} where notification_id = {where}".encode())
    return {where: "changed"}


def delete_an_event(log: Log, chance: random.Random) -> dict[int, str]:
    where = chance.choice(log.positions)
    log.connection.execute("delete from events where notification_id = %s", [where])
    return {where: "missing"}


def swap_what_two_say(log: Log, chance: random.Random) -> dict[int, str]:
    two = chance.sample(log.positions, 2)
    log.connection.execute(
        "update events e set state = o.state from events o"
        " where e.notification_id = any(%(two)s) and o.notification_id = any(%(two)s)"
        " and e.notification_id <> o.notification_id",
        {"two": two},
    )
    return dict.fromkeys(two, "changed")


def swap_two_places(log: Log, chance: random.Random) -> dict[int, str]:
    one, other = chance.sample(log.positions, 2)
    for to, where in ((-1, one), (one, other), (other, -1)):
        log.connection.execute(
            "update events set notification_id = %s where notification_id = %s", [to, where]
        )
    return {one: "reordered", other: "reordered"}


def move_to_a_gap(log: Log, chance: random.Random) -> dict[int, str]:
    where, gap = chance.choice(log.positions), chance.choice(log.gaps)
    log.connection.execute(
        "update events set notification_id = %s where notification_id = %s", [gap, where]
    )
    return {where: "missing", gap: "inserted"}


def insert_an_event(log: Log, chance: random.Random) -> dict[int, str]:
    gap = chance.choice([*log.gaps, 0, -7])
    log.connection.execute(
        "insert into events (originator_id, originator_version, topic, state, notification_id)"
        " values ('agent:eve', 1, 'agent.registered', '{}', %s)",
        [gap],
    )
    return {gap: "inserted"}


Tampering: TypeAlias = Callable[[Log, random.Random], dict[int, str]]
TAMPERINGS: tuple[Tampering, ...] = (
    flip_a_byte,
    change_a_column,
    delete_an_event,
    swap_what_two_say,
    swap_two_places,
    move_to_a_gap,
    insert_an_event,
)


def test_a_log_that_nobody_touched_is_right(log: Log) -> None:
    finding = found_in(log)
    assert finding.is_right
    assert finding.sealed.events == len(log.positions) == 150
    assert finding.sealed.seals == 6
    assert finding.sealed.unsealed == 0


@pytest.mark.proves("S-16a")
def test_a_thousand_tamperings_are_named_with_their_places(log: Log) -> None:
    assert log.gaps
    chance = random.Random(0)
    for number in range(TIMES):
        with tampered(log):
            tampering = TAMPERINGS[number % len(TAMPERINGS)]
            expected = tampering(log, chance)
            finding = found_in(log)
            named = {place.position: place.what for place in finding.bad}
            told = f"{number}: {tampering.__name__} {expected}: {[str(one) for one in finding.bad]}"
            if tampering is swap_what_two_say and finding.is_right:
                continue  # the two have said the same
            assert named == expected, told
            assert finding.bad[0].position == min(expected), told
    assert found_in(log).is_right


def test_the_stream_of_an_event_that_is_gone_is_named(log: Log) -> None:
    with tampered(log) as connection:
        connection.execute(
            "delete from events where originator_id = 'agent:ann3' and originator_version = 7"
        )
        (place,) = found_in(log).bad
    assert (place.what, place.stream, place.version) == ("missing", "agent:ann3", 7)


def seals(connection: Connection) -> list[Seal]:
    return list(DatabaseSource(connection).seals())


@pytest.mark.parametrize("number", [1, 3, 6])
@pytest.mark.parametrize("column", ["hashes", "positions", "previous", "hash"])
def test_a_seal_that_was_changed_is_named(log: Log, number: int, column: str) -> None:
    with tampered(log) as connection:
        connection.execute(
            f"update seals set {column} = set_byte({column}, 9, get_byte({column}, 9) # 1)"
            f" where number = {number}".encode()
        )
        finding = found_in(log)
    rewritten = {place.seal for place in finding.bad if place.what == "seal rewritten"}
    assert number in rewritten
    assert rewritten <= {number, number + 1}


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_seal_that_is_gone_is_named(log: Log, number: int) -> None:
    with tampered(log) as connection:
        connection.execute("delete from seals where number = %s", [number])
        finding = found_in(log)
    assert any(
        place.what == "seal rewritten" and f"seal {number}, before it, is gone" in place.why
        for place in finding.bad
    )


def rewrite_everything(connection: Connection, since: int) -> None:
    """Seal what is there now, from a seal on, as somebody who knows how."""
    previous = NOTHING
    for seal in seals(connection):
        if seal.number >= since:
            hashes = connection.execute(
                "select string_agg(event_hash(notification_id, originator_id, originator_version,"
                " topic, state), '' order by notification_id) from events"
                " where notification_id between %s and %s",
                [seal.first, seal.last],
            ).fetchone()
            assert hashes is not None
            made = Seal(
                number=seal.number,
                first=seal.first,
                last=seal.last,
                count=seal.count,
                positions=seal.positions,
                hashes=hashes[0],
                previous=previous,
                hash=b"",
                sealed_at=seal.sealed_at,
            )
            connection.execute(
                "update seals set hashes = %s, previous = %s, hash = %s where number = %s",
                [made.hashes, previous, seal_hash(made), seal.number],
            )
            previous = seal_hash(made)
        else:
            previous = seal.hash


@pytest.mark.proves("S-16b")
def test_who_rewrites_every_seal_is_caught_by_a_checkpoint(log: Log, folder: Path) -> None:
    def statements() -> Statements:
        witness = witness_of(folder / "signing.key.pub")
        return Statements([folder / "checkpoints.jsonl"], witness)

    assert found_in(log, statements()).checkpoints == 6
    with tampered(log) as connection:
        connection.execute("update events set state = '{}' where notification_id = 60")
        assert found_in(log).bad[0].position == 60
        rewrite_everything(connection, since=1)
        assert found_in(log).is_right
        finding = found_in(log, statements())
    (sealed_in,) = {seal.number for seal in seals(log.connection) if seal.first <= 60 <= seal.last}
    assert {place.what for place in finding.bad} == {"checkpoint"}
    assert finding.bad[0].seal == sealed_in


@pytest.mark.proves("S-16b")
def test_a_log_that_was_cut_off_is_caught_by_a_checkpoint(log: Log, folder: Path) -> None:
    with tampered(log) as connection:
        cut = seals(connection)[-1].first
        connection.execute("delete from events where notification_id >= %s", [cut])
        connection.execute("delete from seals where number = 6")
        assert found_in(log).is_right
        finding = found_in(log, Statements([folder / "checkpoints.jsonl"]))
    (place,) = finding.bad
    assert (place.what, place.seal) == ("checkpoint", 6)
    assert "it is gone" in place.why
