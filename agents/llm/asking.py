"""One question, from the first call to the last: the only place where a call is repeated.

What is wrong with an answer is told to the model that gave it, a bounded number of times. A
provider that does not answer is left alone as long as it asks for; meanwhile the next is asked.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

import structlog
from pydantic import ValidationError

from agents.agent import TryAgain, Work
from agents.llm.cache import Cache, same
from agents.llm.choices import Choices
from agents.llm.model import Asked, Model, NoReply, Question, Reply
from agents.llm.prompts import data_block
from agents.llm.purse import BudgetSpent, Purse, bound
from agents.llm.seats import Seat
from domain.errors import TaskloomError
from domain.usage import CallOutcome, ModelCall
from domain.values import JsonObject

log = structlog.get_logger(__name__)

_MOST_COMPLAINTS: Final = 10


class NoAnswer(TaskloomError):
    """No model has given an answer that holds."""

    code = "no-answer"

    def __init__(self, why: str, *, is_lasting: bool) -> None:
        super().__init__(why)
        self.is_lasting = is_lasting
        """Whether asking again later would not help."""


class Asking:
    """One question, from the first call to the last."""

    def __init__(
        self,
        question: Question[Any],
        work: Work,
        choices: Choices,
        cache: Cache,
        turns: asyncio.Semaphore,
    ) -> None:
        self._question = question
        self._work = work
        self._choices = choices
        self._cache = cache
        self._turns = turns
        self._purse = Purse(work.budget, choices, work.charge)
        self._calls = 0
        self._wrong: list[str] = []
        self._why: dict[str, str] = {}
        self._is_lasting = True
        self._may_come_back: set[int] = set()
        self._asked = Asked(
            instructions=question.instructions,
            data=data_block(question.data),
            tool=question.role,
            schema=question.shape.model_json_schema(),
            temperature=choices.role(question.role).temperature,
            most_output=choices.most_output,
            timeout=choices.timeout,
        )

    def remembered(self, model: Model) -> Any | None:
        """Return the answer that a model has given before, if it still holds."""
        known = self._cache.get(self._name(model))
        if known is None:
            return None
        answer, wrong = self._judge(known)
        if answer is None or wrong:
            return None
        self._purse.settle(self._call(model, "cached", cost=0.0, since=None))
        return answer

    async def ask(self, seats: Sequence[Seat]) -> Any:
        """Ask one after the other, and again those that may come back.

        Raises:
            NoAnswer: None is of help.
        """
        open_ = list(seats)
        while open_:
            resting = [seat for seat in open_ if seat.rests_until > time.monotonic()]
            if len(resting) == len(open_):
                until = min(seat.rests_until for seat in open_)
                self._is_lasting = False
                if until - time.monotonic() > self._choices.patience:
                    for seat in open_:
                        left = seat.rests_until - time.monotonic()
                        self._why.setdefault(
                            named(seat.model), f"it is left alone for {left:.0f} s more"
                        )
                    break
                await asyncio.sleep(max(0.0, until - time.monotonic()))
            for seat in [seat for seat in open_ if seat.rests_until <= time.monotonic()]:
                answer = await self._ask_one(seat)
                if answer is not None:
                    return answer, named(seat.model)
                if id(seat) not in self._may_come_back:
                    open_.remove(seat)  # asking it again would lead to the same
        raise NoAnswer(f"no model is of help{self.reasons()}", is_lasting=self._is_lasting)

    def reasons(self) -> str:
        """Return why models were of no help, to be appended."""
        return "".join(f"; {name}: {why}" for name, why in self._why.items())[:1_500]

    async def _ask_one(self, seat: Seat) -> Any | None:
        """Ask one model until its answer holds; None where it is of no help."""
        model = seat.model
        self._may_come_back.discard(id(seat))
        for _ in range(self._choices.reasks + 1):
            if self._calls >= self._choices.most_calls:
                why = f"{self._calls} calls were not enough{self.reasons()}"
                raise NoAnswer(why, is_lasting=True)
            try:
                asked = self._with_complaints()
                asked = replace(asked, most_output=self._purse.allow(model, asked))
                if pause := seat.pace.pause():
                    self._why[named(model)] = f"{seat.pace} are used up"
                    self._come_back(seat)
                    seat.wait(pause)
                    return None
                reply, since = await self._call_it(model, asked)
            except BudgetSpent as error:
                self._why[named(model)] = str(error)
                return None
            except NoReply as error:
                self._why[named(model)] = str(error)
                if not error.is_lasting:
                    self._rest(seat, error.retry_after)
                return None
            except TryAgain as error:  # its circuit is open
                self._why[named(model)] = str(error)
                self._rest(seat, None)
                return None
            seat.failures, seat.rests_until = 0, 0.0
            seat.pace.account(reply.input_tokens + reply.output_tokens)
            answer, self._wrong = self._judge(reply.answer)
            outcome: CallOutcome = "malformed" if self._wrong else "answered"
            cost = model.cost(reply.input_tokens, reply.output_tokens)
            call = self._call(model, outcome, cost=cost, since=since, reason="; ".join(self._wrong))
            self._purse.settle(
                call.model_copy(
                    update={
                        "input_tokens": reply.input_tokens,
                        "output_tokens": reply.output_tokens,
                    }
                )
            )
            if answer is not None and not self._wrong:
                self._cache.put(self._name(model), cast(JsonObject, reply.answer))
                return answer
            self._why[named(model)] = f"its answer cannot be used: {'; '.join(self._wrong)}"[:400]
        return None

    def _rest(self, seat: Seat, asked_for: float | None) -> None:
        self._come_back(seat)
        seat.rest(asked_for)

    def _come_back(self, seat: Seat) -> None:
        self._is_lasting = False
        self._may_come_back.add(id(seat))

    async def _call_it(self, model: Model, asked: Asked) -> tuple[Reply, float]:
        """Make one call, within its time.

        Raises:
            NoReply: There was no answer.
            TryAgain: The provider is left alone.
        """
        async with self._turns, self._work.dependency(f"llm {model.provider}"):
            since = time.monotonic()
            self._calls += 1
            try:
                async with asyncio.timeout(asked.timeout):
                    return await model.ask(asked), since
            except TimeoutError:
                error = NoReply(f"no answer within {asked.timeout:g} s", is_doubtful=True)
                self._settle_failed(model, asked, error, since)
                raise error from None
            except NoReply as error:
                self._settle_failed(model, asked, error, since)
                raise
            except asyncio.CancelledError:  # it may have cost something all the same
                given_up = NoReply("given up", is_doubtful=True)
                self._settle_failed(model, asked, given_up, since)
                raise

    def _settle_failed(self, model: Model, asked: Asked, error: NoReply, since: float) -> None:
        # Why stands in the report of the call: it may repeat what was asked, and that is personal.
        log.info("llm.no_reply", provider=model.provider, model=model.name)
        call = self._call(model, "failed", cost=0.0, since=since, reason=str(error))
        if error.is_doubtful:
            tokens = bound(asked), asked.most_output
            doubt = model.cost(*tokens)
            call = call.model_copy(
                update={
                    "doubt_tokens": sum(tokens),
                    "doubt_cost": doubt or 0.0,
                    "cost": None if doubt is None else 0.0,
                }
            )
        self._purse.settle(call)

    def _call(
        self,
        model: Model,
        outcome: CallOutcome,
        *,
        cost: float | None,
        since: float | None,
        reason: str = "",
    ) -> ModelCall:
        return ModelCall(
            provider=model.provider,
            model=model.name,
            outcome=outcome,
            cost=cost,
            seconds=0.0 if since is None else time.monotonic() - since,
            prompt=self._question.prompt,
            reason=reason[:1_000],
        )

    def _judge(self, said: object) -> tuple[Any | None, list[str]]:
        if not isinstance(said, dict):
            return None, ["it is not a JSON object"]
        try:
            answer = self._question.shape.model_validate_json(json.dumps(said))
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            return None, [_problem(each) for each in problems[:_MOST_COMPLAINTS]]
        except (ValueError, RecursionError):
            return None, ["it is not JSON that can be read"]
        return answer, self._question.check(answer)[:_MOST_COMPLAINTS]

    def _with_complaints(self) -> Asked:
        if not self._wrong:
            return self._asked
        complaints = data_block({"wrong": list(self._wrong)})
        data = (
            f"{self._asked.data}\n\nYour last answer was refused for these reasons:\n{complaints}"
        )
        return replace(self._asked, data=data)

    def _name(self, model: Model) -> str:
        asked = self._asked
        return same(
            model.provider,
            model.name,
            asked.temperature,
            asked.instructions,
            asked.data,
            asked.schema,
        )


def _problem(each: Mapping[str, Any]) -> str:
    where = ".".join(map(str, each["loc"]))[:100]
    return f"{where or 'it'}: {each['msg']}"[:300]


def named(model: Model) -> str:
    """Return a model's name, with that of its provider."""
    return f"{model.provider} {model.name}"
