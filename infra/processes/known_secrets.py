"""Secrets that everybody knows, because they stand in a manual or in this repository.

Where only this machine can reach a server they do no harm. Beyond it a process refuses to start
with one, unless ``TASKLOOM_DEVELOPMENT`` says that nothing is to be protected.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, urlsplit

import structlog
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from domain.errors import Refused
from infra.rabbitmq.definitions import DEVELOPMENT
from infra.settings import Settings

log = structlog.get_logger(__name__)

_KNOWN: Final = frozenset(
    {
        "",
        DEVELOPMENT,
        *("admin", "changeme", "default", "guest", "password", "postgres", "rabbit", "rabbitmq"),
        *("root", "secret", "taskloom", "test", "user", "12345", "123456", "12345678"),
    }
)
_FEWEST_DIFFERENT: Final = 8
"""Different characters of a secret that nobody has just typed to fill its length."""


class KnownSecret(Refused):
    """A secret that everybody knows would protect something that others can reach."""

    code = "known-secret"

    def __init__(self, what: list[str]) -> None:
        super().__init__(
            f"{'; '.join(what)}: give it a secret of its own, or set TASKLOOM_DEVELOPMENT=true"
            " where nothing is to be protected"
        )


def refuse_known_secrets(settings: Settings) -> None:
    """Let a process start only with secrets that somebody has to steal.

    Raises:
        KnownSecret: One is known to everybody, and this is no machine of a developer.
    """
    _refuse(list(_known(settings)), is_development=settings.development)


def refuse_known_passwords(passwords: Mapping[str, str], *, is_development: bool) -> None:
    """Let somebody have only passwords that are to be stolen first; ``passwords`` by variable.

    Raises:
        KnownSecret: One is known to everybody, and this is no machine of a developer.
    """
    found = [f"{name} is one that everybody knows" for name in passwords if _is(passwords[name])]
    _refuse(found, is_development=is_development)


def _refuse(found: list[str], *, is_development: bool) -> None:
    if not found:
        return
    if not is_development:
        raise KnownSecret(found)
    log.warning("secrets.known", why="TASKLOOM_DEVELOPMENT is set", what=found)


def _known(settings: Settings) -> Iterator[str]:
    if settings.amqp.url is not None:
        place = urlsplit(settings.amqp.url)
        password = "guest" if place.password is None else unquote(place.password)  # as AMQP has it
        if not _is_here(place.hostname or "localhost") and _is(password):
            yield f"everybody knows the password in TASKLOOM_AMQP__URL, for {place.hostname}"
    for host, password in _database(settings.db.dsn):
        if not _is_here(host) and _is(password):
            yield f"everybody knows the password in TASKLOOM_DB__DSN, for {host}"
    if settings.keys.kek is not None and _is_ours(settings.keys.kek.get_secret_value()):
        yield "TASKLOOM_KEYS__KEK is the one of this repository"
    if settings.amqp.has_secret and len(set(settings.amqp.secret())) < _FEWEST_DIFFERENT:
        yield "TASKLOOM_AMQP__SIGNING_SECRET repeats a few characters"


def _database(dsn: str | None) -> Iterator[tuple[str, str]]:
    """Yield each host with the password it is told; without one it may be asked otherwise."""
    if dsn is None:
        return
    try:
        parts = conninfo_to_dict(dsn)
    except ProgrammingError:  # whoever connects says what is wrong with it
        return
    password = parts.get("password")
    if password is not None:
        for host in str(parts.get("hostaddr") or parts.get("host") or "localhost").split(","):
            yield host, str(password)


def _is(password: str) -> bool:
    return password.lower() in _KNOWN


def _is_ours(kek: str) -> bool:
    try:
        return base64.b64decode(kek.strip()).startswith(DEVELOPMENT.encode())
    except (binascii.Error, ValueError):
        return False


def _is_here(host: str) -> bool:
    if host == "localhost" or host.startswith(("/", "@")):  # a socket is a file of this machine
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
