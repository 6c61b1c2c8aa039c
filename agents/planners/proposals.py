"""What a domain planner proposes: tasks that say what they produce and what they need."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, cast

from pydantic import Field

from agents.planners.scope import Domain
from domain.values import Action, AgentType, Duration, JsonObject, Name, Text, Value

HOURLY_RATES: dict[str, float] = {"META": 110, "CAD": 95, "SIM": 120, "COMP": 85, "SUPP": 80}
"""What an hour of each domain's work is taken to cost."""


SOURCES = "sources of a critical part"
"""A quantity that META bounds by risk and SUPP by money."""


class Bound(Value):
    """What a task asks of a quantity that other domains may have a say in as well."""

    low: Annotated[float, Field(allow_inf_nan=False)] | None = None
    high: Annotated[float, Field(allow_inf_nan=False)] | None = None

    def meets(self, other: "Bound") -> bool:
        """Tell whether a number can keep both."""
        lows = [each for each in (self.low, other.low) if each is not None]
        highs = [each for each in (self.high, other.high) if each is not None]
        return not lows or not highs or max(lows) <= min(highs)

    def __str__(self) -> str:
        parts = [
            f"at least {self.low:g}" if self.low is not None else "",
            f"at most {self.high:g}" if self.high is not None else "",
        ]
        return " and ".join(part for part in parts if part) or "anything"


class Proposal(Value):
    """One task of a domain, linked by artefacts."""

    key: Name
    """Its name within the domain's plan."""

    name: Name
    action: Action
    params: JsonObject = Field(default_factory=dict)
    produces: tuple[Name, ...] = ()
    needs: tuple[Name, ...] = ()
    after: tuple[Name, ...] = ()
    """Keys of the same domain that have to end first, though nothing of theirs is needed."""

    uses: tuple[Name, ...] = ()
    """What only one task can have at a time: a test bench, a licence."""

    bounds: dict[Name, Bound] = Field(default_factory=dict)
    """What it asks of quantities that other domains decide about too."""

    duration: Duration = timedelta(hours=1)
    cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    rule: Text = ""
    deliverable: bool = False


class DomainPlan(Value):
    """What one domain proposes."""

    domain: AgentType
    tasks: tuple[Proposal, ...]
    notes: tuple[Text, ...] = ()


@dataclass(slots=True, kw_only=True)
class Draft:
    """A domain's plan while it is written."""

    domain: Domain
    tasks: list[Proposal] = field(default_factory=list[Proposal])
    notes: list[str] = field(default_factory=list[str])

    def add(
        self,
        key: str,
        name: str,
        action: str,
        *,
        hours: float,
        rule: str,
        needs: list[str] | None = None,
        after: list[str] | None = None,
        params: JsonObject | None = None,
        produces: str | None = None,
        bounds: dict[str, Bound] | None = None,
        deliverable: bool = False,
    ) -> None:
        """Propose a task; unless said otherwise it produces the artefact of its key."""
        self.tasks.append(
            Proposal(
                key=key,
                name=name,
                action=action,
                params=params or {},
                produces=(produces or key,),
                needs=tuple(needs or ()),
                after=tuple(after or ()),
                bounds=bounds or {},
                duration=timedelta(hours=hours),
                cost=hours * HOURLY_RATES[self.domain],
                rule=rule,
                deliverable=deliverable,
            )
        )

    def written(self) -> JsonObject:
        """Return the plan as the planner's result."""
        plan = DomainPlan(
            domain=self.domain, tasks=tuple(self.tasks), notes=tuple(n[:4000] for n in self.notes)
        )
        return cast(JsonObject, plan.model_dump(mode="json"))
