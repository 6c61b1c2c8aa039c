"""What happened in a simulated world, line by line: as a checksum, or to be read."""

import hashlib


class Trace:
    """Writes down what happens; the same seed writes the same, to the byte."""

    def __init__(self, *, is_kept: bool = False) -> None:
        """Begin; the lines themselves are only kept where somebody wants to read them."""
        self._digest = hashlib.sha256()
        self.lines: list[str] | None = [] if is_kept else None

    def write(self, at: float, *words: object) -> None:
        """Write down that something happened."""
        line = f"{at:.6f} {' '.join(map(str, words))}"
        self._digest.update(line.encode())
        self._digest.update(b"\n")
        if self.lines is not None:
            self.lines.append(line)

    @property
    def checksum(self) -> str:
        """The checksum of all that was written so far."""
        return self._digest.hexdigest()
