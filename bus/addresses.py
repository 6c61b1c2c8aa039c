"""Where a webhook may point: to the outside, or to hosts that a setting names.

A name is resolved once, every address it has is looked at, and the one that was looked at is
connected to: what the name means a moment later does not matter.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from domain.errors import Refused, Unavailable

LONGEST: Final = 2_000
_PORTS: Final = {"http": 80, "https": 443}

_GLOBAL: Final = IPv6Network("2000::/3")
"""Where all of IPv6 is that is outside; the rest is local, reserved, or IPv4 in other words."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Tells the addresses of a name."""


class BadWebhook(Refused):
    """A webhook's URL is none, or points to where webhooks may not."""

    code = "bad-webhook"


class Unresolved(Unavailable):
    """A name has no address at present."""

    code = "unresolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to connect, and whom to ask for there."""

    connect: str
    """The URL with the address in the place of the name."""

    host: str
    """What the header Host says."""

    name: str
    """Whose certificate has to be shown."""


async def look_up(name: str, port: int) -> Sequence[str]:
    """Return the addresses of a name.

    Raises:
        Unresolved: It has none.
    """
    try:
        async with asyncio.timeout(5):
            found = await asyncio.get_running_loop().getaddrinfo(
                name, port, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError, TimeoutError) as error:
        raise Unresolved(f"{name} has no address: {error}") from error
    return [str(each[4][0]) for each in found]


async def address_of(
    url: str, *, allowed: Collection[str] = (), resolve: Resolve = look_up
) -> Address:
    """Return where a webhook's URL leads, if it may.

    Raises:
        BadWebhook: It may not, and never will.
        Unresolved: Its name has no address at present.
    """
    parts = parsed(url)
    name, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    addresses = await resolve(name, port)
    if not addresses:
        raise Unresolved(f"{name} has no address")
    if not {name, f"{name}:{port}"} & set(allowed):
        for address in addresses:
            if not _is_outside(address):
                raise BadWebhook(
                    f"{name} is {address}, which is not outside; an operator can allow it with"
                    " TASKLOOM_HTTP__WEBHOOK_HOSTS"
                )
    first = addresses[0]
    bracketed = f"[{first}]" if ":" in first else first
    path = parts.path or "/"
    query = f"?{parts.query}" if parts.query else ""
    return Address(
        connect=f"{parts.scheme}://{bracketed}:{port}{path}{query}",
        host=parts.netloc,
        name=name,
    )


def parsed(url: str) -> SplitResult:
    """Return the parts of a URL that is in order.

    Raises:
        BadWebhook: It is not.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadWebhook(f"the URL is none: {error}") from error
    if len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        raise BadWebhook(f"the URL has to be printable ASCII, of at most {LONGEST} characters")
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise BadWebhook("the URL has to begin with https:// or http:// and a host")
    if "@" in parts.netloc or parts.fragment:
        raise BadWebhook("the URL may have neither a user nor a fragment")
    return parts


def _is_outside(address: str) -> bool:
    """Say whether an address belongs to no network of somebody's own."""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        # Addresses that lead to an IPv4 address by way of a gateway: that one counts.
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
        if ip.packed[:12] == b"\x00\x64\xff\x9b" + bytes(8):
            return _is_outside(str(IPv4Address(ip.packed[12:])))
        if ip not in _GLOBAL:
            return False
    return ip.is_global and not ip.is_multicast
