"""Designing and simulating a study that compares two groups."""

from agents.agent import CannotBeDone, Work
from agents.engineering.sampling import (
    Question,
    Sample,
    corrected,
    enrolled,
    per_group,
    power,
    simulated_power,
    weeks_to_recruit,
)
from agents.reading import read, result
from agents.skills.asked import draft_of, facts
from domain.values import JsonObject

ROUNDS = 4_000
MOST_STEPS = 100
MOST_PARTICIPANTS = 200_000


async def draft_study(work: Work) -> JsonObject:
    """Size the groups by the normal formula, with nobody dropping out."""
    question = facts(work, Question)
    size = per_group(question)
    return _found("First draft", Sample(per_group=size, enrolled=2 * size), changes=0)


async def refine_study(work: Work) -> JsonObject:
    """Enlarge the groups for a t test and for dropout, until a simulation shows the power."""
    question = facts(work, Question)
    size = corrected(question)
    _check_size(size)
    for changes in range(MOST_STEPS):
        if simulated_power(size, question, rounds=ROUNDS, seed=2) >= question.minimum_power:
            sample = Sample(per_group=size, enrolled=enrolled(size, dropout=question.dropout))
            return _found("Large enough", sample, changes=changes)
        size += max(1, size // 50)
        work.progress(changes / MOST_STEPS)
    raise CannotBeDone(f"two groups of {size} do not show the difference: check the facts")


async def screen_power(work: Work) -> JsonObject:
    """Estimate the power of the draft by formula."""
    question, sample = facts(work, Question), read(work, draft_of(work), Sample)
    shown = power(sample.per_group, question)
    return result(
        f"By formula two groups of {sample.per_group} see the difference {shown:.1%} of the time",
        {"power": shown, "is_strong_enough": shown >= question.minimum_power},
    )


async def simulate_power(work: Work) -> JsonObject:
    """Draw four thousand studies of the final design."""
    question, sample = facts(work, Question), read(work, "design", Sample)
    shown = simulated_power(sample.per_group, question, rounds=ROUNDS, seed=1)
    return result(
        f"In {ROUNDS} drawn studies {shown:.1%} see the difference",
        {
            "power": shown,
            "formula_power": power(sample.per_group, question),
            "rounds": ROUNDS,
            "seed": 1,
        },
    )


async def assess_recruitment(work: Work) -> JsonObject:
    """Say when enough participants are found, with a chance of four in five."""
    question, sample = facts(work, Question), read(work, "design", Sample)
    weeks = weeks_to_recruit(sample.enrolled, per_week=question.recruits_per_week)
    return result(
        f"{sample.enrolled} participants are found in {weeks:.1f} weeks",
        {"recruitment_weeks": weeks, "participants": sample.enrolled},
    )


def _check_size(size: int) -> None:
    if 2 * size > MOST_PARTICIPANTS:
        raise CannotBeDone(
            f"the difference asks for groups of {size}; at most {MOST_PARTICIPANTS} participants"
            " are modelled: check the effect size"
        )


def _found(what: str, sample: Sample, *, changes: int) -> JsonObject:
    _check_size(sample.per_group)
    return result(
        f"{what}: two groups of {sample.per_group}, {sample.enrolled} participants to find",
        sample,
        {"changes": changes},
    )
