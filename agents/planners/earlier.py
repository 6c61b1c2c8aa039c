"""What earlier domains of a pipeline propose, as a later one sees it."""

from collections.abc import Mapping
from dataclasses import dataclass

from agents.agent import Work
from agents.planners.proposals import DomainPlan, Proposal
from agents.reading import shaped


@dataclass(frozen=True, slots=True)
class Earlier:
    """The plans of the domains before; none where all domains plan at once."""

    plans: Mapping[str, DomainPlan]

    def producing(self, artefact: str) -> Proposal | None:
        """Return the first proposal that produces an artefact."""
        tasks = (task for plan in self.plans.values() for task in plan.tasks)
        return next((task for task in tasks if artefact in task.produces), None)

    def hours_until(self, artefact: str) -> float:
        """Return the hours until an artefact is there if nothing waits but for what it needs.

        What no earlier domain produces is taken to be there.
        """
        by_artefact = {
            name: task
            for plan in self.plans.values()
            for task in reversed(plan.tasks)
            for name in task.produces
        }
        ends: dict[str, float] = {}
        front = [artefact]
        while front:
            name = front[-1]
            task = by_artefact.get(name)
            needs = [need for need in task.needs if need in by_artefact] if task else []
            waiting = [need for need in needs if need not in ends]
            if waiting and len(front) <= len(by_artefact):
                front.extend(waiting[:1])
                continue
            front.pop()
            own = task.duration.total_seconds() / 3600 if task else 0.0
            ends[name] = own + max((ends.get(need, 0.0) for need in needs), default=0.0)
        return ends[artefact]


def earlier_of(work: Work) -> Earlier:
    """Return the plans that a planner was given.

    Raises:
        CannotBeDone: One of them is malformed.
    """
    return Earlier(
        {
            name: shaped(plan, DomainPlan, where=f"the plan of {name}")
            for name, plan in sorted(work.inputs.items())
        }
    )
