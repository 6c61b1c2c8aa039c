"""A token counts only if we have signed it, as we do, for what it is shown for (S-1)."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.identity.tokens import AUDIENCES, BadToken, Tokens, kid_of

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def claims(**changes: Any) -> dict[str, Any]:
    said = {
        "iss": "taskloom",
        "aud": AUDIENCES["at+jwt"],
        "sub": "usr_1",
        "sid": "ses_1",
        "jti": "1",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + timedelta(minutes=15),
    }
    return {name: value for name, value in (said | changes).items() if value is not None}


def signed_by_us(
    key: Ed25519PrivateKey, header: Mapping[str, Any] | None = None, **changes: Any
) -> str:
    said = {"typ": "at+jwt", "kid": kid_of(key.public_key())} | dict(header or {})
    return jwt.encode(claims(**changes), key, "EdDSA", said)


def by_hand(header: Mapping[str, Any], key: bytes = b"") -> str:
    """Return a token that no library of ours would make."""

    def part(what: object) -> str:
        raw = json.dumps(what, default=lambda moment: int(moment.timestamp())).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    signed = f"{part(header)}.{part(claims())}"
    signature = hmac.digest(key, signed.encode(), hashlib.sha256) if key else b""
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


KEY = Ed25519PrivateKey.generate()
KID = kid_of(KEY.public_key())
RAW = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
FORGED = {
    "alg none": by_hand({"alg": "none", "typ": "at+jwt", "kid": KID}),
    "hmac with the public key": by_hand({"alg": "HS256", "typ": "at+jwt", "kid": KID}, RAW),
    "hmac with its pem": by_hand({"alg": "HS256", "typ": "at+jwt", "kid": KID}, PEM),
    "another key": signed_by_us(Ed25519PrivateKey.generate(), {"kid": KID}),
    "an unknown kid": signed_by_us(Ed25519PrivateKey.generate()),
    "a jku": signed_by_us(KEY, {"jku": "https://evil.example/keys"}),
    "a jwk": signed_by_us(KEY, {"jwk": {"kty": "OKP"}}),
    "an x5u": signed_by_us(KEY, {"x5u": "https://evil.example/cert"}),
    "crit": signed_by_us(KEY, {"crit": ["exp"]}),
    "another typ": signed_by_us(KEY, {"typ": "JWT"}),
    "an agent's typ": signed_by_us(KEY, {"typ": "agent+jwt"}),
    "another audience": signed_by_us(KEY, aud="others"),
    "another issuer": signed_by_us(KEY, iss="others"),
    "no subject": signed_by_us(KEY, sub=None),
    "no session": signed_by_us(KEY, sid=None),
    "no expiry": signed_by_us(KEY, exp=None),
    "expired": signed_by_us(KEY, exp=NOW - timedelta(seconds=6)),
    "not yet": signed_by_us(KEY, nbf=NOW + timedelta(seconds=6)),
    "for ever": signed_by_us(KEY, exp=10**300),
    "cut": signed_by_us(KEY)[:-4],
    "long although we have signed it": signed_by_us(KEY, words="x" * 5_000),
    "a megabyte": "x" * 1_000_000,
    "two parts": "a.b",
    "nothing": "",
}


@pytest.mark.proves("S-1a")
@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_a_token_that_is_not_ours_is_none(token: str) -> None:
    with pytest.raises(BadToken):
        Tokens([KEY]).read(token, now=NOW)


def test_a_token_of_ours_counts_until_it_expires() -> None:
    token = signed_by_us(KEY)
    assert Tokens([KEY]).read(token, now=NOW).subject == "usr_1"
    later = Ed25519PrivateKey.generate()
    # A key that signed before is still known.
    assert Tokens([later, KEY]).read(token, now=NOW + timedelta(minutes=15)).session == "ses_1"
