"""What a simulation found out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.simulation.world import Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one seed."""

    seed: int
    plant: str | None
    violations: Sequence[Violation]
    checksum: str
    """Of the trace: the same seed has the same, on every machine."""

    seconds: float
    """How long it took in virtual time."""

    steps: int
    events: int
    effects: int
    faults: Mapping[str, int]
    """How often each fault was done."""

    lines: Sequence[str] = ()
    """The trace itself, where it was asked for."""

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations
