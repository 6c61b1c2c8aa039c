"""From the domains' plans to one graph: artefacts become edges, keys become task ids."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from agents.planners.conflicts import (
    Key,
    Node,
    ancestors,
    contradictions,
    name,
    origin,
    share,
    without_cycles,
)
from agents.planners.proposals import DomainPlan, Proposal
from agents.planners.scope import DOMAINS
from domain.errors import CyclicGraph
from domain.findings import Conflict, Origin
from domain.graph import check
from domain.tasks import Task


@dataclass(slots=True, kw_only=True)
class Linked:
    """One graph, and what was found on the way to it."""

    tasks: tuple[Task, ...] = ()
    keys: Mapping[str, Key] = field(default_factory=dict[str, Key])
    """Whose proposal each task is: from its id to the domain and the key there."""

    missing: list[str] = field(default_factory=list[str])
    conflicts: list[Conflict] = field(default_factory=list[Conflict])
    merged: list[str] = field(default_factory=list[str])


def link(plans: Sequence[DomainPlan], *, one_at_a_time: bool = False) -> Linked:
    """Link plans into one graph, always the same one for the same plans.

    With ``one_at_a_time`` no domain begins a task before its last one has ended.

    Raises:
        BadGraph: There is no task, or far too many of them wait for each other.
    """
    linked = Linked()
    ordered = sorted(plans, key=lambda plan: _place(plan.domain))
    kept, stands_for = _without_duplicates(ordered, linked)
    producers = _producers(kept, linked)
    nodes = {
        key: _node(key, proposal, producers, stands_for, linked) for key, proposal in kept.items()
    }
    nodes = without_cycles(nodes, linked.conflicts)
    sequence = _sequence(nodes)
    nodes = share(nodes, sequence, linked.conflicts)
    linked.conflicts += contradictions(nodes)
    if one_at_a_time:
        nodes = _chained(nodes, sequence)
    width = max(3, len(str(len(sequence))))
    ids = {key: f"task_{count:0{width}}" for count, key in enumerate(sequence, 1)}
    redundant = _redundant(nodes, sequence)
    linked.keys = {task_id: key for key, task_id in ids.items()}
    merged = _merged(stands_for)
    linked.tasks = tuple(
        _task(nodes[key], ids[key], ids, redundant[key], merged.get(key, ())) for key in sequence
    )
    linked.conflicts = [_numbered(each, stands_for, ids) for each in linked.conflicts]
    check(linked.tasks)
    return linked


def _place(domain: str) -> tuple[int, str]:
    known: tuple[str, ...] = DOMAINS
    return (known.index(domain) if domain in known else len(known), domain)


def _without_duplicates(
    plans: Sequence[DomainPlan], linked: Linked
) -> tuple[dict[Key, Proposal], dict[Key, Key]]:
    """Keep the first of equal proposals; return as well which one stands for which."""
    kept: dict[Key, Proposal] = {}
    stands_for: dict[Key, Key] = {}
    seen: dict[str, Key] = {}
    for plan in plans:
        for proposal in plan.tasks:
            key = (plan.domain, proposal.key)
            same = proposal.model_dump_json(include={"action", "params", "produces", "needs"})
            first = seen.setdefault(f"{plan.domain} {same}", key)
            if first != key:
                linked.merged.append(f"{plan.domain} {proposal.key} into {first[1]}")
            elif key in kept:
                linked.conflicts.append(
                    Conflict(
                        kind="artefact",
                        subject=proposal.key,
                        origins=(origin(key, kept[key]), origin(key, proposal)),
                        decision=f"{plan.domain} proposes two tasks {proposal.key};"
                        " the second is left out",
                    )
                )
            else:
                kept[key] = proposal
            stands_for.setdefault(key, first)
    return kept, stands_for


def _producers(kept: Mapping[Key, Proposal], linked: Linked) -> dict[str, Key]:
    producers: dict[str, Key] = {}
    for key, proposal in kept.items():
        for artefact in proposal.produces:
            first = producers.setdefault(artefact, key)
            if first != key:
                linked.conflicts.append(
                    Conflict(
                        kind="artefact",
                        subject=artefact,
                        origins=(origin(first, kept[first]), origin(key, proposal)),
                        decision=f"the one of {name(first)} is used, not that of {name(key)}",
                    )
                )
    return producers


def _node(
    key: Key,
    proposal: Proposal,
    producers: Mapping[str, Key],
    stands_for: Mapping[Key, Key],
    linked: Linked,
) -> Node:
    domain = key[0]
    linked.missing += [
        f"{domain} {proposal.key} needs {artefact}, which nobody produces"
        for artefact in proposal.needs
        if artefact not in producers
    ]
    linked.missing += [
        f"{domain} {proposal.key} comes after {other}, which {domain} does not propose"
        for other in proposal.after
        if (domain, other) not in stands_for
    ]
    after = {stands_for[domain, o] for o in proposal.after if (domain, o) in stands_for}
    return Node(
        domain=domain,
        proposal=proposal,
        inputs={name: producers[name] for name in proposal.needs if name in producers},
        after=frozenset(after),
    )


def _sequence(nodes: Mapping[Key, Node]) -> list[Key]:
    """Order the nodes by their edges; of free ones by domain, then by place in its plan."""
    place = {key: (_place(key[0]), count) for count, key in enumerate(nodes)}
    followers: dict[Key, list[Key]] = {}
    unmet: dict[Key, int] = {}
    for key, node in nodes.items():
        unmet[key] = len(node.edges)
        for need in node.edges:
            followers.setdefault(need, []).append(key)
    free = [(place[key], key) for key, count in unmet.items() if not count]
    heapq.heapify(free)
    sequence: list[Key] = []
    while free:
        _, key = heapq.heappop(free)
        sequence.append(key)
        for follower in followers.get(key, ()):
            unmet[follower] -= 1
            if not unmet[follower]:
                heapq.heappush(free, (place[follower], follower))
    if len(sequence) < len(nodes):
        raise CyclicGraph([f"{domain}:{key}" for (domain, key), count in unmet.items() if count])
    return sequence


def _chained(nodes: Mapping[Key, Node], sequence: Sequence[Key]) -> dict[Key, Node]:
    """Let every node follow the one of its domain that comes before it in the sequence."""
    last: dict[str, Key] = {}
    chained: dict[Key, Node] = {}
    for key in sequence:
        node = nodes[key]
        before = {last[node.domain]} if node.domain in last else set[Key]()
        chained[key] = replace(node, after=node.after | before)
        last[node.domain] = key
    return chained


def _redundant(nodes: Mapping[Key, Node], sequence: Sequence[Key]) -> dict[Key, frozenset[Key]]:
    """Return for every node the mere order edges that another of its edges implies."""
    before = ancestors(nodes, sequence)
    redundant: dict[Key, frozenset[Key]] = {}
    for key in sequence:
        node = nodes[key]
        implied = frozenset(node.inputs.values()).union(*(before[need] for need in node.edges))
        redundant[key] = node.after & implied
    return redundant


def _merged(stands_for: Mapping[Key, Key]) -> dict[Key, list[Key]]:
    merged: dict[Key, list[Key]] = {}
    for key, first in stands_for.items():
        if key != first:
            merged.setdefault(first, []).append(key)
    return merged


def _numbered(
    conflict: Conflict, stands_for: Mapping[Key, Key], ids: Mapping[Key, str]
) -> Conflict:
    """Return a conflict that names the tasks which stand for its sides now."""

    def numbered(side: Origin) -> Origin:
        key = (side.domain, side.key)
        return side.model_copy(update={"task_id": ids.get(stands_for.get(key, key))})

    first, second = conflict.origins
    return conflict.model_copy(update={"origins": (numbered(first), numbered(second))})


def _task(
    node: Node,
    task_id: str,
    ids: Mapping[Key, str],
    redundant: frozenset[Key],
    merged: Sequence[Key],
) -> Task:
    proposal = node.proposal
    also = f"; also {', '.join(key for _, key in merged)}" if merged else ""
    return Task(
        id=task_id,
        name=proposal.name,
        agent=node.domain,
        action=proposal.action,
        params=proposal.params,
        depends_on=tuple(sorted(ids[need] for need in node.after - redundant)),
        inputs={name: ids[need] for name, need in sorted(node.inputs.items())},
        duration=proposal.duration,
        cost=proposal.cost,
        origin=f"{node.domain}: {proposal.rule or 'no rule given'}{also}"[:4000],
        deliverable=proposal.deliverable,
    )
