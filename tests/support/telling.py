"""What tests have to say besides whether they pass: shown at the end of the run."""

from collections.abc import Callable
from typing import TypeAlias

Tell: TypeAlias = Callable[[str], None]

TOLD = "told"
"""The property of a report that holds a line."""
