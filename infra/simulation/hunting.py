"""Many seeds, over several processes: to find nothing, or to find what was planted."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context

from domain.errors import NotFound
from infra.simulation.plants import PLANTS, Plant
from infra.simulation.simulate import simulate
from infra.simulation.verdict import Verdict
from infra.simulation.world import Violation

_AT_ONCE = 10
MOST = 2_000
"""Seeds within which a planted bug has to be found."""


class NoSuchPlant(NotFound):
    """No bug has this name."""

    code = "no-such-plant"

    def __init__(self, name: str) -> None:
        known = ", ".join(plant.name for plant in PLANTS)
        super().__init__(f"there is no plant {name}; there are {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """How a planted bug was found, if it was."""

    plant: str
    seed: int | None
    """The first seed that found it."""

    violation: Violation | None
    tried: int

    @property
    def is_right(self) -> bool:
        """Whether it was found, by an invariant that is about it."""
        if self.violation is None:
            return False
        return self.violation.invariant in plant_of(self.plant).expected


def plant_of(name: str) -> Plant:
    """Return the bug of a name.

    Raises:
        NoSuchPlant: There is none.
    """
    for plant in PLANTS:
        if plant.name == name:
            return plant
    raise NoSuchPlant(name)


def survey(
    seeds: Iterable[int], *, processes: int = 2, until: float = math.inf
) -> Iterator[Verdict]:
    """Simulate seeds, and yield their verdicts in order.

    None is begun after ``until``, a time of ``time.monotonic``.
    """
    with _pool(processes) as pool:
        chunks, under_way = _chunks(seeds), deque[Future[Sequence[Verdict]]]()
        while True:
            while len(under_way) < 2 * processes and time.monotonic() < until:
                if (chunk := next(chunks, None)) is None:
                    break
                under_way.append(pool.submit(_some, chunk))
            if not under_way:
                return
            yield from under_way.popleft().result()


def selftest(
    plants: Sequence[Plant] = PLANTS, *, most: int = MOST, processes: int = 2
) -> Iterator[Catch]:
    """Plant each bug in turn, and yield how soon it was found."""
    with _pool(processes) as pool:
        yield from pool.map(_hunt, [(plant.name, most) for plant in plants])


def hunt(plant: Plant, *, most: int = MOST) -> Catch:
    """Look for a planted bug, from seed 1 on."""
    for seed in range(1, most + 1):
        for violation in simulate(seed, plant=plant).violations:
            if violation.invariant in plant.expected:
                return Catch(plant=plant.name, seed=seed, violation=violation, tried=seed)
    return Catch(plant=plant.name, seed=None, violation=None, tried=most)


def _some(seeds: Sequence[int]) -> Sequence[Verdict]:
    return [simulate(seed) for seed in seeds]


def _hunt(wanted: tuple[str, int]) -> Catch:
    name, most = wanted
    return hunt(plant_of(name), most=most)


def _chunks(seeds: Iterable[int]) -> Iterator[Sequence[int]]:
    remaining = iter(seeds)
    while some := list(islice(remaining, _AT_ONCE)):
        yield some


def _pool(processes: int) -> ProcessPoolExecutor:
    """Return processes that know nothing of this one."""
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
