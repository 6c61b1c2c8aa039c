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
        found = {stream: self._known(stream) for stream in owners}
        unknown = [stream for stream, key_id in found.items() if key_id is None]
        if unknown:
            with self._connect() as connection:
                found |= self._look_up(connection, unknown)
                for stream in unknown:
                    if found[stream] is None:
                        self._make(connection, stream, owners[stream])
                found |= self._look_up(connection, [one for one in unknown if not found[one]])
        return {stream: self._keys[key_id][1] for stream, key_id in found.items() if key_id}

    def of_id(self, key_id: int) -> DataKey | None:
        """Return a key; None where it is gone."""
        known = self._keys.get(key_id)
        if known is None or known[0] < self._now():
            with self._connect() as connection:
                row = connection.execute(_OF_ID, [key_id], prepare=True).fetchone()
            self._remember(key_id, row)
        return self._keys[key_id][1]

    def forget(self) -> None:
        """Believe nothing that was read before."""
        self._keys.clear()
        self._streams.clear()

    def _known(self, stream: str) -> int | None:
        until, key_id = self._streams.get(stream, (0.0, 0))
        if until < self._now() or self._keys.get(key_id, (0.0, None))[0] < self._now():
            return None
        return key_id

    def _look_up(
        self, connection: Connection[DictRow], streams: Iterable[str]
    ) -> dict[str, int | None]:
        if len(self._streams) > MOST or len(self._keys) > MOST:
            self.forget()
        wanted = list(streams)
        rows = connection.execute(_OF_STREAMS, [wanted], prepare=True).fetchall()
        found: dict[str, int | None] = dict.fromkeys(wanted)
        for row in rows:
            key_id = found[row["stream"]] = int(row["key_id"])
            self._remember(key_id, row if row["wrapped"] is not None else None)
            self._streams[row["stream"]] = (self._now() + BELIEVED, key_id)
        return found

    def _make(self, connection: Connection[DictRow], stream: str, owner: str) -> None:
        """Make a key for who has none, and give it to a stream; of two who do, one does."""
        wrapped = self._kek.wrap(AESGCM.generate_key(256), owner)
        connection.execute(_MAKE, [owner, self._kek.id, wrapped])
        connection.execute(_ASSIGN, [stream, owner])

    def _remember(self, key_id: int, row: Mapping[str, Any] | None) -> None:
        key = None
        if row is not None:
            if row["kek"] != self._kek.id:
                raise WrongKek(row["kek"], self._kek.id)
            unwrapped = self._kek.unwrap(bytes(row["wrapped"]), str(row["subject"]))
            key = DataKey(key_id, AESGCM(unwrapped))
        self._keys[key_id] = (self._now() + BELIEVED, key)
