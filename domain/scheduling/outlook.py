"""When a run will probably end: many possible courses, made of durations that were recorded.

Monte Carlo in the manner of Van Slyke, "Monte Carlo Methods and the PERT Problem", 1963: every
task that is not over is given, by chance, how much longer or shorter than estimated a task of its
kind once took. Chance is a row of numbers that is always the same.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from domain.scheduling.courses import Course
from domain.scheduling.forecast import Forecast
from domain.scheduling.promised import Ticks
from domain.scheduling.recombining import Chance

COURSES: Final = 200
"""How many possible courses are looked at; fewer of a run with very many tasks."""

_MOST_STEPS = 400_000
_FEWEST = 20

Kind = tuple[str, str]
"""An agent type and an action: tasks of one kind take similarly longer than estimated."""

Ratios = Mapping[Kind, Sequence[float]]
"""By kind, sorted: how long tasks took, divided by how long they were estimated to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """When the run ends, in microseconds from its start."""

    at_best: Ticks
    """If from now on everything takes as long as estimated."""

    p50: Ticks
    """It ends earlier as often as later."""

    p90: Ticks
    """In nine of ten courses it ends by then."""


def outlook(forecast: Forecast, now: Ticks, ratios: Ratios) -> Outlook:
    """Return when a run will end, as seen from a moment of it."""
    courses = sorted(forecast.courses.values(), key=lambda course: course.promise.rank)
    estimated = _end_of(courses, now, {}, Chance())
    if forecast.is_over:
        return Outlook(at_best=forecast.finish, p50=forecast.finish, p90=forecast.finish)
    count = max(_FEWEST, min(COURSES, _MOST_STEPS // max(1, len(courses))))
    chance = Chance()
    ends = sorted(_end_of(courses, now, ratios, chance) for _ in range(count))
    return Outlook(at_best=estimated, p50=_quantile(ends, 0.5), p90=_quantile(ends, 0.9))


def _end_of(courses: Sequence[Course], now: Ticks, ratios: Ratios, chance: Chance) -> Ticks:
    ends: dict[str, Ticks] = {}
    last: Ticks = 0
    for course in courses:
        promise = course.promise
        if course.ended is not None:
            end = course.ended
        else:
            known = ratios.get((promise.task.agent, promise.task.action), ())
            if course.started is not None:
                end = max(
                    now,
                    course.started + _taken(promise.duration, now - course.started, known, chance),
                )
            else:
                start = max(now, course.not_before)
                for need in promise.after:
                    start = max(start, ends[need])
                end = start + _taken(promise.duration, 0, known, chance)
        ends[promise.task.id] = end
        last = max(last, end)
    return last


def _taken(duration: Ticks, passed: Ticks, known: Sequence[float], chance: Chance) -> Ticks:
    """Return how long a task takes that has been under way for a while already."""
    if not known:
        return duration
    # Those that took less time than has passed tell nothing of this one any more.
    first = bisect_left(known, passed / duration) if duration and passed > 0 else 0
    if first == len(known):
        return max(duration, passed)
    return round(duration * known[first + chance.below(len(known) - first)])


def _quantile(ends: Sequence[Ticks], share: float) -> Ticks:
    return ends[min(len(ends) - 1, int(share * len(ends)))]
