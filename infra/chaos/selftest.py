"""A judge that cannot condemn proves nothing: real evidence is falsified, and he has to notice.

Each plant is one crime, done to a copy of what a real run has left, and the promise it breaks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from infra.chaos.checker import Event
from infra.chaos.evidence import Differing, Evidence, Letter
from infra.chaos.history import Line
from infra.chaos.ledger import Effect
from infra.chaos.rules import RULES
from infra.chaos.verdict import judge, lacking
from infra.simulation import hunting

Falsify = Callable[[Evidence], Evidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A crime, and the promise that it breaks."""

    name: str
    breaks: str
    """A key of ``RULES``; empty where the run has to count for nothing."""

    falsify: Falsify


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Whether a plant was found."""

    plant: str
    is_found: bool
    example: str


def find_all(evidence: Evidence) -> Sequence[Found]:
    """Plant every crime in a copy of some evidence of its own, and say which were found."""
    before = judge(evidence)
    return [_find(plant, evidence, before) for plant in PLANTS]


def hunt_all() -> Sequence[Found]:
    """Plant every bug of the simulation in its loops, and say which were found."""
    return [
        Found(
            plant=catch.plant,
            is_found=catch.is_right,
            example=f"seed {catch.seed}: {catch.violation}" if catch.violation else "",
        )
        for catch in hunting.selftest()
    ]


def _find(plant: Plant, evidence: Evidence, before: Mapping[str, Sequence[str]]) -> Found:
    try:
        falsified = plant.falsify(evidence)
    except LookupError as error:
        return Found(plant=plant.name, is_found=False, example=f"no place for it: {error}")
    if not plant.breaks:
        lacks = [lack for lack in lacking(falsified) if lack not in lacking(evidence)]
        return Found(plant=plant.name, is_found=bool(lacks), example=next(iter(lacks), ""))
    after = judge(falsified)[plant.breaks]
    new = [violation for violation in after if violation not in set(before[plant.breaks])]
    return Found(plant=plant.name, is_found=bool(new), example=next(iter(new), ""))


# -- how evidence is falsified -------------------------------------------------------


def _place(events: Sequence[Event], type_: str, *, nth: int = 0) -> int:
    """Return where the middle event of a type is, of an execution that was acknowledged."""
    places = [
        n
        for n, one in enumerate(events)
        if one.type == type_ and one.stream.startswith(("exec_", "plan_"))
    ]
    if not places:
        raise LookupError(f"no {type_}")
    return places[min(len(places) // 2 + nth, len(places) - 1)]


def _renumbered(events: Sequence[Event]) -> Sequence[Event]:
    """Number versions and positions again: what is looked for is not a gap."""
    versions: dict[str, int] = {}
    numbered: list[Event] = []
    for position, event in enumerate(events, start=1):
        versions[event.stream] = version = versions.get(event.stream, 0) + 1
        numbered.append(replace(event, position=position, version=version))
    return numbered


def _without_event(type_: str) -> Falsify:
    def falsify(evidence: Evidence) -> Evidence:
        place = _place(evidence.events, type_)
        left = [*evidence.events[:place], *evidence.events[place + 1 :]]
        return replace(evidence, events=_renumbered(left))

    return falsify


def _event_again(type_: str, **changes: Any) -> Falsify:
    def falsify(evidence: Evidence) -> Evidence:
        place = _place(evidence.events, type_)
        event = evidence.events[place]
        again = replace(event, body={**event.body, **changes})
        events = [*evidence.events[: place + 1], again, *evidence.events[place + 1 :]]
        return replace(evidence, events=_renumbered(events))

    return falsify


def _event_changed(type_: str, **changes: Any) -> Falsify:
    def falsify(evidence: Evidence) -> Evidence:
        events = list(evidence.events)
        place = _place(events, type_)
        events[place] = replace(events[place], body={**events[place].body, **changes})
        return replace(evidence, events=events)

    return falsify


def _lose_a_command(evidence: Evidence) -> Evidence:
    plan_id = _middle([line for line in evidence.lines if line.what == "ok"]).said["plan_id"]
    part = plan_id.removeprefix("plan_")
    left = [one for one in evidence.events if part not in one.stream]
    return replace(evidence, events=_renumbered(left))


def _lose_a_version(evidence: Evidence) -> Evidence:
    place = _place(evidence.events, "task.started")
    return replace(evidence, events=[*evidence.events[:place], *evidence.events[place + 1 :]])


def _swap(evidence: Evidence) -> Evidence:
    """Let a task be dispatched before what it needs is completed."""
    events = list(evidence.events)
    for place, event in enumerate(events):
        if event.type == "task.completed":
            followers = [
                n
                for n in range(place + 1, min(place + 200, len(events)))
                if events[n].stream == event.stream and events[n].type == "task.dispatched"
            ]
            if followers and place > len(events) // 4:
                events.insert(place, events.pop(followers[0]))
                return replace(evidence, events=_renumbered(events))
    raise LookupError("no task that waits for another")


def _line(what: str, name: str, **said: Any) -> Falsify:
    def falsify(evidence: Evidence) -> Evidence:
        added = Line(at=evidence.lines[-1].at, what=what, name=name, said=said)
        return replace(evidence, lines=[*evidence.lines, added])

    return falsify


def _answer_otherwise(evidence: Evidence) -> Evidence:
    line = _middle([line for line in evidence.lines if line.what == "ok"])
    other = Line(at=line.at, what="repeated", name=line.name, said={"plan_id": "plan_other"})
    return replace(evidence, lines=[*evidence.lines, other])


def _show_a_task_otherwise(evidence: Evidence) -> Evidence:
    tasks = dict(evidence.views.tasks)
    key = sorted(tasks)[len(tasks) // 2]
    tasks[key] = ("started", *tasks[key][1:])
    return replace(evidence, views=replace(evidence.views, tasks=tasks))


def _show_a_run_otherwise(evidence: Evidence) -> Evidence:
    runs = dict(evidence.views.runs)
    runs[sorted(runs)[0]] = "running"
    return replace(evidence, views=replace(evidence.views, runs=runs))


def _rebuild_otherwise(evidence: Evidence) -> Evidence:
    one = Differing(view="timeline", rows=100, different=1)
    return replace(evidence, rebuilt=[*evidence.rebuilt, one])


def _bury_an_innocent(evidence: Evidence) -> Evidence:
    letter = Letter(message_id="innocent", reason="delivery-limit", body="{}")
    return replace(evidence, letters=[*evidence.letters, letter])


def _rob_a_grave(evidence: Evidence) -> Evidence:
    if not evidence.letters:
        raise LookupError("no dead letter")
    return replace(evidence, letters=evidence.letters[1:], lines=_unwiped(evidence.lines))


def _bury_twice(evidence: Evidence) -> Evidence:
    if not evidence.letters:
        raise LookupError("no dead letter")
    return replace(evidence, letters=[*evidence.letters, evidence.letters[0]])


def _unwiped(lines: Sequence[Line]) -> Sequence[Line]:
    return [line for line in lines if line.name not in ("F-B3", "F-B4")]


def _effect(*, epoch: int = 0, holder: str = "", times: int = 1) -> Falsify:
    def falsify(evidence: Evidence) -> Evidence:
        one = _middle([e for e in evidence.effects if e.external and e.moment == "begun"])
        more = replace(one, epoch=one.epoch + epoch, holder=holder or one.holder)
        return replace(evidence, effects=[*evidence.effects, *[more] * times])

    return falsify


def _lose_effects(evidence: Evidence) -> Evidence:
    one = _middle([effect for effect in evidence.effects if effect.moment == "done"])
    left: list[Effect] = [
        e for e in evidence.effects if (e.run_id, e.task_id) != (one.run_id, one.task_id)
    ]
    return replace(evidence, effects=left)


def _without_faults(evidence: Evidence) -> Evidence:
    lines = [
        replace(line, said={**line.said, "fired": False}) if line.what == "over" else line
        for line in evidence.lines
    ]
    return replace(evidence, lines=lines)


def _without_hits(evidence: Evidence) -> Evidence:
    return replace(evidence, hits=())


def _middle(some: Sequence[Any]) -> Any:
    if not some:
        raise LookupError("nothing of the kind")
    return some[len(some) // 2]


_ACCEPTED, _LEGAL, _LIVELY, _EFFECTS, _WORKED, _SHOWN, _BURIED, _POLITE = RULES

PLANTS: Final[Sequence[Plant]] = tuple(
    Plant(name=name, breaks=breaks, falsify=falsify)
    for name, breaks, falsify in (
        ("an accepted plan is lost", _ACCEPTED, _lose_a_command),
        ("the same key is answered with two plans", _ACCEPTED, _answer_otherwise),
        ("a version is missing in a stream", _LEGAL, _lose_a_version),
        ("a task ends twice", _LEGAL, _event_again("task.completed")),
        ("a task starts twice", _LEGAL, _event_again("task.started")),
        ("a late report counts", _LEGAL, _event_changed("task.completed", epoch=0)),
        ("a foreign report counts", _LEGAL, _event_changed("task.completed", agent_id="eve")),
        ("an epoch is left out", _LEGAL, _event_changed("task.dispatched", epoch=7)),
        ("a task does not wait for what it needs", _LEGAL, _swap),
        ("a task never ends", _LIVELY, _without_event("task.completed")),
        ("a run never ends", _LIVELY, _without_event("run.completed")),
        ("it does not drain", _LIVELY, _line("drained", "x", left="3 runs")),
        ("an effect begins twice in an epoch", _EFFECTS, _effect()),
        ("an effect begins without a claim", _EFFECTS, _effect(epoch=900)),
        ("an effect begins at another's claim", _EFFECTS, _effect(holder="eve/1")),
        ("a task is completed without its effect", _WORKED, _lose_effects),
        ("a view shows a task otherwise", _SHOWN, _show_a_task_otherwise),
        ("a view shows a run otherwise", _SHOWN, _show_a_run_otherwise),
        ("a view differs when folded again", _SHOWN, _rebuild_otherwise),
        ("an innocent is a dead letter", _BURIED, _bury_an_innocent),
        ("a dead letter vanishes", _BURIED, _rob_a_grave),
        ("a letter is dead twice", _BURIED, _bury_twice),
        ("a command is refused", _POLITE, _line("refused", "x", status=500, why="Traceback")),
        ("a stop takes too long", _POLITE, _line("over", "F-W5", victims=["api"], seconds=11)),
        ("a process ends by itself", _POLITE, _line("death", "api", pid=1, code=1, why="")),
        ("no fault fires", "", _without_faults),
        ("no crash point is hit", "", _without_hits),
    )
)
