"""The PostgreSQL of a test run, and databases on it."""

import os
import uuid
import warnings
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from infra.services.binaries import choose
from infra.services.postgres import EmbeddedPostgres
from tests.support.ground import Choice, Ground, docker_answers, without_password

POSTGRES_IMAGE = "postgres:17-alpine"


def choose_postgres() -> Choice[str]:
    """Find the first PostgreSQL of the order above."""
    if given := os.environ.get("TASKLOOM_TEST_DSN"):
        return Choice(f"{without_password(given)} (TASKLOOM_TEST_DSN)", lambda _: given)
    if found := choose():
        return Choice(f"private cluster, {found.source}", private_cluster)
    if listening := _listening_postgres():
        return Choice("listening on 127.0.0.1:5432", lambda _: listening)
    if docker_answers():
        return Choice(f"container {POSTGRES_IMAGE}", _postgres_container)
    raise pytest.UsageError("no PostgreSQL: install one or set TASKLOOM_TEST_DSN")


def _listening_postgres() -> str | None:
    for login in ("postgres", "postgres:postgres"):
        dsn = f"postgresql://{login}@127.0.0.1:5432/postgres"
        try:
            with psycopg.connect(dsn, connect_timeout=3) as connection:
                may = connection.execute(
                    "select rolcreatedb or rolsuper from pg_roles where rolname = current_user"
                ).fetchone()
        except psycopg.OperationalError:
            continue
        if may and may[0]:
            return dsn
    return None


def _postgres_container(ground: Ground) -> str:
    with warnings.catch_warnings(action="ignore"):  # the library's own deprecations
        from testcontainers.community.postgres import PostgresContainer

        container = PostgresContainer(POSTGRES_IMAGE, driver=None)
        ground.at_end(container.stop)
        container.start()
        return container.get_connection_url()


def private_cluster(ground: Ground, *, durable: bool = False) -> str:
    """Start a cluster that nobody else uses, and return the connection URL of its owner."""
    cluster = EmbeddedPostgres(ground.folder(), durable=durable)
    ground.run(cluster.start())
    ground.at_end(lambda: ground.run(cluster.stop()))
    return cluster.dsn


@contextmanager
def fresh_database(server: str, template: str = "template0") -> Generator[str]:
    """Make a database of its own from a template, and drop it afterwards."""
    dsn = _make(server, template)
    try:
        yield dsn
    finally:
        _drop(server, dsn)


class Copies:
    """Copies of one database: the next is made, and the last dropped, while a test runs."""

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._template = template
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="databases")
        self._next = self._worker.submit(_make, server, template)

    @contextmanager
    def one(self) -> Generator[str]:
        """Take a copy, for nobody else."""
        dsn = self._next.result()
        self._next = self._worker.submit(_make, self._server, self._template)
        try:
            yield dsn
        finally:
            self._worker.submit(_drop, self._server, dsn)

    def end(self) -> None:
        """Drop what is left."""
        _drop(self._server, self._next.result())
        self._worker.shutdown()


def _make(server: str, template: str) -> str:
    name = f"taskloom_test_{uuid.uuid4().hex[:12]}"
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def _drop(server: str, dsn: str) -> None:
    name = urlsplit(dsn).path.removeprefix("/")
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        connection.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )
