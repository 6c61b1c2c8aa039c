"""Topic patterns: which bindings a routing key meets.

Words are separated by dots; `*` stands for one word, `#` for any number of them, also none.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Target = TypeVar("Target", bound=Hashable)


@dataclass(slots=True, eq=False)
class _Node(Generic[Target]):
    swallows: bool = False  # reached by `#`: any further word stays here
    words: dict[str, _Node[Target]] = field(default_factory=dict[str, "_Node[Target]"])
    targets: dict[Target, None] = field(default_factory=dict[Target, None])


class TopicTable(Generic[Target]):
    """A tree of topic patterns, each with its targets."""

    def __init__(self) -> None:
        self._root: _Node[Target] = _Node()

    def add(self, pattern: str, target: Target) -> None:
        """Let a pattern lead to a target."""
        node = self._root
        for word in _words(pattern):
            if word not in node.words:
                node.words[word] = _Node(swallows=word == "#")
            node = node.words[word]
        node.targets[target] = None

    def match(self, routing_key: str) -> dict[Target, None]:
        """Return the targets that a routing key leads to, each once.

        The search keeps the nodes reached after each word, each once: a pattern full of `#`
        costs no more than its length.
        """
        here = _and_without_words([self._root])
        for word in _words(routing_key):
            after: dict[_Node[Target], None] = {}
            for node in here:
                if node.swallows:
                    after[node] = None
                for step in (word, "*"):
                    if (child := node.words.get(step)) is not None:
                        after[child] = None
            here = _and_without_words(after)
        return {target: None for node in here for target in node.targets}


def _words(dotted: str) -> list[str]:
    return dotted.split(".") if dotted else []


def _and_without_words(nodes: Iterable[_Node[Target]]) -> dict[_Node[Target], None]:
    reached = dict.fromkeys(nodes)
    todo = list(reached)
    while todo:
        child = todo.pop().words.get("#")
        if child is not None and child not in reached:
            reached[child] = None
            todo.append(child)
    return reached
