"""The shipped catalogue, read once and checked: a wrong entry is found when it is first opened."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, TypeAdapter

from domain.values import AgentType, Value

_SHELF = Path(__file__).parent

KindName = Literal["brake", "structure", "vessel", "software", "study", "general"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Fact(Value):
    """A number about the thing wanted: what is assumed when nobody says, and what is plausible."""

    name: str
    default: float
    low: float
    high: float


class TargetForm(Value):
    """A measurable requirement whose limit is a fact of the goal."""

    metric: str
    comparator: Literal[">=", "<="]
    limit: str
    evidence: str
    text: str
    source: str


class Option(Value):
    """One way to do it, with its scores from 0 to 1."""

    name: str
    scores: dict[str, Share]


class RiskForm(Value):
    """A risk that goals of a kind usually have; impact goes from 1 to 5."""

    name: str
    probability: Share
    impact: Annotated[int, Field(ge=1, le=5)]
    mitigation: str
    owner: AgentType


class Part(Value):
    """A part of a thing: what it costs to make or to buy, and how long it takes to get."""

    name: str
    category: str
    quantity: Annotated[int, Field(ge=1)]
    quantity_fact: str = ""
    """The fact that says how many there are, where it depends on the thing."""

    make_unit: NotNegative
    make_setup: NotNegative
    buy_unit: Positive
    lead_days: Positive
    is_critical: bool
    can_reuse: bool
    assembly_seconds: Positive
    is_essential: bool
    """Whether it has to be a part of its own, as design for assembly asks."""


class Kind(Value):
    """What is known about goals of one kind."""

    name: KindName
    is_hardware: bool
    words: tuple[str, ...]
    material_use: str
    facts: tuple[Fact, ...]
    targets: tuple[TargetForm, ...]
    options: tuple[Option, ...]
    risks: tuple[RiskForm, ...]
    parts: tuple[Part, ...]


class Material(Value):
    """A material; SI units, at room temperature."""

    name: str
    group: str
    uses: tuple[str, ...]
    density_kg_m3: Positive
    yield_pa: Positive
    ultimate_pa: Positive
    fatigue_pa: Positive
    """The amplitude it bears for ten million cycles."""

    youngs_modulus_pa: Positive
    conductivity_w_mk: Positive
    specific_heat_j_kgk: Positive
    price_per_kg: Positive
    source: str


class Supplier(Value):
    """Somebody who sells; price and lead time are factors on the catalogue's."""

    name: str
    region: str
    categories: tuple[str, ...]
    price_factor: Positive
    lead_factor: Positive
    risk: Share
    certificates: tuple[str, ...]


class Clause(Value):
    """Something a standard asks for, and the artefact that shows it."""

    id: str
    asks: str
    evidence: str


class Standard(Value):
    """A standard; the one called ``*`` stands for all that are not on the shelf."""

    name: str
    title: str
    clauses: tuple[Clause, ...]


@cache
def kinds() -> tuple[Kind, ...]:
    """Return every kind, the most particular first and ``general`` last."""
    names: tuple[KindName, ...] = get_args(KindName)
    return tuple(
        Kind.model_validate_json((_SHELF / "kinds" / f"{name}.json").read_bytes()) for name in names
    )


def kind(name: KindName) -> Kind:
    """Return the kind of that name."""
    return next(entry for entry in kinds() if entry.name == name)


@cache
def materials() -> tuple[Material, ...]:
    """Return every material."""
    return TypeAdapter(tuple[Material, ...]).validate_json((_SHELF / "materials.json").read_bytes())


@cache
def suppliers() -> tuple[Supplier, ...]:
    """Return every supplier."""
    return TypeAdapter(tuple[Supplier, ...]).validate_json((_SHELF / "suppliers.json").read_bytes())


@cache
def standards() -> tuple[Standard, ...]:
    """Return every standard."""
    return TypeAdapter(tuple[Standard, ...]).validate_json((_SHELF / "standards.json").read_bytes())


def standard(name: str) -> Standard:
    """Return the standard of that name, or the one that stands for all unknown ones."""
    by_name = {entry.name.casefold(): entry for entry in standards()}
    return by_name.get(name.strip().casefold(), by_name["*"])
