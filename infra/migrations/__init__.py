"""Numbered SQL, applied once each, in order, by one process at a time."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from domain.errors import Unavailable

LOCK = 0x7A5C_0001
"""The advisory lock under which a database is migrated."""


class MigrationChanged(Unavailable):
    """A migration that a database has already seen is not what it was."""

    code = "migration-changed"

    def __init__(self, version: str) -> None:
        super().__init__(
            f"migration {version} was applied with other content; "
            "restore the file and add a new migration instead"
        )


class SchemaTooNew(Unavailable):
    """The database has seen migrations that this code does not know."""

    code = "schema-too-new"

    def __init__(self, versions: Sequence[str]) -> None:
        super().__init__(
            f"the database has migrations {', '.join(versions)} that this version of taskloom does "
            "not know; upgrade taskloom"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the schema."""

    version: str
    sql: str

    @property
    def checksum(self) -> str:
        """What tells a changed file from the one that was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def known() -> Sequence[Migration]:
    """Return the migrations of this code, in order."""
    files = sorted(Path(__file__).parent.glob("[0-9]*.sql"))
    return [Migration(version=file.stem, sql=file.read_text("utf-8")) for file in files]


def upgrade(dsn: str) -> Sequence[str]:
    """Apply what a database has not seen yet, and return the versions applied.

    Any number of processes may call it at once: the others wait, and find nothing to do.

    Raises:
        MigrationChanged: A file was edited after it was applied.
        SchemaTooNew: The database comes from a later version.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", [LOCK])
        connection.execute(
            "create table if not exists schema_version ("
            "version text primary key, checksum text not null, "
            "applied_at timestamptz not null default now())"
        )
        owed = _owed(connection)
        for migration in owed:
            with connection.transaction():
                connection.execute(migration.sql.encode())
                connection.execute(
                    "insert into schema_version (version, checksum) values (%s, %s)",
                    [migration.version, migration.checksum],
                )
    return [migration.version for migration in owed]


def pending(dsn: str) -> Sequence[str]:
    """Return the versions a database has not seen yet."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.execute("select to_regclass('schema_version')").fetchone() == (None,):
            return [migration.version for migration in known()]
        return [migration.version for migration in _owed(connection)]


def _owed(connection: psycopg.Connection[tuple[object, ...]]) -> Sequence[Migration]:
    rows = connection.execute("select version, checksum from schema_version").fetchall()
    applied = {str(version): str(checksum) for version, checksum in rows}
    migrations = known()
    for migration in migrations:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationChanged(migration.version)
    if unknown := sorted(applied.keys() - {migration.version for migration in migrations}):
        raise SchemaTooNew(unknown)
    return [migration for migration in migrations if migration.version not in applied]
