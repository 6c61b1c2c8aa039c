"""Laying out and simulating the effort of a goal that is neither a thing nor a service."""

from dataclasses import dataclass

from agents.agent import CannotBeDone, Work
from agents.engineering.estimates import ThreePoint, simulated_p80, total
from agents.reading import read, result
from agents.skills.asked import facts
from domain.values import JsonObject

ROUNDS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """The facts about an effort: packages of equal size, in hours."""

    work_packages: int
    people: int
    optimistic_hours: float
    likely_hours: float
    pessimistic_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Packages, and who there is to do them."""

    packages: int
    people: int
    package: ThreePoint


async def outline_work(work: Work) -> JsonObject:
    """Divide the work into equal packages with three-point estimates."""
    effort = facts(work, Effort)
    if not effort.optimistic_hours <= effort.likely_hours <= effort.pessimistic_hours:
        raise CannotBeDone(
            "the estimates have to grow from optimistic over likely to pessimistic;"
            f" they are {effort.optimistic_hours:g}, {effort.likely_hours:g}"
            f" and {effort.pessimistic_hours:g} hours"
        )
    package = ThreePoint(
        optimistic=effort.optimistic_hours,
        likely=effort.likely_hours,
        pessimistic=effort.pessimistic_hours,
    )
    expected = total([package] * effort.work_packages).expected
    return result(
        f"{effort.work_packages} packages, {expected:.0f} hours,"
        f" {expected / effort.people:.0f} hours for each of {effort.people} people",
        Layout(packages=effort.work_packages, people=effort.people, package=package),
        {"expected_hours": expected, "hours_per_person": expected / effort.people},
    )


async def screen_effort(work: Work) -> JsonObject:
    """Estimate what is enough four times in five, by formula."""
    whole = total(_packages(read(work, "design", Layout)))
    return result(
        f"By formula {whole.p80:.0f} hours are enough four times in five",
        {
            "effort_p80_hours": whole.p80,
            "expected_hours": whole.expected,
            "deviation_hours": whole.deviation,
        },
    )


async def simulate_effort(work: Work) -> JsonObject:
    """Draw the effort four thousand times."""
    hours = simulated_p80(_packages(read(work, "design", Layout)), rounds=ROUNDS, seed=1)
    return result(
        f"In {ROUNDS} draws {hours:.0f} hours are enough four times in five",
        {"effort_p80_hours": hours, "rounds": ROUNDS, "seed": 1},
    )


def _packages(layout: Layout) -> list[ThreePoint]:
    return [layout.package] * layout.packages
