"""The promises, each as a pure function from the evidence of a run to what breaks it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from infra.chaos.checker import Run, differing, endless, streams
from infra.chaos.drain import run_of
from infra.chaos.evidence import Evidence

LONGEST_STOP_S: Final = 10.0
BACK_S: Final = 60.0
"""Within which all owed work has to be back on a broker that has lost everything."""

_WIPING: Final = ("F-B3", "F-B4")
"""Faults by which a letter may vanish from its queue before anybody has read it."""

_READ_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Evidence, and what its events say."""

    evidence: Evidence
    runs: Mapping[str, Run]
    contradictions: Sequence[str]


Rule = Callable[[Case], Iterator[str]]


def accepted(case: Case) -> Iterator[str]:
    """What was acknowledged is in the log, whole and once; asked again, the answer is the same."""
    created = Counter(
        event.stream
        for event in case.evidence.events
        if event.stream.startswith("plan_") and event.version == 1
    )
    answers: dict[str, str] = {}
    for line in case.evidence.lines:
        if line.what not in ("ok", "repeated"):
            continue
        plan_id = line.said["plan_id"]
        if answers.setdefault(line.name, plan_id) != plan_id:
            yield f"{line.name} was answered {answers[line.name]}, and then {plan_id}"
        if line.what == "repeated":
            continue
        if created[plan_id] != 1:
            yield f"{plan_id} was acknowledged and begins {created[plan_id]} times in the log"
        run = case.runs.get(run_of(plan_id))
        if run is not None and len(run.tasks) != line.said["tasks"]:
            yield f"{plan_id} has {len(run.tasks)} tasks, of {line.said['tasks']} acknowledged"
        if run is None:
            yield f"{plan_id} was acknowledged and never began to run"


def legal(case: Case) -> Iterator[str]:
    """Every event may follow those before it: one end, epochs in order, one holder."""
    yield from case.contradictions
    yield from streams(case.evidence.events)


def lively(case: Case) -> Iterator[str]:
    """After the faults everything comes to its end, and a good one, without any help."""
    yield from endless(case.runs)
    yield from (
        f"run {run_id} is {run.status}"
        for run_id, run in case.runs.items()
        if run.status in ("failed", "cancelled")
    )
    drained = [line for line in case.evidence.lines if line.what == "drained"]
    if not drained:
        yield "it was never drained"
    elif drained[-1].said["left"]:
        yield f"not drained: {drained[-1].said['left']}"


def effects(case: Case) -> Iterator[str]:
    """An external effect begins once an epoch at most, and only after its claim is recorded."""
    claims: dict[tuple[str, str, int], str] = {}
    for event in case.evidence.events:
        if event.type == "task.started" and event.body.get("is_claim"):
            body = event.body
            claims[event.stream, body["task_id"], body["epoch"]] = body["agent_id"]
    begun: Counter[tuple[str, str, int]] = Counter()
    for effect in case.evidence.effects:
        attempt = (effect.run_id, effect.task_id, effect.epoch)
        if effect.moment != "begun" or not effect.external:
            continue
        begun[attempt] += 1
        if begun[attempt] == 2:
            yield f"the effect of {attempt} has begun twice"
        if attempt not in claims:
            yield f"the effect of {attempt} has begun without a claim"
        elif claims[attempt] != effect.holder.partition("/")[0]:
            yield f"the effect of {attempt} of {claims[attempt]} has begun at {effect.holder}"


def worked(case: Case) -> Iterator[str]:
    """A task that is completed has had its effect, in the epoch in which it was completed."""
    done = {
        (effect.run_id, effect.task_id, effect.epoch)
        for effect in case.evidence.effects
        if effect.moment == "done"
    }
    having: set[tuple[str, str]] = set()
    for event in case.evidence.events:
        if event.type in ("run.started", "run.extended"):
            having |= {
                (event.stream, task["id"])
                for task in event.body["tasks"]
                if task.get("action") == "effect"
            }
        elif event.type == "task.completed" and event.stream in case.runs:
            attempt = (event.stream, event.body["task_id"], event.body["epoch"])
            if attempt[:2] in having and attempt not in done:
                yield f"{attempt} is completed, and its effect was never done"


def shown(case: Case) -> Iterator[str]:
    """Every view says what the log says, row by row."""
    yield from differing(case.evidence.views, case.runs)
    yield from (
        f"view {one.view} differs from the log in {one.different} of {one.rows} rows"
        for one in case.evidence.rebuilt
        if one.different
    )


def buried(case: Case) -> Iterator[str]:
    """The dead letters are those that were planted, each once, and no innocent is among them."""
    planted = {line.name: line for line in case.evidence.lines if line.what == "plant"}
    confirmed = {line.name for line in case.evidence.lines if line.what == "planted"}
    graves: dict[str, list[str]] = defaultdict(list)
    for letter in case.evidence.letters:
        name = next((one for one in _names(letter.message_id, letter.body) if one in planted), None)
        if name is None:
            yield f"an innocent is dead: {letter.message_id}, {letter.reason}: {letter.body[:200]}"
        else:
            graves[name].append(letter.reason)
    wiped = [
        line.at for line in case.evidence.lines if line.what == "fault" and line.name in _WIPING
    ]
    for name, line in planted.items():
        reasons = graves.get(name, [])
        may_be_lost = any(line.at - 5 < at < line.at + _READ_WITHIN_S for at in wiped)
        if not reasons and name in confirmed and not may_be_lost:
            yield f"{name} for {line.said['reason']} has vanished"
        if len(reasons) > 1:
            yield f"{name} is dead {len(reasons)} times"
        if set(reasons) - {line.said["reason"]}:
            yield f"{name} is dead for {reasons}, not for {line.said['reason']}"


def polite(case: Case) -> Iterator[str]:
    """A command is accepted or put off, never refused; who is asked to stop does, in time."""
    for line in case.evidence.lines:
        if line.what == "refused":
            why = str(line.said["why"])[:200]
            yield f"{line.name} was refused with {line.said['status']}: {why}"
        elif line.what == "over" and line.name == "F-W5":
            took = line.said["seconds"]
            if took is None or took > LONGEST_STOP_S:
                yield f"{line.said['victims']} took {took} s to stop"
        elif line.what == "over" and line.said.get("unanswered"):
            yield f"{line.said['unanswered']} of {line.said['asked']} questions were not answered"
        elif line.what == "over" and line.name == "F-B9" and (line.said["back_s"] or 99) > BACK_S:
            yield f"{line.said['back']} of {line.said['open']} were back in {line.said['back_s']} s"
        elif line.what == "death" and not line.said["why"]:
            yield f"{line.name} ended by itself with {line.said['code']}"


RULES: Final[Mapping[str, Rule]] = {
    "accepted events lost": accepted,
    "tasks with two ends, or out of order": legal,
    "work that never ends": lively,
    "double effects in one epoch": effects,
    "ends without an effect": worked,
    "projection rows that differ": shown,
    "dead letters that were not planted, or vanished": buried,
    "commands refused, stops too slow, ends unasked": polite,
}


def _names(*texts: str) -> Iterator[str]:
    """Give what may be the name of a planted letter in a message."""
    for text in texts:
        start = text.find("planted-")
        while start >= 0:
            end = start + len("planted-")
            while end < len(text) and (text[end].isalnum() or text[end] == "-"):
                end += 1
            yield text[start:end]
            start = text.find("planted-", end)
