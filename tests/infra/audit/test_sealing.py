"""The log is sealed as it grows, and checkpoints say so in a file."""

import asyncio
import stat
from pathlib import Path

import psycopg
import pytest

from infra.audit import dossier
from infra.audit.checkpoints import Checkpoint, read
from infra.audit.database import DatabaseSource
from infra.audit.dossier import BadDossier, DossierSource
from infra.audit.keys import KeyUnusable, signer_of, witness_of
from infra.audit.places import Finding
from infra.audit.statements import Statements
from infra.audit.verifying import verify
from infra.store.store import PostgresStore
from tests.support.recording import a_life
from tests.support.sealed import a_sealed_log, sealer, skip_a_position
from tests.support.waiting import until


def verified(database: str) -> Finding:
    with psycopg.connect(database, autocommit=True) as connection:
        return verify(DatabaseSource(connection))


def checkpoints(folder: Path) -> list[Checkpoint | None]:
    return [found for _, _, found in read(folder / "checkpoints.jsonl")]


async def test_what_is_appended_is_sealed_once(database: str, tmp_path: Path) -> None:
    async with PostgresStore(database) as store, sealer(database, tmp_path) as (made, _):
        assert await made.seal() == 0
        await store.append(a_life("ann", range(1, 8)))
        assert verified(database).sealed.unsealed == 7
        assert [await made.seal(), await made.seal()] == [7, 0]
        skip_a_position(database)
        await store.append(a_life("bob", range(1, 4)))
        assert await made.seal() == 3
    finding = verified(database)
    assert finding.is_right
    assert (finding.sealed.seals, finding.sealed.events, finding.sealed.unsealed) == (2, 10, 0)


async def test_several_who_seal_at_once_seal_everything_once(database: str, tmp_path: Path) -> None:
    async with (
        PostgresStore(database) as store,
        sealer(database, tmp_path) as (one, _),
        sealer(database, tmp_path) as (other, _),
    ):
        for number in range(10):
            await store.append(a_life(f"ann{number}", range(1, 30)))
            sealed = await asyncio.gather(one.seal(), other.seal(), one.seal(), other.seal())
            assert sum(sealed) == 29
    assert verified(database).is_right


