"""Given a past, when something is reported, then these events follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from domain.deciders import AGENT, BREAKER, PLAN, RUN, Decider, decider_of, stream_of
from domain.errors import Refused
from domain.policies import AnyReport, Event

NOW = datetime(2026, 1, 20, 12, 0, tzinfo=UTC)

_BY_MODULE = {
    "domain.plan": PLAN,
    "domain.run_events": RUN,
    "domain.agent": AGENT,
    "domain.breaker": BREAKER,
}


@dataclass(frozen=True, slots=True)
class Given:
    """What has happened so far."""

    past: tuple[Event, ...]

    def when(self, report: AnyReport) -> "When":
        rules = _rules(self.past, report)
        state: Any = reduce(rules.evolve, self.past, None)
        try:
            events, after = rules.advance(state, report, NOW)
            assert after == reduce(rules.evolve, events, state), "what is decided is not what folds"
            return When(events, None)
        except Refused as refusal:
            return When((), refusal)


@dataclass(frozen=True, slots=True)
class When:
    """What was decided."""

    events: Sequence[Event]
    refusal: Refused | None

    def then(self, *expected: Event) -> None:
        assert (list(self.events), self.refusal) == (list(expected), None)

    def then_some(self) -> None:
        assert self.events, self.refusal

    def then_types(self, *expected: str) -> None:
        assert ([event.type for event in self.events], self.refusal) == (list(expected), None)

    def then_refused(self, error: type[Refused], *words: str) -> None:
        assert type(self.refusal) is error, f"{self.refusal!r}, {self.events}"
        assert [word for word in words if word not in str(self.refusal)] == []


def given(*past: Event) -> Given:
    return Given(past)


def _rules(past: Sequence[Event], report: AnyReport) -> Decider:
    return _BY_MODULE[type(past[0]).__module__] if past else decider_of(stream_of(report))
