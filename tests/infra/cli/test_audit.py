"""``taskloom audit`` as its users start it."""

from pathlib import Path

import psycopg
import pytest

from infra.cli.exits import Exit
from tests.infra.cli.taskloom import Shell
from tests.support.sealed import a_sealed_log


@pytest.fixture
async def sealed(database: str, tmp_path: Path) -> Shell:
    """A shell whose database is sealed, with checkpoints where they are by default."""
    await a_sealed_log(database, tmp_path / ".taskloom" / "audit", seals=2, streams=2)
    return Shell(folder=tmp_path, env={"TASKLOOM_DB__DSN": database})


def test_a_log_is_verified_and_a_flipped_byte_is_named(sealed: Shell, tmp_path: Path) -> None:
    well = sealed.run("audit", "verify", "--json")
    assert well.code == Exit.OK
    assert well.err == ""
    assert well.json["right"]
    assert (well.json["sealed"]["events"], well.json["checkpoints"]) == (20, 2)
    exported = sealed.run("audit", "export", "dossier.jsonl")
    assert "20 events written" in exported.err
    with psycopg.connect(sealed.env["TASKLOOM_DB__DSN"]) as connection:
        connection.execute("alter table events disable trigger user")
        connection.execute(
            "update events set state = set_byte(state, 40, get_byte(state, 40) # 1)"
            " where originator_id = 'agent:ann1' and originator_version = 6"
        )
        row = connection.execute(
            "select notification_id from events"
            " where originator_id = 'agent:ann1' and originator_version = 6"
        ).fetchone()
        assert row is not None
    ill = sealed.run("audit", "verify")
    assert ill.code == Exit.FAILURE
    assert ill.out.splitlines()[0] == (
        f"changed: position {row[0]}, event 6 of agent:ann1, seal 2: it is not what was sealed"
    )
    assert "wrong in 1 places" in ill.out
    offline = Shell(folder=tmp_path).run("audit", "verify", "--file", "dossier.jsonl")
    assert offline.code == Exit.OK


def test_where_there_are_no_checkpoints_that_is_said(database: str, shell: Shell) -> None:
    there = Shell(folder=shell.folder, env={"TASKLOOM_DB__DSN": database})
    ended = there.run("audit", "verify")
    assert ended.code == Exit.OK
    assert "there are no checkpoints here" in ended.err
