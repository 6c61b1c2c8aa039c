"""Tickets: who cannot send headers with a WebSocket shows one instead, once and soon.

A ticket is a secret. What its holder had shown for it is kept sealed under it, so that neither the
table nor a log of URLs lets anybody in, and so that it can be looked at again while they listen.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.errors import UnknownTicket

TICKET: Final = "ticket"
"""The parameter of a URL that holds one."""

LIFE: Final = timedelta(seconds=30)
CREDENTIALS: Final = ("authorization", "x-api-key")
"""Headers in which callers say who they are."""

_LONGEST: Final = 100
_NONCE: Final = bytes(12)
"""A key seals once, so that it needs no nonce."""


class Tickets(Protocol):
    """Keeps what tickets open until it is asked for."""

    async def keep(self, digest: bytes, sealed: bytes, *, until: datetime, now: datetime) -> None:
        """Keep something under a digest; what has expired by now may go."""
        ...

    async def take(self, digest: bytes, *, now: datetime) -> bytes | None:
        """Return what is kept under a digest, for the only time."""
        ...


async def issue(tickets: Tickets, headers: Mapping[str, str], *, now: datetime) -> str:
    """Return a ticket for whoever shows these credentials."""
    ticket = urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    shown = {name: headers[name] for name in CREDENTIALS if name in headers}
    sealed = AESGCM(_hashed("seal", ticket)).encrypt(_NONCE, orjson.dumps(shown), None)
    await tickets.keep(_hashed("name", ticket), sealed, until=now + LIFE, now=now)
    return ticket


async def redeem(tickets: Tickets, ticket: str, *, now: datetime) -> Mapping[str, str]:
    """Return the credentials that a ticket was given for; it is worth nothing from now on.

    Raises:
        UnknownTicket: It was never given, was used, or is too old.
    """
    if len(ticket) > _LONGEST or not ticket.isascii():
        raise UnknownTicket
    sealed = await tickets.take(_hashed("name", ticket), now=now)
    if sealed is None:
        raise UnknownTicket
    try:
        shown = orjson.loads(AESGCM(_hashed("seal", ticket)).decrypt(_NONCE, sealed, None))
    except InvalidTag as error:
        raise UnknownTicket from error
    return {str(name): str(value) for name, value in shown.items()}


def _hashed(purpose: str, ticket: str) -> bytes:
    return hashlib.sha256(f"taskloom/{purpose}/{ticket}".encode()).digest()