async def test_an_event_that_nobody_can_read_is_sealed(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("insert into events values ('agent:eve', 1, 'os:system', '\\xff00')")
    async with sealer(database, tmp_path) as (made, _):
        assert await made.seal() == 1
    assert verified(database).is_right


@pytest.mark.parametrize("statement", ["update seals set count = 0", "delete from seals"])
async def test_not_even_the_owner_changes_a_seal(
    database: str, tmp_path: Path, statement: str
) -> None:
    async with PostgresStore(database) as store, sealer(database, tmp_path) as (made, _):
        await store.append(a_life("ann", [1]))
        await made.seal()
    with (
        psycopg.connect(database) as connection,
        pytest.raises(psycopg.errors.RestrictViolation, match="the log is append-only"),
    ):
        connection.execute(statement.encode())


async def test_a_checkpoint_is_due_after_so_many_events_or_seconds(
    database: str, tmp_path: Path
) -> None:
    async with (
        PostgresStore(database) as store,
        sealer(database, tmp_path, every=10, seconds=60) as (made, clock),
    ):
        assert await made.testify() is None
        await store.append(a_life("ann", range(1, 4)))
        await made.seal()
        first = await made.testify()
        assert first is not None
        assert (first.seal, first.events) == (1, 3)
        await store.append(a_life("ann", range(4, 7)))
        await made.seal()
        assert await made.testify() is None
        clock.pass_by(60)
        second = await made.testify()
        assert second is not None
        assert second.events == 6
        clock.pass_by(600)
        assert await made.testify() is None, "nothing was sealed since"
        await store.append(a_life("bob", range(1, 11)))
        await made.seal()
        third = await made.testify()
        assert third is not None
        assert third.events == 16
    assert checkpoints(tmp_path) == [first, second, third]


async def test_who_takes_over_goes_on_where_the_file_ends(database: str, tmp_path: Path) -> None:
    await a_sealed_log(database, tmp_path, seals=2, streams=1)
    with (tmp_path / "checkpoints.jsonl").open("ab") as file:
        file.write(b'{"seal":3,"posi')  # a crash
    async with PostgresStore(database) as store, sealer(database, tmp_path, every=1) as (made, _):
        await store.append(a_life("bob", [1]))
        await made.seal()
        assert await made.testify() is not None
    found = checkpoints(tmp_path)
    assert [each.seal for each in found if each] == [1, 2, 3]
    with psycopg.connect(database, autocommit=True) as connection:
        witness = witness_of(tmp_path / "signing.key.pub")
        said = Statements([tmp_path / "checkpoints.jsonl"], witness)
        finding = verify(DatabaseSource(connection), statements=said)
    assert finding.is_right
    assert finding.checkpoints == 3


@pytest.mark.proves("S-16b")
@pytest.mark.parametrize("change", ["signature", "line", "gone", "key"])
async def test_a_forged_checkpoint_is_named(database: str, tmp_path: Path, change: str) -> None:
    await a_sealed_log(database, tmp_path, seals=3, streams=1)
    file = tmp_path / "checkpoints.jsonl"
    lines = file.read_text().splitlines()
    other = signer_of(tmp_path / "other.key")
    public = tmp_path / ("other.key.pub" if change == "key" else "signing.key.pub")
    if change == "signature":
        forged = Checkpoint.model_validate_json(lines[1]).model_copy(update={"events": 1})
        signature = other.sign(forged.said()).hex()
        lines[1] = forged.model_copy(update={"signature": signature}).model_dump_json()
    elif change == "line":
        lines[1] = "{}"
    elif change == "gone":
        del lines[1]
    file.write_text("\n".join(lines) + "\n")
    with psycopg.connect(database, autocommit=True) as connection:
        said = Statements([file], witness_of(public))
        finding = verify(DatabaseSource(connection), statements=said)
    assert {place.what for place in finding.bad} == {"checkpoint"}
    assert "checkpoints.jsonl, line" in finding.bad[0].why


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "audit" / "signing.key"
    made = signer_of(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (
        signer_of(file).key_id
        == made.key_id
        == witness_of(tmp_path / "audit/signing.key.pub").key_id
    )
    assert {one.name for one in file.parent.iterdir()} == {"signing.key", "signing.key.pub"}


def test_a_file_that_holds_no_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "signing.key"
    file.write_text("secret")
    with pytest.raises(KeyUnusable, match=r"signing\.key cannot be used as a key"):
        signer_of(file)
    with pytest.raises(KeyUnusable, match="No such file"):
        witness_of(tmp_path / "none.pub")


async def test_a_dossier_is_verified_without_a_database(database: str, tmp_path: Path) -> None:
    await a_sealed_log(database, tmp_path, seals=3, streams=2)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("insert into events values ('agent:eve', 1, 'os:system', '\\xff00')")
    async with sealer(database, tmp_path) as (made, _):
        await made.seal()
    file = tmp_path / "dossier.jsonl"
    with psycopg.connect(database, autocommit=True) as connection:
        assert dossier.write(file, DatabaseSource(connection)) == 31
    finding = verify(DossierSource(file))
    assert finding.is_right
    assert (finding.sealed.seals, finding.sealed.events) == (4, 31)
    text = file.read_text()
    file.write_text(text.replace("change 9", "change 8", 1))
    (place,) = verify(DossierSource(file)).bad
    assert (place.what, place.version) == ("changed", 9)
    file.write_text(text + "{}\n")
    with pytest.raises(BadDossier, match="neither a seal nor an event"):
        verify(DossierSource(file))


async def test_the_sealer_goes_on_when_its_file_cannot_be_written(
    database: str, tmp_path: Path
) -> None:
    (tmp_path / "checkpoints.jsonl").mkdir()
    async with PostgresStore(database) as store, sealer(database, tmp_path, every=1) as (made, _):
        running = asyncio.create_task(made.run())
        try:
            for number in range(1, 3):
                await store.append(a_life("ann", [number]))
                await until(lambda: not verified(database).sealed.unsealed, "all is sealed")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert verified(database).sealed.seals == 2
