"""The keys of persons: made when somebody first says something, gone when they are forgotten.

One key for each subject; a plan and all of its runs are encrypted with the key of who submitted it.
Keys are wrapped by one that is not in the database. What was read is believed for a few seconds, so
that every process has forgotten within them.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import Connection
from psycopg.rows import DictRow

from domain.errors import Unavailable
from infra.store.kek import Kek

BELIEVED: Final = 5.0
"""Seconds."""

MOST: Final = 20_000
"""Keys and streams that are remembered."""

_OF_STREAMS: Final = (
    "select s.stream, s.key_id, k.subject, k.kek, k.wrapped from keys.streams s"
    " left join keys.data_keys k on k.id = s.key_id where s.stream = any(%s)"
)
_OF_ID: Final = "select id as key_id, subject, kek, wrapped from keys.data_keys where id = %s"
_MAKE: Final = (
    "insert into keys.data_keys (subject, kek, wrapped) values (%s, %s, %s) on conflict do nothing"
)
_ASSIGN: Final = (
    "insert into keys.streams (stream, key_id)"
    " select %s, id from keys.data_keys where subject = %s on conflict do nothing"
)

Connect = Callable[[], AbstractContextManager[Connection[DictRow]]]


class WrongKek(Unavailable):
    """The keys of the database are wrapped by another key than ours."""

    code = "wrong-kek"

    def __init__(self, theirs: str, ours: str) -> None:
        super().__init__(
            f"the keys of persons in the database are wrapped by key {theirs}, and this process has"
            f" {ours}; give every process the same TASKLOOM_KEYS__KEK_FILE"
        )


class KeyGone(Unavailable):
    """A key was deleted while something was about to be encrypted with it; again, it is new."""

    code = "key-gone"

    def __init__(self, stream: str) -> None:
        super().__init__(f"the key of {stream} was deleted a moment ago; try again")


class Tampered(ValueError):
    """What was encrypted was put at another place, or changed."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """The key of a subject."""

    id: int
    cipher: AESGCM

    def encrypt(self, said: bytes, place: bytes) -> bytes:
        """Return something encrypted for one place; elsewhere it cannot be read."""
        nonce = os.urandom(12)
        return nonce + self.cipher.encrypt(nonce, said, place)

    def decrypt(self, sealed: bytes, place: bytes) -> bytes:
        """Return what was encrypted for a place.

        Raises:
            Tampered: It was for another one, or is not what it was.
        """
        try:
            return self.cipher.decrypt(sealed[:12], sealed[12:], place)
        except InvalidTag as error:
            raise Tampered("what is personal in it was not encrypted for this place") from error


class Keyring:
    """Finds keys, and makes those that are missing; several threads may use it."""

    def __init__(
        self, kek: Kek, connect: Connect, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._kek = kek
        self._connect = connect
        self._now = now
        self._keys: dict[int, tuple[float, DataKey | None]] = {}
        self._streams: dict[str, tuple[float, int]] = {}

    def of_streams(self, owners: Mapping[str, str]) -> Mapping[str, DataKey | None]:
        """Return the keys of streams; None where whoever they belong to was forgotten.

        ``owners`` says to whom each belongs if nobody has said so before.
        """
        found: dict[str, DataKey | None] = {}
        for stream in owners:
            known = self._known(stream)
            if known is not None:
                found[stream] = known[1]
        unknown = owners.keys() - found.keys()
        if unknown:
            with self._connect() as connection:
                found |= self._look_up(connection, unknown)
                new = unknown - found.keys()
                for stream in new:
                    self._make(connection, stream, owners[stream])
                if new:
                    found |= self._look_up(connection, new)
        if owners.keys() > found.keys():
            # Whoever it is was forgotten just now. Nothing of them may be lost by mistake.
            raise KeyGone(min(owners.keys() - found.keys()))
        return found

    def of_id(self, key_id: int) -> DataKey | None:
        """Return a key; None where it is gone."""
        until, key = self._keys.get(key_id, (0.0, None))
        if until >= self._now():
            return key
        with self._connect() as connection:
            row = connection.execute(_OF_ID, [key_id], prepare=True).fetchone()
        return self._remember(key_id, row)

    def forget(self) -> None:
        """Believe nothing that was read before."""
        self._keys.clear()
        self._streams.clear()

    def _known(self, stream: str) -> tuple[float, DataKey | None] | None:
        until, key_id = self._streams.get(stream, (0.0, 0))
        known = self._keys.get(key_id, (0.0, None))
        return known if min(until, known[0]) >= self._now() else None

    def _look_up(
        self, connection: Connection[DictRow], streams: Iterable[str]
    ) -> dict[str, DataKey | None]:
        if len(self._streams) > MOST or len(self._keys) > MOST:
            self.forget()
        rows = connection.execute(_OF_STREAMS, [list(streams)], prepare=True).fetchall()
        found: dict[str, DataKey | None] = {}
        for row in rows:
            stream, key_id = str(row["stream"]), int(row["key_id"])
            found[stream] = self._remember(key_id, row if row["wrapped"] is not None else None)
            self._streams[stream] = (self._now() + BELIEVED, key_id)
        return found

    def _make(self, connection: Connection[DictRow], stream: str, owner: str) -> None:
        """Make a key for who has none, and give it to a stream; of two who do, one does."""
        wrapped = self._kek.wrap(AESGCM.generate_key(256), owner)
        connection.execute(_MAKE, [owner, self._kek.id, wrapped])
        connection.execute(_ASSIGN, [stream, owner])

    def _remember(self, key_id: int, row: Mapping[str, Any] | None) -> DataKey | None:
        key = None
        if row is not None:
            if row["kek"] != self._kek.id:
                raise WrongKek(row["kek"], self._kek.id)
            unwrapped = self._kek.unwrap(bytes(row["wrapped"]), str(row["subject"]))
            key = DataKey(key_id, AESGCM(unwrapped))
        self._keys[key_id] = (self._now() + BELIEVED, key)
        return key
