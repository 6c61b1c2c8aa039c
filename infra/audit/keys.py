"""The key that signs checkpoints: Ed25519, in a file that only its owner reads."""

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.errors import Unavailable


class KeyUnusable(Unavailable):
    """A file does not hold the key that it should."""

    code = "key-unusable"

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(f"{file} cannot be used as a key: {why}")


class Signer:
    """Signs with a private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = key_id(key.public_key())

    def sign(self, said: bytes) -> bytes:
        """Return the signature of some bytes."""
        return self._key.sign(said)


class Witness:
    """Checks signatures with a public key."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.key_id = key_id(key)

    def is_right(self, signature: bytes, said: bytes) -> bool:
        """Tell whether a signature was made with the private key over these bytes."""
        try:
            self._key.verify(signature, said)
        except InvalidSignature:
            return False
        return True


def key_id(key: Ed25519PublicKey) -> str:
    """Return what names a key: the beginning of the hash of its public half."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def signer_of(file: Path) -> Signer:
    """Return the signer whose key is in a file; where there is none, it is made.

    The public half is written beside it, as ``….pub``.

    Raises:
        KeyUnusable: It holds something else, or cannot be made.
    """
    try:
        if not file.exists():
            _make(file)
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise KeyUnusable(file, error.strerror or type(error).__name__) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(file, "it is no unencrypted private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(file, "it is no Ed25519 key")
    return Signer(key)


def witness_of(file: Path) -> Witness:
    """Return who checks with the public key in a file.

    Raises:
        KeyUnusable: It holds something else.
    """
    try:
        key = serialization.load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise KeyUnusable(file, error.strerror or type(error).__name__) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(file, "it is no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable(file, "it is no Ed25519 key")
    return Witness(key)


def public_file(file: Path) -> Path:
    """Return where the public half of a key is."""
    return file.with_name(f"{file.name}.pub")


def _make(file: Path) -> None:
    """Make a key; of two who make it at once, one does."""
    key = Ed25519PrivateKey.generate()
    file.parent.mkdir(parents=True, exist_ok=True)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(private)
    try:
        os.link(part, file)
    except FileExistsError:
        return
    finally:
        part.unlink()
    public_file(file).write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
