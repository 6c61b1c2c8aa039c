"""The key that wraps the keys of persons. It is never in the database."""

import base64
import binascii
import hashlib
import os
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import Unavailable


class KekUnusable(Unavailable):
    """What should be the key that wraps the others is none."""

    code = "kek-unusable"

    def __init__(self, where: str) -> None:
        super().__init__(f"{where} is no key: it has to be 32 bytes in base64")


class Kek:
    """Wraps and unwraps keys, each for the one subject that it belongs to."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.id = hashlib.sha256(b"taskloom.kek" + key).hexdigest()[:16]

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """Read a key.

        Raises:
            KekUnusable: It is none.
        """
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError) as error:
            raise KekUnusable(where) from error
        if len(key) != 32:
            raise KekUnusable(where)
        return cls(key)

    @classmethod
    def of_file(cls, file: Path) -> Self:
        """Read a key from a file; where there is none, it is made, for its owner's eyes only.

        Raises:
            KekUnusable: It holds something else, or cannot be read.
        """
        try:
            if not file.exists():
                _make(file)
            return cls.parse(file.read_text(), str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise KekUnusable(str(file)) from error

    def wrap(self, key: bytes, subject: str) -> bytes:
        """Return a key as it is kept."""
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, key, subject.encode())

    def unwrap(self, wrapped: bytes, subject: str) -> bytes:
        """Return a key that was wrapped."""
        return self._cipher.decrypt(wrapped[:12], wrapped[12:], subject.encode())


def _make(file: Path) -> None:
    """Make a key; of several who make it at once, one does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(base64.b64encode(os.urandom(32)) + b"\n")
    try:
        os.link(part, file)
    except FileExistsError:
        pass
    finally:
        part.unlink()
