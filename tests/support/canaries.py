"""A past that is sung all through: who looks for a canary finds what somebody has said."""

from dataclasses import replace
from typing import Any

import psycopg

from domain.goals import Goal, Options
from domain.personal import EACH, personal_paths
from domain.plan import Plan, PlanCancelRequested, PlanCreated
from domain.policies import Event
from domain.recorded import Recorded
from domain.run import Run
from domain.steering import RunCancelRequested
from infra.store.sealing import root_of
from tests.support.histories import a_history
from tests.support.recording import recorded
from tests.support.unsung import PLAN as UNSUNG
from tests.support.unsung import unsung

ADA, BOB = "users/ada", "users/bob"


def canary(owner: str) -> str:
    return f"canary-of-{owner.partition('/')[2]}-sings"


def sing(event: Event, owner: str) -> Event:
    """Say something personal wherever an event has a place for it."""
    value = event.model_dump(mode="json")
    for path in personal_paths(type(event)):
        _sing(value, path, canary(owner))
    return type(event).model_validate(value)


def _sing(holder: Any, path: tuple[str, ...], song: str) -> None:
    step, rest = path[0], path[1:]
    names = list(holder) if isinstance(holder, dict) else range(len(holder))
    for name in names if step == EACH else [step]:
        if isinstance(holder, dict) and name not in holder:
            continue
        if rest and holder[name]:
            _sing(holder[name], rest, song)
        elif not rest:
            said = holder[name]
            holder[name] = {**said, "song": song} if isinstance(said, dict) else song


def a_past() -> tuple[list[Recorded[Event]], dict[str, str]]:
    """Return a history whose plans have ended, sung all through, and to whom each plan belongs."""
    history = a_history(3, plans=4, size=8, turns=250)
    for stream, state in list(history.states.items()):
        if isinstance(state, Plan) and not state.is_over:
            history.say(PlanCancelRequested(plan_id=stream, reason="enough"))
    for stream, state in list(history.states.items()):
        if isinstance(state, Run) and state.status in ("running", "paused"):
            history.say(RunCancelRequested(run_id=stream, reason="enough"))
    plans = [stream for stream, state in history.states.items() if isinstance(state, Plan)]
    owners = {plan: (ADA, BOB)[number % 2] for number, plan in enumerate(plans)}
    past = []
    for event in history.events:
        owner = owners.get(root_of(event))
        if owner is not None:
            event = replace(event, event=sing(event.event, owner), actor=owner)
        past.append(replace(event, position=0))
    past += [replace(one, event=sing(one.event, ADA)) for one in unsung(ADA)]
    return past, owners | {UNSUNG: ADA}


def a_goal() -> Recorded[Event]:
    """Return a plan of Ada's with a secret in it."""
    event = PlanCreated(plan_id="plan_7", goal=Goal(title="Secret"), options=Options())
    return replace(recorded("plan_7", 1, event), actor=ADA)


def logged(dsn: str, word: bytes) -> bool:
    """Say whether a word is in the log as it lies in the database."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select exists (select from events where position(%s in state) > 0)", [word]
        ).fetchone()
    return row == (True,)
