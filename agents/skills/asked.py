"""The requirements artefact as every later task reads it."""

from dataclasses import dataclass
from typing import TypeVar

from agents.agent import Work
from agents.catalogue.shelf import KindName, Material, materials
from agents.engineering.verdicts import Target
from agents.reading import read, shaped

F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked: the kind of thing, its facts, and its measurable requirements."""

    kind: KindName
    facts: dict[str, float]
    targets: tuple[Target, ...]
    standards: tuple[str, ...] = ()
    due_days: float | None = None
    budget: float | None = None

    @property
    def sets(self) -> int:
        """How many of the thing are wanted in a year."""
        return max(1, int(self.facts.get("units_per_year", 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A material as the choice of it reports it."""

    name: str
    group: str
    density_kg_m3: float
    yield_pa: float
    ultimate_pa: float
    fatigue_pa: float
    youngs_modulus_pa: float
    price_per_kg: float


def asked(work: Work) -> Asked:
    """Return what is asked.

    Raises:
        CannotBeDone: There is no input ``requirements``, or it is malformed.
    """
    return read(work, "requirements", Asked)


def facts(work: Work, shape: type[F]) -> F:
    """Return the facts of the thing in the shape that a computation wants.

    Raises:
        CannotBeDone: Some are missing: the requirements are of another kind of goal.
    """
    return read(work, "requirements", shape, part="facts")


def chosen(material: Material) -> Chosen:
    """Return what the choice of a material reports about it."""
    return Chosen(
        name=material.name,
        group=material.group,
        density_kg_m3=material.density_kg_m3,
        yield_pa=material.yield_pa,
        ultimate_pa=material.ultimate_pa,
        fatigue_pa=material.fatigue_pa,
        youngs_modulus_pa=material.youngs_modulus_pa,
        price_per_kg=material.price_per_kg,
    )


def material_of(work: Work, use: str) -> Chosen:
    """Return the chosen material, or, while none is chosen, the lightest one for a use."""
    if "material" in work.inputs:
        return read(work, "material", Chosen)
    fit = [entry for entry in materials() if use in entry.uses]
    return chosen(min(fit, key=lambda entry: entry.density_kg_m3))


def missing_of(work: Work) -> list[str]:
    """Return what was planned for this task and is left out, by the names of the inputs.

    Raises:
        CannotBeDone: What is asked for are no names.
    """
    return shaped(work.params.get("without", []), list[str], where="what is left out")


def draft_of(work: Work) -> str:
    """Return the name of the input that is screened: the first draft unless it says what.

    Raises:
        CannotBeDone: What is asked for is no name.
    """
    return shaped(work.params.get("of", "concept"), str, where="what is screened")
