"""What each role may do in the database, and all that it may not."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import (
    InsufficientPrivilege,
    QueryCanceled,
    ReadOnlySqlTransaction,
    RestrictViolation,
)
from psycopg_pool import AsyncConnectionPool

from infra.postgres import grant
from infra.store.store import PostgresStore
from projections.catalog import VIEWS
from projections.postgres import PostgresViews
from tests.support.recording import a_life
from tests.support.roles import PASSWORDS, as_role, guarded
from tests.support.sealed import sealer

__all__ = ["guarded"]

pytestmark = pytest.mark.timeout(300)

CHANGES_OF_THE_PAST = {
    "update": "update events set topic = 'x'",
    "update-nothing": "update events set topic = 'x' where false",
    "delete": "delete from events",
    "truncate": "truncate events",
    "lock": "begin; lock table events in exclusive mode",
    "disable-trigger": "alter table events disable trigger all",
    "drop-trigger": "drop trigger events_are_append_only on events",
    "replace-trigger-function": "create or replace function refuse_to_forget() returns trigger"
    " language plpgsql as 'begin return new; end'",
    "no-triggers": "set session_replication_role = replica",
    "choose-a-position": "insert into events (originator_id, originator_version, topic, state,"
    " notification_id) values ('agent:eve', 1, 'agent.registered', '{}', 1)",
    "move-the-sequence": "select setval('events_notification_id_seq', 1)",
    "drop": "drop table events",
    "add-column": "alter table events add column more text",
    "become-the-owner": "alter table events owner to current_user",
    "update-seals": "update seals set count = 1",
    "delete-seals": "delete from seals",
    "delete-letters": "delete from dead_letters",
    "change-history": "update dead_letter_history set why = ''",
    "change-schema": "update schema_version set checksum = ''",
}
POWERS = {
    "create-function": "create function f() returns int language sql as 'select 1'",
    "create-untrusted-function": "create function f() returns int language c as 'libc', 'system'",
    "create-table": "create table mine (a int)",
    "create-temporary-table": "create temporary table mine (a int)",
    "create-schema": "create schema mine",
    "create-role": "create role mine",
    "create-extension": "create extension file_fdw",
    "copy-program": "copy (select 1) to program 'cat'",
    "copy-from-program": "copy snapshots from program 'true'",
    "copy-file": "copy (select 1) to '/tmp/x'",
    "read-file": "select pg_read_file('PG_VERSION')",
    "alter-system": "alter system set fsync = off",
    "set-role-owner": "set role tl_owner",
    "set-role-superuser": "set role taskloom",
}


def refused(dsn: str, statement: str, *errors: type[Exception]) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection, pytest.raises(errors):
        connection.execute(statement.encode())


@pytest.mark.proves("S-15a")
@pytest.mark.parametrize("role", ["tl_api", "tl_coordinator", "tl_projector", "tl_reader"])
@pytest.mark.parametrize("name", CHANGES_OF_THE_PAST)
def test_no_service_changes_the_past(guarded: str, role: str, name: str) -> None:
    errors = (InsufficientPrivilege, ReadOnlySqlTransaction)
    refused(as_role(guarded, role), CHANGES_OF_THE_PAST[name], *errors)


@pytest.mark.proves("S-15b")
@pytest.mark.parametrize("role", ["tl_api", "tl_coordinator", "tl_projector", "tl_reader"])
@pytest.mark.parametrize("name", POWERS)
def test_no_service_has_powers_beyond_its_tables(guarded: str, role: str, name: str) -> None:
    errors = (InsufficientPrivilege, ReadOnlySqlTransaction)
    refused(as_role(guarded, role), POWERS[name], *errors)


@pytest.mark.proves("S-15a")
@pytest.mark.parametrize("role", ["tl_api", "tl_coordinator", "tl_projector"])
def test_no_service_gives_itself_rights(guarded: str, role: str) -> None:
    with psycopg.connect(as_role(guarded, role), autocommit=True) as connection:
        with suppress(InsufficientPrivilege):  # a warning is enough for who has some right
            connection.execute("grant all on events, seals to current_user")
        for right in ("update", "delete", "truncate", "trigger", "references"):
            row = connection.execute("select has_table_privilege('events', %s)", [right]).fetchone()
            assert row == (False,), right


WRITES = {
    "insert": "insert into views.plans_x values (1)",
    "update": "update views.plans_x set a = 1",
    "delete": "delete from views.plans_x",
    "truncate": "truncate views.plans_x",
    "drop": "drop table views.plans_x",
    "create": "create table views.mine (a int)",
    "append": "insert into events (originator_id, originator_version, topic, state)"
    " values ('agent:eve', 1, 'agent.registered', '{}')",
    "positions": "update positions set position = 0",
}


@pytest.mark.proves("S-15c")
@pytest.mark.parametrize("name", WRITES)
def test_who_only_reads_writes_nothing(guarded: str, name: str) -> None:
    with psycopg.connect(guarded, autocommit=True) as owner:
        owner.execute("create table if not exists views.plans_x (a int)")
    reader = as_role(guarded, "tl_reader")
    refused(reader, WRITES[name], ReadOnlySqlTransaction, InsufficientPrivilege)
    with psycopg.connect(reader, autocommit=True) as connection:
        assert connection.execute("select count(*) from views.plans_x").fetchone() == (0,)
        assert connection.execute("show transaction_read_only").fetchone() == ("on",)
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(InsufficientPrivilege):
            connection.execute(WRITES[name].encode())


@pytest.mark.parametrize("table", ["events", "seals", "dead_letters", "snapshots"])
def test_who_only_reads_views_reads_nothing_else(guarded: str, table: str) -> None:
    refused(as_role(guarded, "tl_reader"), f"select * from {table}", InsufficientPrivilege)


def test_the_projector_does_not_append(guarded: str) -> None:
    refused(as_role(guarded, "tl_projector"), WRITES["append"], InsufficientPrivilege)


@pytest.mark.proves("S-15c")
def test_a_statement_of_who_only_reads_ends_after_two_seconds(guarded: str) -> None:
    with psycopg.connect(as_role(guarded, "tl_reader")) as connection:
        assert connection.execute("show search_path").fetchone() == ("public",)
        begun = time.monotonic()
        with pytest.raises(QueryCanceled, match="statement timeout"):
            connection.execute("select pg_sleep(20)")
        assert 1.9 < time.monotonic() - begun < 4


def test_strangers_do_not_even_connect(guarded: str) -> None:
    with psycopg.connect(guarded, autocommit=True) as owner:
        owner.execute("create role stranger login password 'x'")
    stranger = as_role(guarded, "tl_api").replace("tl_api:", "stranger:", 1)
    stranger = stranger.replace("the%20password%20of%20tl_api", "x")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(stranger)


def test_giving_rights_again_changes_nothing(guarded: str) -> None:
    grant(guarded, PASSWORDS)
    refused(as_role(guarded, "tl_api"), "delete from events", InsufficientPrivilege)


async def test_the_store_and_the_views_work_with_these_rights(guarded: str, tmp_path: Path) -> None:
    async with (
        PostgresStore(as_role(guarded, "tl_api")) as store,
        sealer(as_role(guarded, "tl_coordinator"), tmp_path) as (made, _),
    ):
        await store.append(a_life("ann", range(1, 6)))
        await store.keep("agent:ann", *await store.load("agent:ann"))
        await store.advance("relay", 3)
        assert await made.seal() == 5
    for role in ("tl_coordinator", "tl_projector"):
        dsn = as_role(guarded, role)
        async with AsyncConnectionPool(dsn, kwargs={"autocommit": True}, open=False) as pool:
            views = PostgresViews(pool)
            # Whoever comes first makes them; both use them.
            await asyncio.gather(views.prepare(VIEWS), views.prepare(VIEWS))
            async with views.turn(VIEWS) as turn:
                await turn.fold(VIEWS[0], [])
                await turn.advance(VIEWS, to=5)


@pytest.mark.proves("S-15d")
def test_an_owner_who_is_no_superuser_is_kept_from_it_by_the_trigger(guarded: str) -> None:
    with psycopg.connect(guarded, autocommit=True) as connection:
        connection.execute("set role tl_owner")
        for statement in ("update events set topic = 'x'", "delete from events", "truncate events"):
            with pytest.raises(RestrictViolation, match="append-only"):
                connection.execute(statement.encode())
