import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from infra.services.binaries import PostgresBinaries, wheel_binaries, within_reach
from infra.services.errors import ServiceUnavailable
from infra.services.leash import Account, has_ended
from infra.services.postgres import EmbeddedPostgres
from tests.support.waiting import until

OWNER = """
import asyncio, sys
from pathlib import Path
from infra.services.postgres import EmbeddedPostgres

async def main() -> None:
    async with EmbeddedPostgres(Path(sys.argv[1])) as postgres:
        print(postgres.pid, postgres.dsn, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def ask(dsn: str, question: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(question.encode()).fetchone()
    return row[0] if row else None


def tell(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statement.encode())


async def test_a_cluster_is_durable_and_checks_its_pages(state_dir: Path) -> None:
    async with EmbeddedPostgres(state_dir) as postgres:
        settings = [
            ask(postgres.dsn, f"select current_setting('{name}')")
            for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")
        ]
    assert settings == ["on", "on", "on", "on"]


@pytest.mark.proves("S-19b")
async def test_only_loopback_and_only_with_the_password(state_dir: Path) -> None:
    async with EmbeddedPostgres(state_dir, durable=False) as postgres:
        assert ask(postgres.dsn, "select current_setting('listen_addresses')") == "127.0.0.1"
        assert ask(postgres.dsn, "select current_setting('unix_socket_directories')") == ""
        login, place = postgres.dsn.rsplit("@", 1)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"{login}-wrong@{place}")
        assert (postgres.home / "password").stat().st_mode & 0o077 == 0


async def test_what_was_committed_is_there_at_the_next_start_under_the_same_address(
    state_dir: Path,
) -> None:
    async with EmbeddedPostgres(state_dir) as first:
        tell(first.dsn, "create table kept as select 42 as answer")
        before = first.dsn
    async with EmbeddedPostgres(state_dir) as second:
        assert second.dsn == before
        assert ask(second.dsn, "select answer from kept") == 42


async def test_what_was_committed_survives_a_killed_server(state_dir: Path) -> None:
    async with EmbeddedPostgres(state_dir) as first:
        tell(first.dsn, "create table kept as select 42 as answer")
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: not first.is_alive(), "the server is gone")
    async with EmbeddedPostgres(state_dir) as second:
        assert ask(second.dsn, "select answer from kept") == 42


async def test_a_killed_owner_leaves_no_server_and_loses_nothing(state_dir: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(state_dir), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pid, dsn = (await owner.stdout.readline()).decode().split()
    tell(dsn, "create table kept as select 42 as answer")
    owner.kill()
    await owner.wait()
    async with EmbeddedPostgres(state_dir) as next_one:
        assert ask(next_one.dsn, "select answer from kept") == 42
        assert not psutil.pid_exists(int(pid)) or has_ended(psutil.Process(int(pid)))


async def test_a_server_that_outlived_its_owner_is_replaced(state_dir: Path) -> None:
    orphan = EmbeddedPostgres(state_dir)
    await orphan.start()
    tell(orphan.dsn, "create table kept as select 42 as answer")
    orphan._lock.release()  # pyright: ignore[reportPrivateUsage] - as the kernel does when the owner dies, where there is no leash
    async with EmbeddedPostgres(state_dir) as next_one:
        assert not orphan.is_alive()
        assert ask(next_one.dsn, "select answer from kept") == 42
    await orphan.stop()


async def test_a_second_owner_is_told_who_has_the_folder(state_dir: Path) -> None:
    async with EmbeddedPostgres(state_dir, durable=False) as first:
        with pytest.raises(ServiceUnavailable, match=f"in use by process {os.getpid()}"):
            await EmbeddedPostgres(state_dir).start()
        assert ask(first.dsn, "select 1") == 1


async def test_a_stale_note_with_a_strangers_number_does_not_stop_the_start(
    state_dir: Path,
) -> None:
    async with EmbeddedPostgres(state_dir, durable=False) as first:
        home = first.home
    (home / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{home / 'data'}\n")
    async with EmbeddedPostgres(state_dir, durable=False) as second:
        assert ask(second.dsn, "select 1") == 1


async def test_a_cluster_that_was_never_finished_is_made_anew(state_dir: Path) -> None:
    postgres = EmbeddedPostgres(state_dir, durable=False)
    (postgres.home / "data.part" / "base").mkdir(parents=True)
    async with postgres:
        assert ask(postgres.dsn, "select 1") == 1


async def test_a_state_folder_that_is_closed_to_others_works(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)  # noqa: ASYNC240 - nothing else runs here
    postgres = EmbeddedPostgres(tmp_path, durable=False)
    try:
        async with postgres:
            assert ask(postgres.dsn, "select 1") == 1
    finally:
        shutil.rmtree(postgres.home.parent, ignore_errors=True)


async def test_the_postgres_of_the_wheel_works(state_dir: Path) -> None:
    bundled = wheel_binaries()[0]
    async with EmbeddedPostgres(state_dir, durable=False, binaries=bundled) as postgres:
        assert ask(postgres.dsn, "select current_setting('server_version_num')::int / 10000") == (
            bundled.major
        )


async def test_a_cluster_of_a_missing_version_says_what_to_install(state_dir: Path) -> None:
    postgres = EmbeddedPostgres(state_dir)
    (postgres.home / "data").mkdir(parents=True)
    (postgres.home / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(ServiceUnavailable, match=r"PostgreSQL 9, which wrote .* not installed"):
        await postgres.start()


async def test_a_failed_start_ends_with_the_log_and_gives_the_folder_back(
    state_dir: Path,
) -> None:
    async with EmbeddedPostgres(state_dir, durable=False) as first:
        broken = first.home / "data" / "postgresql.conf"
    broken.write_text("no_such_setting = 1\n")
    with pytest.raises(ServiceUnavailable, match="no_such_setting"):
        await EmbeddedPostgres(state_dir, durable=False).start()
    broken.write_text("")
    async with EmbeddedPostgres(state_dir, durable=False) as again:
        assert again.is_alive()


def test_a_wheel_in_a_closed_folder_is_copied_with_its_libraries(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    closed = tmp_path / "site-packages"
    for name in ("pgwheel/pginstall18/bin/postgres", "pgwheel.libs/libpq.so"):
        (closed / name).parent.mkdir(parents=True)
        (closed / name).touch()
    wheel = PostgresBinaries(closed / "pgwheel/pginstall18/bin", major=18, bundled=True)
    stranger = Account(name="stranger", uid=os.getuid() + 1, gid=os.getgid() + 1)
    found = within_reach(wheel, stranger, tmp_path / "copies")
    assert (found.folder / "postgres").exists()
    assert (found.folder / "../../../pgwheel.libs/libpq.so").exists()
    assert within_reach(wheel, None, tmp_path / "copies") == wheel
