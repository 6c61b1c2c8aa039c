"""How a simulation is proposed: after its acceptance tests, and a cheap one beside a fine one."""

from agents.planners.proposals import Draft

PROGRESSIVE = "progressive validation"
MULTI_FIDELITY = "multi-fidelity"


def simulate(
    draft: Draft, key: str, name: str, action: str, *, hours: float, rule: str, needs: list[str]
) -> None:
    """Propose a simulation: none runs before it is written down what it has to show."""
    draft.add(key, name, action, hours=hours, rule=rule, needs=needs, after=["acceptance"])


def compare(draft: Draft, *, cheap: tuple[str, str], fine: tuple[str, str]) -> None:
    """Propose to compare two numbers, each a result and its name there."""
    draft.add(
        "fidelity",
        "Compare the cheap model with the fine one",
        "compare_fidelities",
        hours=4,
        rule=MULTI_FIDELITY,
        needs=sorted({cheap[0], fine[0]}),
        params={"cheap": list(cheap), "fine": list(fine)},
    )
