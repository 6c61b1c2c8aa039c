"""Roles with the least rights, and what gives them."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import psycopg
from psycopg import sql

SERVICES: Final = ("tl_api", "tl_coordinator", "tl_projector", "tl_reader")
"""The roles that log in; a password for each."""

LOCK: Final = 0x7A5C_0003
"""The advisory lock under which rights are given."""


def grant(dsn: str, passwords: Mapping[str, str]) -> None:
    """Make the roles where they are missing, and give them their rights and passwords.

    Whoever calls it has to own the tables and may make roles. Safe to repeat; after every upgrade
    of the schema it has to be.
    """
    script = files("infra.postgres").joinpath("roles.sql").read_text("utf-8")
    with psycopg.connect(dsn) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        connection.execute(script.encode())
        for role, password in passwords.items():
            # What is sent is the hash: it would stand in the server's log.
            hashed = connection.pgconn.encrypt_password(password.encode(), role.encode())
            connection.execute(
                sql.SQL("alter role {} password {}").format(
                    sql.Identifier(role), sql.Literal(hashed.decode())
                )
            )
