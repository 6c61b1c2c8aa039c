"""Looks at the database: its version, its schema, and the settings that the log's safety needs."""

import asyncio
from collections.abc import Mapping

import psycopg

from infra.cli.health.findings import Finding, fail, ok, warn
from infra.migrations import known, pending
from infra.store.recorders import Datastore, Limits

OLDEST = 140_000
"""PostgreSQL 14: what the tests have seen work."""

NEEDED: Mapping[str, tuple[str, str]] = {
    "fsync": ("on", "without it a power cut can damage the log: set it and restart PostgreSQL"),
    "full_page_writes": ("on", "without it a power cut can damage the log"),
    "synchronous_commit": ("on", "what was accepted could be lost: `alter system` it to on"),
}
WANTED: Mapping[str, tuple[str, str]] = {
    "data_sync_retry": ("off", "a failed flush has to stop PostgreSQL, not to be repeated"),
    "data_checksums": ("on", "`pg_checksums --enable` finds silent damage"),
    "wal_level": ("replica|logical", "backups to a point in time need it"),
}


LIMITS = ("lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout")
"""What keeps a writer that stalls from stopping the others."""


async def look_at_database(dsn: str) -> list[Finding]:
    """Return what is found.

    Raises:
        psycopg.Error: It does not answer.
    """
    return await asyncio.to_thread(_look, dsn)


def _look(dsn: str) -> list[Finding]:
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
        version = connection.info.server_version
        shown = f"PostgreSQL {version // 10_000}.{version % 10_000} at {connection.info.host}"
        findings = [
            ok("database", shown)
            if version >= OLDEST
            else warn("database", shown, "upgrade it to 14 or later")
        ]
        findings += _migrations(dsn)
        for settings, is_needed in ((NEEDED, True), (WANTED, False)):
            for name, (wanted, advice) in settings.items():
                row = connection.execute("select current_setting(%s)", [name]).fetchone()
                value = str(row[0]) if row else "?"
                if value in wanted.split("|"):
                    findings.append(ok(name, value))
                else:
                    judge = fail if is_needed else warn
                    findings.append(judge(name, f"{value}, not {wanted}", advice))
        if not pending(dsn):
            findings.append(_append_only(connection))
    return [*findings, _limits(dsn)]


def _migrations(dsn: str) -> list[Finding]:
    owed = pending(dsn)
    if owed:
        return [fail("migrations", f"pending: {', '.join(owed)}", "run `taskloom db upgrade`")]
    return [ok("migrations", f"all {len(known())} are applied")]


def _limits(dsn: str) -> Finding:
    """Read what our own connections to the log are given, live."""
    datastore = Datastore(dsn, limits=Limits(), pool_max=1)
    try:
        with datastore.get_connection() as connection:
            values: dict[str, str] = {}
            for name in LIMITS:
                row = connection.execute(
                    "select current_setting(%s) as value", [name], prepare=False
                ).fetchone()
                values[name] = str(row["value"]) if row else "?"
    finally:
        datastore.close()
    shown = ", ".join(f"{name} {value}" for name, value in values.items())
    if "0" in values.values():
        return fail("limits", shown, "a stalled writer would stop all others: report this as a bug")
    return ok("limits", shown)


def _append_only(connection: psycopg.Connection[tuple[object, ...]]) -> Finding:
    row = connection.execute(
        "select tgenabled::text from pg_trigger where tgname = 'events_are_append_only'"
    ).fetchone()
    if row is not None and row[0] in ("O", "A"):
        return ok("log", "append-only")
    return fail(
        "log",
        "its append-only trigger is missing or disabled",
        "`alter table events enable trigger events_are_append_only`, and ask who disabled it",
    )
