"""Graphs that are large enough to be in the middle of."""

from collections.abc import Sequence
from typing import Any

Task = dict[str, Any]


def layered(tasks: int, *, width: int, seconds: float = 0.0) -> Sequence[Task]:
    """Return layers of tasks; each needs up to three of the layer before."""
    graph: list[Task] = []
    for number in range(tasks):
        layer, place = divmod(number, width)
        before = {f"t{(layer - 1) * width + (place + step) % width:05}" for step in (0, 1, 7)}
        graph.append(
            {
                "id": f"t{number:05}",
                "name": f"Task {place} of layer {layer}",
                "agent": "NOOP",
                "action": "wait" if seconds else "noop",
                "params": {"seconds": seconds} if seconds else {},
                "depends_on": sorted(before) if layer else [],
            }
        )
    return graph


def with_services(graph: Sequence[Task], count: int) -> Sequence[Task]:
    """Add, all over a graph, the design of services: requirements, capacity, availability."""
    step = len(graph) // count
    return [
        *graph,
        *(
            task
            for number in range(count)
            for task in _service(f"s{number:03}", graph[number * step]["id"], 100 + number)
        ),
    ]


def _service(name: str, after: str, rate: int) -> Sequence[Task]:
    return [
        {
            "id": f"{name}-asked",
            "name": "What is asked",
            "agent": "META",
            "action": "extract_requirements",
            "params": {"kind": "software", "facts": {"request_rate_per_s": rate}},
            "depends_on": [after],
        },
        {
            "id": f"{name}-sized",
            "name": "How many servers",
            "agent": "CAD",
            "action": "refine_capacity",
            "inputs": {"requirements": f"{name}-asked"},
        },
        {
            "id": f"{name}-available",
            "name": "How often enough of them stand",
            "agent": "SIM",
            "action": "assess_availability",
            "inputs": {"requirements": f"{name}-asked", "design": f"{name}-sized"},
        },
    ]
