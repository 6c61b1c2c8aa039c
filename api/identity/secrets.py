"""Random secrets: 256 bits each, so that a plain digest is enough to keep."""

import hashlib
import hmac
import secrets
from typing import Final

KEY_PREFIX: Final = "tl_"
_ID = 8


def new_secret() -> str:
    """Return a secret of 43 characters."""
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> bytes:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def new_key_id() -> str:
    """Return the public part of a key."""
    return secrets.token_hex(_ID // 2)


def key_text(key_id: str, secret: str) -> str:
    """Return a key as its owner sees it, once: ``tl_<id>_<secret>``."""
    return f"{KEY_PREFIX}{key_id}_{secret}"


def split_key(text: str) -> tuple[str, str] | None:
    """Return the id and the secret of a key, or None where it cannot be one."""
    rest = text.removeprefix(KEY_PREFIX)
    key_id, found, secret = rest.partition("_")
    is_one = found and len(key_id) == _ID and len(secret) == 43 and text.isascii()
    return (key_id, secret) if is_one and text.startswith(KEY_PREFIX) else None


def is_secret(secret: str, digest: bytes) -> bool:
    """Return whether a digest is of a secret, in constant time."""
    return hmac.compare_digest(digest_of(secret), digest)
