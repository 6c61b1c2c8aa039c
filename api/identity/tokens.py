"""Access tokens: signed JWTs of one algorithm, by the rules of RFC 8725.

A key is known by its id alone; nothing in a token can name another algorithm, key or place to get
one from. Each kind of token has a ``typ`` and an audience of its own, so none passes for another.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from domain.errors import Unavailable

ALGORITHM: Final = "EdDSA"
ISSUER: Final = "taskloom"
LONGEST: Final = 4_096
"""Characters of a token at most."""

LEEWAY: Final = timedelta(seconds=5)

TokenKind = Literal["at+jwt", "agent+jwt"]
AUDIENCES: Final[Mapping[TokenKind, str]] = {
    "at+jwt": "taskloom-api",
    "agent+jwt": "taskloom-agents",
}
_KINDS: Final[Mapping[str, TokenKind]] = {kind: kind for kind in AUDIENCES}
_REQUIRED: Final = ["iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti"]
_HEADER: Final = frozenset({"alg", "typ", "kid"})


class BadToken(Exception):
    """A token that is not, or not any more, one of ours."""

    def __init__(self, why: str, *, is_forged: bool = False) -> None:
        super().__init__(why)
        self.is_forged = is_forged
        """Whether nobody comes by such a token by accident."""


class BadSigningKey(Unavailable):
    """A file does not hold a key that tokens can be signed with."""

    code = "bad-signing-key"

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(f"{file} is no Ed25519 private key in PEM: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says that we have signed."""

    kind: TokenKind
    subject: str
    session: str
    """The session it belongs to, or the instance of an agent."""

    issued_at: datetime
    expires_at: datetime
    extra: Mapping[str, Any]


class Tokens:
    """Issues and reads tokens: signs with the first key, knows all of them."""

    def __init__(self, keys: Sequence[Ed25519PrivateKey]) -> None:
        self._signing = keys[0]
        self._kid = kid_of(keys[0].public_key())
        self._public = {kid_of(key.public_key()): key.public_key() for key in keys}

    def issue(
        self,
        kind: TokenKind,
        subject: str,
        session: str,
        *,
        token_id: str,
        now: datetime,
        lifetime: timedelta,
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a token that counts from now for a lifetime."""
        claims = {
            **(extra or {}),
            "iss": ISSUER,
            "aud": AUDIENCES[kind],
            "sub": subject,
            "sid": session,
            "iat": now.timestamp(),  # to the microsecond: revocation compares it
            "nbf": now,
            "exp": now + lifetime,
            "jti": token_id,
        }
        return jwt.encode(claims, self._signing, ALGORITHM, {"typ": kind, "kid": self._kid})

    def read(self, token: str, *, now: datetime) -> Claims:
        """Return what a token says.

        Raises:
            BadToken: We have not signed it, it is over, or it is not meant for this.
        """
        if len(token) > LONGEST:
            raise BadToken("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise BadToken("this is no token of ours") from error
        kid, kind = header.get("kid"), _KINDS.get(str(header.get("typ")))
        key = self._public.get(kid) if isinstance(kid, str) else None
        if key is None or kind is None or not header.keys() <= _HEADER:
            raise BadToken("the token was not signed by us", is_forged=True)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCES[kind],
                issuer=ISSUER,
                # Time is judged below, by the same clock that everything else goes by.
                options={
                    "require": _REQUIRED,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            issued_at, begins, ends = (_moment(claims[name]) for name in ("iat", "nbf", "exp"))
        except (jwt.InvalidTokenError, ValueError, OverflowError, TypeError) as error:
            raise BadToken("the token was not signed by us", is_forged=True) from error
        if now >= ends + LEEWAY:
            raise BadToken("the token has expired; get a new one")
        if begins > now + LEEWAY:
            raise BadToken("the token does not count yet")
        return Claims(
            kind=kind,
            subject=str(claims["sub"]),
            session=str(claims["sid"]),
            issued_at=issued_at,
            expires_at=ends,
            extra=claims,
        )


def _moment(seconds: object) -> datetime:
    if not isinstance(seconds, int | float):
        raise TypeError
    return datetime.fromtimestamp(seconds, UTC)


def kid_of(key: Ed25519PublicKey) -> str:
    """Return a key's id: the beginning of its SHA-256."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def load_keys(file: Path, *earlier: Path) -> Sequence[Ed25519PrivateKey]:
    """Return the keys in files; the first is made, readable by its owner only, if it is not there.

    Raises:
        BadSigningKey: A file does not hold one.
    """
    if not file.exists():
        _make(file)
    return [_load(each) for each in (file, *earlier)]


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    part = file.with_suffix(f".{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(pem)
    try:
        os.link(part, file)  # whoever was first has made it
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _load(file: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise BadSigningKey(file, str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSigningKey(file, f"it is a {type(key).__name__}")
    return key
