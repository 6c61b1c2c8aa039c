"""How an agent is: what was seen of it lately → healthy, degraded, unhealthy or offline, and why.

Each measure has two bounds. What is beyond one has to stay there for a while before it counts, and
has to come well back before it counts no more: an agent at a bound does not flap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from domain.agent import Health
from domain.values import ErrorClass, Value

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]

SEVERITY: Final[Sequence[Health]] = ("healthy", "degraded", "unhealthy", "offline")
"""From the best to the worst."""


FAULTS: Final[frozenset[ErrorClass]] = frozenset({"transient", "critical"})
"""Failures that speak against whoever tried; the others are the task's own."""


class Bounds(Value):
    """From where on a measure speaks against an agent; None is never."""

    degraded: float | None = None
    unhealthy: float | None = None


class Limits(Value):
    """What is expected of an agent. Seconds, unless something else is said."""

    window: Annotated[float, Field(gt=0)] = 60.0
    """How far back an agent is judged by what it did."""

    least_attempts: Annotated[int, Field(ge=1)] = 5
    """How many attempts must have ended in the window before they say anything."""

    least_peers: Annotated[int, Field(ge=2)] = 3
    """How many agents of a type must work before one is compared with the others."""

    missed: Bounds = Bounds(degraded=0.3, unhealthy=0.7)
    """Share of the heartbeats that were due and did not come."""

    faults: Bounds = Bounds(degraded=0.25, unhealthy=0.6)
    """Share of the attempts that failed, and not by a fault of the task itself."""

    slowness: Bounds = Bounds(degraded=3.0, unhealthy=10.0)
    """Duration of its attempts, as a multiple of the median of its type."""

    cpu: Bounds = Bounds()
    """Share of one processor. An agent that computes is no ill one, as long as its heart beats."""

    memory: Bounds = Bounds(degraded=1024.0, unhealthy=2048.0)
    """MiB."""

    load: Bounds = Bounds()
    """Running tasks as a share of those it would run at once. A full agent is no ill one."""

    relief: Share = 0.8
    """How far below a bound, as a share of it, a measure has to come back."""

    worsen_after: Seconds = 5.0
    """How long something has to be wrong before it is told."""

    recover_after: Seconds = 15.0
    """How long everything has to be well again before it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What was seen of an agent within the window; None is what cannot be said."""

    silence: timedelta
    """Since its last heartbeat."""

    missed: float | None = None
    attempts: int = 0
    faults: int = 0
    seconds: float | None = None
    """How long an attempt took, on average."""

    usual_seconds: float | None = None
    """The median of that over the agents of its type, where there are enough of them."""

    cpu: float = 0.0
    memory_bytes: int = 0
    load: float = 0.0
    lacking: Sequence[str] = ()
    """The dependencies that it has stopped asking, because they do not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an agent is held to be."""

    health: Health
    reason: str
    leans_to: Health | None = None
    """What it would be told to be if it goes on like this."""

    leaning_since: datetime | None = None


def judge(
    observed: Observed, before: Standing | None, now: datetime, *, lease: timedelta, limits: Limits
) -> Standing:
    """Say how an agent is; None stands for one that nobody has judged yet."""
    if observed.silence > lease:
        if before is not None and before.health == "offline":
            return before
        last = now - observed.silence
        return Standing(health="offline", reason=f"no heartbeat since {last:%H:%M:%S} UTC")
    if before is None or before.health == "offline":
        return Standing(health="healthy", reason="heard again")
    health, reason = _found(observed, before.health, limits)
    if health == before.health:
        return replace(before, leans_to=None, leaning_since=None)
    since = now
    if before.leans_to is not None and before.leaning_since is not None:
        leant_to_worse = _is_worse(before.leans_to, before.health)
        if leant_to_worse == _is_worse(health, before.health):
            since = before.leaning_since
    patience = limits.worsen_after if _is_worse(health, before.health) else limits.recover_after
    if now - since >= timedelta(seconds=patience):
        return Standing(health=health, reason=reason)
    return replace(before, leans_to=health, leaning_since=since)


def _is_worse(one: Health, other: Health) -> bool:
    return SEVERITY.index(one) > SEVERITY.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    value: float | None
    bounds: Bounds
    words: str


def _found(observed: Observed, before: Health, limits: Limits) -> tuple[Health, str]:
    """Return what the measures say now, and those that say it, the worst first."""
    findings: list[tuple[Health, str]] = [
        (health, measure.words)
        for measure in _measures(observed, limits)
        if (health := _level(measure, before, limits)) != "healthy"
    ]
    for name in observed.lacking:
        findings.append(("degraded", f"it lacks {name}"))  # noqa: PERF401 # the checkers lose the literal
    if not findings:
        return "healthy", "everything is within its limits again"
    findings.sort(key=lambda finding: -SEVERITY.index(finding[0]))
    return findings[0][0], "; ".join(words for _, words in findings)


def _level(measure: _Measure, before: Health, limits: Limits) -> Health:
    if measure.value is None:
        return "healthy"
    levels: tuple[tuple[Health, float | None], ...] = (
        ("unhealthy", measure.bounds.unhealthy),
        ("degraded", measure.bounds.degraded),
    )
    for health, bound in levels:
        if bound is None:
            continue
        is_held = not _is_worse(health, before)
        if measure.value > (bound * limits.relief if is_held else bound):
            return health
    return "healthy"


def _measures(observed: Observed, limits: Limits) -> Iterator[_Measure]:
    missed = observed.missed
    yield _Measure(
        value=missed, bounds=limits.missed, words=f"{missed or 0:.0%} of its heartbeats were missed"
    )
    if observed.attempts >= limits.least_attempts:
        yield _Measure(
            value=observed.faults / observed.attempts,
            bounds=limits.faults,
            words=f"{observed.faults} of its last {observed.attempts} attempts failed",
        )
        if observed.seconds is not None and observed.usual_seconds:
            times = observed.seconds / observed.usual_seconds
            yield _Measure(
                value=times,
                bounds=limits.slowness,
                words=f"its attempts take {times:.1f} times as long as usual for its type",
            )
    mebibytes = observed.memory_bytes / 2**20
    yield _Measure(value=observed.cpu, bounds=limits.cpu, words=f"cpu is at {observed.cpu:.0%}")
    yield _Measure(
        value=mebibytes, bounds=limits.memory, words=f"it holds {mebibytes:,.0f} MiB of memory"
    )
    yield _Measure(value=observed.load, bounds=limits.load, words=f"load is at {observed.load:.0%}")
