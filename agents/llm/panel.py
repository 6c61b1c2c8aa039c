"""The models that may be asked, in order."""

import asyncio
from collections.abc import Callable, Sequence

from agents.agent import Work
from agents.llm.asking import Asking, NoAnswer, named
from agents.llm.cache import Cache
from agents.llm.choices import Choices, Kind, Provider
from agents.llm.model import Model, Question, T
from agents.llm.pace import Pace
from agents.llm.seats import Seat

Make = Callable[[Kind, Provider, str, float], Model]
"""Makes a model of its provider's settings, its name and the seconds a call may take."""


class Panel:
    """The models that may be asked, in order."""

    def __init__(self, choices: Choices, *, make: Make) -> None:
        """Take the settings; models are made when they are asked for the first time."""
        self._choices = choices
        self._make = make
        self._seats: dict[tuple[Kind, str], Seat] = {}
        self._paces: dict[Kind, Pace] = {}
        self._turns = asyncio.Semaphore(choices.most_at_once)
        self._cache = Cache(size=choices.cache_size, folder=choices.cache_dir)

    @property
    def choices(self) -> Choices:
        """The settings."""
        return self._choices

    async def ask(self, question: Question[T], work: Work) -> tuple[T, str]:
        """Return an answer that holds, and which model gave it.

        Raises:
            NoAnswer: There was none within the time, the calls and the budget that there are.
        """
        asking = Asking(question, work, self._choices, self._cache, self._turns)
        try:
            seats = self._seats_for(question.role)
        except (OSError, ImportError, ValueError) as error:
            raise NoAnswer(f"no model can be asked: {error}", is_lasting=True) from error
        for seat in seats:
            if (known := asking.remembered(seat.model)) is not None:
                return known, named(seat.model)
        try:
            async with asyncio.timeout(self._choices.patience):
                found: tuple[T, str] = await asking.ask(seats)
                return found
        except TimeoutError:
            why = f"no answer within {self._choices.patience:g} s{asking.reasons()}"
            raise NoAnswer(why, is_lasting=False) from None

    async def aclose(self) -> None:
        """Close what is open to providers."""
        for seat in self._seats.values():
            await seat.model.aclose()

    def _seats_for(self, role_name: str) -> Sequence[Seat]:
        role = self._choices.role(role_name)
        seats: list[Seat] = []
        for kind in self._choices.ranked(role):
            provider = self._choices.provider(kind)
            # A model that a role names is one of the provider it names, or of the first one.
            is_own = kind == role.provider or (role.provider is None and not seats)
            name = role.model if role.model and is_own else provider.model
            if (kind, name) not in self._seats:
                model = self._make(kind, provider, name, self._choices.timeout)
                pace = self._paces.setdefault(kind, Pace(provider))  # an account's, not a model's
                self._seats[kind, name] = Seat(model=model, pace=pace)
            seats.append(self._seats[kind, name])
        return seats
