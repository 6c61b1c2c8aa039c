"""The view of what models cost counts every call once."""

from typing import Any

from domain.goals import Goal, Options
from domain.plan import GoalSubmitted
from domain.run_events import TaskCompleted, TaskFailed, TaskStarted
from domain.tasks import Task
from domain.usage import ModelCall
from projections.usage import USAGE, UsageRow
from tests.support.histories import History

ATTEMPT = {"run_id": "exec_1-1", "task_id": "a", "agent_id": "ann"}


def call(**changes: object) -> ModelCall:
    known: dict[str, object] = {
        "provider": "openai",
        "model": "m",
        "outcome": "answered",
        "input_tokens": 10,
        "output_tokens": 5,
        "cost": 0.5,
    }
    return ModelCall.model_validate(known | changes)


def test_every_outcome_is_counted_and_nothing_twice() -> None:
    history = History()
    history.say(
        GoalSubmitted(
            plan_id="plan_1",
            goal=Goal(title="g"),
            options=Options(auto_execute=True),
            tasks=(Task(id="a", name="A", agent="CAD"),),
        )
    )
    history.say(TaskStarted(**ATTEMPT, epoch=1))
    down = call(outcome="failed", input_tokens=0, output_tokens=0, cost=None, reason="503")
    history.say(TaskFailed(**ATTEMPT, epoch=1, reason="down", calls=(down, down)))
    history.say(TaskStarted(**ATTEMPT, epoch=2))
    calls = (call(outcome="malformed"), call(), call(provider="anthropic"), call(outcome="cached"))
    history.say(TaskCompleted(**ATTEMPT, epoch=2, calls=calls))
    rows: dict[Any, UsageRow] = {}
    for recorded in [*history.events, *history.events]:
        if type(recorded.event) in USAGE.hears:
            rows.update({key: row for key, row in USAGE.fold(rows, recorded) if row})
    first, second, other = rows.values()
    assert (first.calls, first.failed, first.unpriced, first.reason) == (2, 2, 2, "503")
    assert (second.calls, second.malformed, second.cached) == (2, 1, 1)
    assert (second.input_tokens, second.output_tokens, second.cost) == (30, 15, 1.5)
    assert (other.provider, other.calls, other.cost) == ("anthropic", 1, 0.5)
