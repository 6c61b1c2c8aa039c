"""What an agent is, apart from any wire: a type, and a function for each action it can take.

An agent's function is called from a REPL as easily as by the kit: it gets ``Work`` and returns a
JSON object. What it raises says what happens next: ``CannotBeDone`` ends the task, ``TryAgain``
and anything unforeseen lead to another attempt as far as the task's policy allows.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from domain.circuits import Fuse
from domain.errors import Refused, Unavailable
from domain.usage import Budget, ModelCall
from domain.values import AgentType, JsonObject, Role

Progress = Callable[[float], None]
"""Tells how much of the work is done, from 0 to 1. It never blocks."""


Charge = Callable[[ModelCall], None]
"""Tells of a call of a language model, so that what it cost is reported with the attempt."""

Using = Callable[[str], AbstractAsyncContextManager[None]]
"""Stands around the use of something that may fail by itself, such as another system."""


def _trusting(_: str) -> AbstractAsyncContextManager[None]:
    """Let everything be used, as in a REPL."""
    return nullcontext()


def _free(_: ModelCall) -> None:
    """Let calls go unaccounted, as in a REPL."""


def _unheard(_: float) -> None:
    """Let progress go unheard, as in a REPL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One attempt at a task, as its agent sees it."""

    run_id: str
    task_id: str
    epoch: int
    name: str
    action: str
    params: JsonObject
    inputs: Mapping[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    """The results of earlier tasks, by the names the task gave them."""

    plan_id: str | None = None
    progress: Progress = _unheard
    charge: Charge = _free
    budget: Budget | None = None
    """What language models may still cost the task; None where nobody has set a bound."""

    dependency: Using = _trusting
    """``async with work.dependency("erp"):`` around what asks another system.

    Failures inside count for that system. When there are too many, it is left alone for a while,
    and whoever needs it fails at once with ``TryAgain``."""

    @property
    def key(self) -> str:
        """The same for every attempt at the task, and for no other task.

        Hand it to the outside with an effect, so that the outside can recognise a second attempt.
        """
        return f"{self.run_id}/{self.task_id}"


Carry = Callable[[Work], Awaitable[JsonObject]]
"""Carries one action out and returns its result."""


class CannotBeDone(Refused):
    """The work makes no sense as it was given; another attempt would fail as well."""

    code = "cannot-be-done"


class TryAgain(Unavailable):
    """Something the work needs is not there now."""

    code = "try-again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One kind of agent: what it takes, and what it can do."""

    type: AgentType
    role: Role = "execution"
    actions: Mapping[str, Carry]
    """The functions by the action they carry out; ``*`` takes every other action."""

    capabilities: tuple[str, ...] = ()
    fuses: Mapping[str, Fuse] = field(default_factory=dict[str, Fuse])
    """When a dependency is left alone, by its name, where it is not as usual."""

    concurrency: int | None = None
    """How many tasks one process of it may carry out at once, if that is few."""

    version: str = "1"

    def carries(self, action: str) -> Carry:
        """Return the function for an action.

        Raises:
            CannotBeDone: The agent has none.
        """
        carry = self.actions.get(action) or self.actions.get("*")
        if carry is None:
            known = ", ".join(sorted(self.actions))
            raise CannotBeDone(f"a {self.type} agent cannot {action}; it can {known}")
        return carry
