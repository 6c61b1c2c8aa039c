"""What a language model is to us: one request, one answer, and what it cost.

A model never tries again by itself, and never judges its answer: that is the panel's business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from domain.errors import Unavailable
from domain.values import JsonObject

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[T]):
    """What an agent wants to know: instructions of ours, data of others, and the answer's form."""

    role: str
    """Which use of models it is: ``decompose`` or ``plan``."""

    prompt: str
    """The prompt's name and version, as ``plan/1``."""

    instructions: str
    data: JsonObject
    """What was said by others. It is handed over as data, apart from the instructions."""

    shape: type[T]
    check: Callable[[T], list[str]]
    """Say what is wrong with an answer that has the right form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    instructions: str
    data: str
    tool: str
    schema: dict[str, Any]
    temperature: float | None
    most_output: int
    timeout: float
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer, as it came: nobody has judged it yet."""

    answer: object
    """What was answered as JSON, or the text that was no JSON."""

    input_tokens: int
    output_tokens: int


class NoReply(Unavailable):
    """A call of a model has ended without an answer."""

    code = "no-reply"

    def __init__(
        self,
        why: str,
        *,
        is_lasting: bool = False,
        is_doubtful: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(why)
        self.is_lasting = is_lasting
        """Whether the same request would fail again, whenever it comes."""

        self.is_doubtful = is_doubtful
        """Whether it may have cost something all the same."""

        self.retry_after = retry_after
        """Seconds after which the provider wants to be asked again."""


class Model(Protocol):
    """One model of one provider."""

    @property
    def provider(self) -> str:
        """Who offers it."""
        ...

    @property
    def name(self) -> str:
        """What its provider calls it."""
        ...

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """Return what tokens cost in US dollars, or None where nobody knows."""
        ...

    async def ask(self, asked: Asked) -> Reply:
        """Send one request and return what was answered.

        Raises:
            NoReply: There was no answer.
        """
        ...

    async def aclose(self) -> None:
        """Close what is open to the provider."""
        ...
