"""How heavy JSON may be, so that every message fits through any broker and into any agent.

What a task is given travels in one message of at most a megabyte: its params, the results it asked
for, and some room for the rest. What is larger belongs elsewhere, and travels as a reference.
"""

from collections.abc import Mapping
from typing import Final

from pydantic_core import to_json

LARGEST_GOAL: Final = 128 * 1024
LARGEST_PARAMS: Final = 256 * 1024
LARGEST_INPUTS: Final = 704 * 1024

MOST_AT_ONCE: Final = 64 * 1024 * 1024
"""Bytes that one result may be multiplied to, when many tasks are given it at once."""


def weight(value: Mapping[str, object]) -> int:
    """Return how many bytes a JSON object has."""
    return len(to_json(value))
