"""Webhooks: events brought over HTTP, signed as Standard Webhooks has it."""

import base64
import binascii
import hashlib
import hmac
import secrets
import ssl
from collections.abc import Collection, Sequence
from typing import Final

import httpx2

from bus.addresses import BadWebhook, Resolve, address_of, look_up
from bus.envelope import CONTENT_TYPE, encode_recorded
from bus.ports import Clock
from bus.subscriptions import Subscription
from domain.errors import Refused, Unavailable
from domain.policies import Event
from domain.recorded import Recorded

PREFIX: Final = "whsec_"
PATIENCE: Final = 10.0
"""Seconds that a receiver may take."""

_SHORTEST, _LONGEST = 16, 64


class BadSecret(Refused):
    """A secret is not of the form that it has to have."""

    code = "bad-secret"

    def __init__(self) -> None:
        super().__init__(
            f"a secret is {PREFIX} and {_SHORTEST} to {_LONGEST} bytes in base64; leave it out to"
            " get one"
        )


class NotBrought(Unavailable):
    """A subscriber did not take an event."""

    code = "not-brought"


class Gone(Refused):
    """A subscriber wants no events any more, or can never be reached."""

    code = "gone"


def new_secret() -> str:
    """Draw a secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """Return the key that a secret stands for.

    Raises:
        BadSecret: It is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSecret from error
    if not secret.startswith(PREFIX) or not _SHORTEST <= len(key) <= _LONGEST:
        raise BadSecret
    return key


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a message, as the header ``webhook-signature`` has it."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


class WebhookCarrier:
    """Posts events, one after the other."""

    def __init__(
        self, clock: Clock, *, allowed: Collection[str] = (), resolve: Resolve = look_up
    ) -> None:
        self._clock = clock
        self._allowed = allowed
        self._resolve = resolve
        self._trust = ssl.create_default_context()  # to read all certificates takes long

    async def bring(self, subscription: Subscription, events: Sequence[Recorded[Event]]) -> int:
        """Post the first of some events, and return how many have been taken.

        Raises:
            NotBrought: The receiver did not take it.
            Gone: It wants no more, or its address is none of those that webhooks may have.
        """
        recorded = events[0]
        body = encode_recorded(recorded)
        timestamp = int(self._clock.now().timestamp())
        headers = {
            "content-type": CONTENT_TYPE,
            "user-agent": "taskloom-webhooks",
            "webhook-id": recorded.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(subscription.secret or "", recorded.id, timestamp, body),
        }
        status = await self._post(subscription.url or "", headers, body)
        if status == 410:
            raise Gone("the receiver has answered 410: it wants no more")
        if not 200 <= status < 300:
            redirect = "; redirects are not followed" if 300 <= status < 400 else ""
            raise NotBrought(f"the receiver has answered {status}{redirect}")
        return 1

    async def close(self, subscription: Subscription) -> None:
        """Leave nothing behind: there is nothing."""

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        try:
            address = await address_of(url, allowed=self._allowed, resolve=self._resolve)
        except BadWebhook as error:
            raise Gone(str(error)) from error
        # No proxy, no redirect, and no more of the answer than its first line and its head.
        # And no connection that was made for another name of the same address.
        async with httpx2.AsyncClient(
            verify=self._trust, trust_env=False, timeout=PATIENCE
        ) as http:
            request = http.build_request(
                "POST",
                address.connect,
                content=body,
                headers={**headers, "host": address.host},
                extensions={"sni_hostname": address.name},
            )
            try:
                answer = await http.send(request, stream=True, follow_redirects=False)
                await answer.aclose()
            except httpx2.HTTPError as error:
                why = str(error) or type(error).__name__
                raise NotBrought(f"the receiver cannot be reached: {why}") from error
        return answer.status_code
