"""The PostgreSQL of a test run, and databases on it."""

import os
import uuid
import warnings
from collections.abc import Generator
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
    if listening := _listening_postgres():
        return Choice("listening on 127.0.0.1:5432", lambda _: listening)
    if docker_answers():
        return Choice(f"container {POSTGRES_IMAGE}", _postgres_container)
    if found := choose():
        return Choice(f"private cluster, {found.source}", private_cluster)
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


def private_cluster(ground: Ground) -> str:
    """Start a cluster that nobody else uses, and return the connection URL of its owner."""
    cluster = EmbeddedPostgres(ground.folder(), durable=False)
    ground.run(cluster.start())
    ground.at_end(lambda: ground.run(cluster.stop()))
    return cluster.dsn


@contextmanager
def fresh_database(server: str, template: str = "template0") -> Generator[str]:
    """Make a database of its own from a template, and drop it afterwards."""
    name = f"taskloom_test_{uuid.uuid4().hex[:12]}"
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with closing(psycopg.connect(server, autocommit=True)) as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )
