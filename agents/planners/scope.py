"""What a goal is, as the planners see it: its kind, the domains it concerns, and its pressures."""

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict

from agents.agent import Work
from agents.catalogue.shelf import Kind, kind, kinds, suppliers
from agents.engineering.times import hours_of
from agents.reading import shaped
from domain.estimates import Effort
from domain.goals import Constraints, Goal, Options
from domain.values import AgentType, JsonObject, Value

Domain = Literal["META", "CAD", "SIM", "COMP", "SUPP"]
DOMAINS: tuple[Domain, ...] = ("META", "CAD", "SIM", "COMP", "SUPP")

TIGHT_HOURS = 21 * 24
AMPLE_HOURS = 60 * 24
SMALL_BUDGET = 20_000

_CREATE = re.compile(r"\b(design|creat|develop|build|architect|model|prototyp|construct|engineer)")
_SHOW = re.compile(
    r"\b(simulat|validat|test|analy|measur|perform|benchmark|evaluat|compar|verif|assess)"
)
_GET = re.compile(r"\b(component|bom|part|tool|equipment|material|hardware|manufactur|produc)")
_BUY = re.compile(r"\b(supplier|procure|vendor|buy|purchas|sourc|deliver|logistic|order|hosting)")


class Request(Value):
    """What a planner is asked, by the planning run or directly; a goal may be just its title."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    goal: Goal | str
    options: Options = Options()
    constraints: Constraints = Constraints()
    """Of a goal that is just its title."""

    history: tuple[Effort, ...] = ()
    """How long work of the past has taken."""

    domains: tuple[AgentType, ...] = ()
    """Whom else the goal concerns; those that are not known here produce nothing known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A goal with what follows from its words and constraints alone."""

    goal: Goal
    options: Options
    kind: Kind
    domains: tuple[Domain, ...]
    reasons: tuple[str, ...]
    hours: float | None
    history: tuple[Effort, ...] = ()

    @property
    def is_tight(self) -> bool:
        """Whether there are fewer than three weeks."""
        return self.hours is not None and self.hours < TIGHT_HOURS

    @property
    def is_cheap(self) -> bool:
        """Whether there is little money, so that only what is asked for is done."""
        return self.goal.constraints.budget is not None and (
            self.goal.constraints.budget < SMALL_BUDGET
        )

    @property
    def is_concurrent(self) -> bool:
        """Whether work starts on assumptions instead of waiting for what will replace them."""
        return self.is_tight or self.options.parallelization == "aggressive"

    @property
    def iterations(self) -> int:
        """How often a design is revised: once in a hurry, three times with two months."""
        if self.is_tight:
            return 1
        return 3 if self.hours is not None and self.hours >= AMPLE_HOURS else 2

    @property
    def standards(self) -> tuple[str, ...]:
        """The standards that apply, each once."""
        by_name = {
            name.strip().casefold(): name.strip() for name in self.goal.constraints.compliance
        }
        return tuple(name for key, name in by_name.items() if key)[:20]

    @property
    def certificates(self) -> list[str]:
        """The standards that suppliers can be certified for: the goal's bind them as well."""
        known = {name.casefold(): name for each in suppliers() for name in each.certificates}
        return sorted({known[n.casefold()] for n in self.standards if n.casefold() in known})

    @property
    def evidence(self) -> frozenset[str]:
        """What simulations of this kind of goal can show, given the money."""
        always, with_money = _SHOWN[self.kind.name]
        return frozenset(always if self.is_cheap else (*always, *with_money))

    @property
    def artefacts(self) -> frozenset[str]:
        """What the concerned domains produce and others may need."""
        offered: set[str] = {"requirements", "risks", "compliance-matrix"}
        if "CAD" in self.domains:
            offered |= {"design", "design-release"}
        if "SIM" in self.domains:
            offered |= {"validation", *self.evidence}
        if "COMP" in self.domains:
            offered |= {"bom", "bom-draft"} | (
                {"component-compliance"} if self.certificates else set()
            )
        if "SUPP" in self.domains:
            offered |= {"suppliers", "orders", "supply-risks"}
        return frozenset(offered)

    def offered(self, *artefacts: str) -> list[str]:
        """Return those of the artefacts that somebody produces."""
        return [name for name in artefacts if name in self.artefacts]


_SHOWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "brake": (("braking", "stress"), ("fade", "fatigue")),
    "structure": (("stress", "vibration"), ("fatigue",)),
    "vessel": (("cooling",), ()),
    "study": (("power", "recruitment"), ()),
    "software": (("load-simulation", "availability"), ()),
    "general": (("effort-simulation",), ()),
}


def scope_of(work: Work) -> Scope:
    """Return what a planner is asked about.

    Raises:
        CannotBeDone: The parameters have no goal, or a malformed one.
    """
    request = shaped(work.params, Request, where="the planning request")
    goal = request.goal
    if isinstance(goal, str):
        title = goal.strip()[:200] or "untitled"
        goal = Goal(title=title, description=goal[:4000], constraints=request.constraints)
    form = _kind_of(goal)
    reasons = _concerned(goal, form)
    asked: tuple[str, ...] = request.domains or tuple(reasons)
    domains: tuple[Domain, ...] = tuple(name for name in DOMAINS if name in asked)
    return Scope(
        goal=goal,
        options=request.options,
        kind=form,
        domains=domains,
        reasons=tuple(f"{name}: {reason}" for name, reason in reasons.items()),
        hours=hours_of(goal.constraints.timeline or ""),
        history=request.history,
    )


def facts_of(scope: Scope) -> tuple[JsonObject, list[str]]:
    """Return the facts in the goal's context that its kind knows, and the names it does not."""
    known = {fact.name for fact in scope.kind.facts}
    facts: JsonObject = {}
    strange: list[str] = []
    for name, value in scope.goal.context.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in known and is_number:
            facts[name] = value
        else:
            strange.append(name)
    return facts, strange


def _text(goal: Goal) -> str:
    return f"{goal.title} {goal.description} {goal.domain}".casefold()


def _kind_of(goal: Goal) -> Kind:
    """Return the kind with the most words in the goal; of equals the more particular."""
    text = _text(goal)

    def words(form: Kind) -> int:
        return sum(bool(re.search(rf"\b{re.escape(word)}s?\b", text)) for word in form.words)

    best = max(kinds(), key=words)
    return best if words(best) else kind("general")


def _concerned(goal: Goal, form: Kind) -> dict[Domain, str]:
    text = _text(goal)
    rules: tuple[tuple[Domain, bool, str], ...] = (
        ("META", True, "every goal has requirements, risks and a decision at its end"),
        (
            "CAD",
            form.name != "general" or bool(_CREATE.search(text)),
            f"something is to be designed ({form.name})",
        ),
        (
            "SIM",
            form.is_hardware or bool(_SHOW.search(text) or goal.constraints.compliance),
            "claims have to be shown by simulation or analysis",
        ),
        (
            "COMP",
            form.name != "general" or bool(_GET.search(text)),
            "it consists of components that are made or bought",
        ),
        (
            "SUPP",
            form.is_hardware or bool(_BUY.search(text)),
            "something has to be bought from somebody",
        ),
    )
    found: dict[Domain, str] = {name: reason for name, is_so, reason in rules if is_so}
    if "SIM" in found and "CAD" not in found:
        found["CAD"] = "what is simulated has to be laid out first"
    if "SUPP" in found and "COMP" not in found:
        found["COMP"] = "what is bought has to be listed first"
    return {name: found[name] for name in DOMAINS if name in found}
