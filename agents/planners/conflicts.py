"""What the domains' plans do not agree about, and by which rule it is decided.

Cycles lose their weakest edge: a mere order before an artefact, an edge against the order of the
domains before one along it. What only one task can have at a time goes to them one after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

from agents.planners.proposals import Bound, Proposal
from domain.findings import MOST_FINDINGS, Conflict, Origin

Key = tuple[str, str]
"""A proposal: its domain and its key there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A proposal with its edges."""

    domain: str
    proposal: Proposal
    inputs: Mapping[str, Key]
    after: frozenset[Key]

    @property
    def edges(self) -> frozenset[Key]:
        """Return what has to end before it."""
        return self.after | frozenset(self.inputs.values())


def origin(key: Key, proposal: Proposal) -> Origin:
    """Return a proposal as one side of a conflict."""
    return Origin(domain=key[0], key=key[1], rule=proposal.rule)


def name(key: Key) -> str:
    """Return a proposal's name for people."""
    return f"{key[0]} {key[1]}"


def without_cycles(nodes: dict[Key, Node], found: list[Conflict]) -> dict[Key, Node]:
    """Return the nodes without the weakest edge of every cycle, up to a number of cycles."""
    place = {key: count for count, key in enumerate(nodes)}
    for _ in range(MOST_FINDINGS):
        cycle = _cycle(nodes)
        if not cycle:
            return nodes
        # Each waits for the one before it, the first for the last.
        edges = [(key, cycle[count - 1]) for count, key in enumerate(cycle)]
        waiting, need = min(edges, key=lambda edge: _strength(nodes, place, *edge))
        found.append(
            Conflict(
                kind="order",
                subject=_shown(nodes[waiting], need),
                origins=(
                    origin(need, nodes[need].proposal),
                    origin(waiting, nodes[waiting].proposal),
                ),
                decision=f"{name(waiting)} does not wait for {name(need)}: they wait for each other"
                + (" through others" if len(cycle) > 2 else ""),
            )
        )
        nodes = nodes | {waiting: _without(nodes[waiting], need)}
    return nodes


def share(
    nodes: dict[Key, Node], sequence: Sequence[Key], found: list[Conflict]
) -> dict[Key, Node]:
    """Return the nodes with an order among those that use what only one can have at a time."""
    users: dict[str, list[Key]] = {}
    for key in sequence:
        for resource in nodes[key].proposal.uses:
            users.setdefault(resource, []).append(key)
    if not any(len(keys) > 1 for keys in users.values()):
        return nodes
    before = ancestors(nodes, sequence)
    for resource, keys in sorted(users.items()):
        for first, second in pairwise(dict.fromkeys(keys)):
            if first in before[second]:
                continue
            node = nodes[second]
            nodes = nodes | {second: replace(node, after=node.after | {first})}
            if first[0] != second[0]:
                found.append(
                    Conflict(
                        kind="resource",
                        subject=resource,
                        origins=(
                            origin(first, nodes[first].proposal),
                            origin(second, node.proposal),
                        ),
                        decision=f"{name(first)} has it first, then {name(second)}",
                    )
                )
    return nodes


def contradictions(nodes: Mapping[Key, Node]) -> list[Conflict]:
    """Return the bounds that two domains put on one quantity and that nothing can keep both."""
    bounds: dict[str, list[tuple[Key, Bound]]] = {}
    for key, node in nodes.items():
        for quantity, bound in sorted(node.proposal.bounds.items()):
            bounds.setdefault(quantity, []).append((key, bound))
    return [
        Conflict(
            kind="constraint",
            subject=quantity,
            origins=(origin(first, nodes[first].proposal), origin(second, nodes[second].proposal)),
            decision=f"{name(first)} asks for {one}, {name(second)} for {other};"
            " both are carried out as proposed, and a person has to say which holds",
        )
        for quantity, all_of_them in sorted(bounds.items())
        for (first, one), (second, other) in combinations(all_of_them, 2)
        if first[0] != second[0] and not one.meets(other)
    ]


def ancestors(nodes: Mapping[Key, Node], sequence: Sequence[Key]) -> dict[Key, set[Key]]:
    """Return for every node what ends before it, directly or not."""
    before: dict[Key, set[Key]] = {}
    for key in sequence:
        edges = nodes[key].edges
        before[key] = set(edges).union(*(before[need] for need in edges))
    return before


def _cycle(nodes: Mapping[Key, Node]) -> list[Key]:
    """Return nodes that wait for each other, each for the one before it; none if there are none."""
    stuck = dict.fromkeys(nodes)
    followers: dict[Key, list[Key]] = {}
    unmet = {key: len(node.edges) for key, node in nodes.items()}
    for key, node in nodes.items():
        for need in node.edges:
            followers.setdefault(need, []).append(key)
    free = [key for key, count in unmet.items() if not count]
    while free:
        key = free.pop()
        del stuck[key]
        for follower in followers.get(key, ()):
            unmet[follower] -= 1
            if not unmet[follower]:
                free.append(follower)
    if not stuck:
        return []
    trail: dict[Key, int] = {}
    key = next(iter(stuck))
    while key not in trail:
        trail[key] = len(trail)
        key = min(need for need in nodes[key].edges if need in stuck)
    return list(trail)[trail[key] :][::-1]


def _strength(
    nodes: Mapping[Key, Node], place: Mapping[Key, int], waiting: Key, need: Key
) -> tuple[bool, bool, int, int]:
    is_artefact = need in nodes[waiting].inputs.values()
    is_along = place[need] < place[waiting]
    return (is_artefact, is_along, place[waiting], place[need])


def _without(node: Node, need: Key) -> Node:
    inputs = {label: source for label, source in node.inputs.items() if source != need}
    return replace(node, inputs=inputs, after=node.after - {need})


def _shown(node: Node, need: Key) -> str:
    artefacts = sorted(label for label, source in node.inputs.items() if source == need)
    return (", ".join(artefacts) or f"{node.proposal.key} after {need[1]}")[:200]
