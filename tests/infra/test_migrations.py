"""Migrations: applied once each, by one process at a time, and never changed."""

import subprocess
import sys

import psycopg
import pytest

from infra.migrations import MigrationChanged, SchemaTooNew, known, pending, upgrade

UPGRADE = "import sys; from infra.migrations import upgrade; print(len(upgrade(sys.argv[1])))"


def tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'public'"
        ).fetchall()
    return {str(row[0]) for row in rows}


def change(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_an_empty_database_gets_every_migration_in_order(empty_database: str) -> None:
    versions = [migration.version for migration in known()]
    assert versions == sorted(versions)
    assert pending(empty_database) == versions
    assert upgrade(empty_database) == versions
    assert pending(empty_database) == []
    assert tables(empty_database) >= {"events", "snapshots", "positions", "dead_letters"}


def test_a_database_that_has_everything_is_left_alone(database: str) -> None:
    assert upgrade(database) == []


def test_eight_processes_at_once_apply_each_migration_once(empty_database: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, empty_database],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(8)
    ]
    said = [process.communicate(timeout=100)[0].strip() for process in processes]
    assert sorted(said) == ["0"] * 7 + [str(len(known()))]
    assert pending(empty_database) == []


def test_a_migration_that_was_edited_afterwards_is_refused(database: str) -> None:
    change(database, "update schema_version set checksum = 'x' where version = '0001_record'")
    for ask in (upgrade, pending):
        with pytest.raises(MigrationChanged, match="0001_record was applied with other content"):
            ask(database)


def test_a_database_of_a_later_version_is_refused(database: str) -> None:
    change(database, "insert into schema_version values ('9999_later', 'x')")
    for ask in (upgrade, pending):
        with pytest.raises(SchemaTooNew, match=r"9999_later .*upgrade taskloom"):
            ask(database)


def test_what_is_missing_is_applied_on_top_of_what_is_there(database: str) -> None:
    last = known()[-1].version
    change(database, f"delete from schema_version where version = '{last}'")
    assert pending(database) == [last]


def test_a_migration_that_fails_leaves_nothing_behind(empty_database: str) -> None:
    change(empty_database, "create table snapshots (other int)")
    with pytest.raises(psycopg.errors.DuplicateTable):
        upgrade(empty_database)
    assert tables(empty_database) == {"snapshots", "schema_version"}
    change(empty_database, "drop table snapshots")
    assert len(upgrade(empty_database)) == len(known())
