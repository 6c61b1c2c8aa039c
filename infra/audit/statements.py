"""What checkpoints say of the seals: whoever rewrites the whole chain is caught here."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from infra.audit.checkpoints import Checkpoint, read
from infra.audit.hashing import Seal
from infra.audit.keys import Witness
from infra.audit.places import BadPlace


class Statements:
    """Hears every seal, and says which checkpoints it contradicts."""

    def __init__(self, files: Iterable[Path] = (), witness: Witness | None = None) -> None:
        """Read files of checkpoints; without a witness their signatures are not checked.

        Raises:
            OSError: A file cannot be read.
        """
        self.agreeing = 0
        self._forged: list[BadPlace] = []
        self._of_seal: dict[int, list[tuple[str, Checkpoint]]] = {}
        for file in files:
            for where, checkpoint in self._read(file, witness):
                self._of_seal.setdefault(checkpoint.seal, []).append((where, checkpoint))

    def hear(self, seal: Seal) -> Iterator[BadPlace]:
        """Give what checkpoints say against a seal."""
        for where, said in self._of_seal.pop(seal.number, ()):
            if (said.hash, said.position) == (seal.hash.hex(), seal.last):
                self.agreeing += 1
            else:
                yield _against(said, f"{where} says that this seal was another one")

    def rest(self) -> Iterator[BadPlace]:
        """Give what is wrong with the checkpoints themselves, and those whose seal is gone."""
        yield from self._forged
        for number in sorted(self._of_seal):
            for where, said in self._of_seal[number]:
                yield _against(said, f"{where} says that there was this seal, and it is gone")

    def _read(self, file: Path, witness: Witness | None) -> Iterator[tuple[str, Checkpoint]]:
        previous: str | None = None
        for number, line, found in read(file):
            where = f"{file.name}, line {number},"
            if found is None:
                self._forge(f"{where} is no checkpoint")
            else:
                if found.previous != previous:
                    self._forge(f"{where} follows another line than the one before it", found)
                if witness is not None and not found.is_signed_by(witness):
                    self._forge(f"{where} is not signed with this key", found)
                yield where.rstrip(","), found
            previous = hashlib.sha256(line).hexdigest()

    def _forge(self, why: str, said: Checkpoint | None = None) -> None:
        if said is None:
            self._forged.append(BadPlace(what="checkpoint", why=why))
        else:
            self._forged.append(_against(said, why))


def _against(said: Checkpoint, why: str) -> BadPlace:
    return BadPlace(what="checkpoint", why=why, position=said.position, seal=said.seal)
