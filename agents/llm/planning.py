"""Planning with models: the rules make a draft, a model may better it, and the plan says who did.

What a model answers is checked as a user's plan is. Where no answer holds, the draft stands, unless
the goal wants a model or nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, cast

import structlog

from agents.agent import Agent, CannotBeDone, Carry, TryAgain, Work
from agents.llm.answers import (
    MOST_DATA,
    DecompositionAnswer,
    PlanAnswer,
    TaskAnswer,
    judge_of,
    wrong_with_decomposition,
)
from agents.llm.asking import NoAnswer
from agents.llm.model import Question
from agents.llm.panel import Panel
from agents.llm.prompts import CURRENT, prompt
from agents.llm.rights import plain, rights
from agents.planners.proposals import HOURLY_RATES, DomainPlan, Proposal
from agents.planners.scope import DOMAINS, Scope, scope_of
from agents.reading import shaped
from domain.teams import DECOMPOSE, PLAN, PLANNER
from domain.values import JsonObject
from domain.weights import weight

log = structlog.get_logger(__name__)

SHARED: Final = frozenset(
    {"material", "hydraulics", "rotor", "concept", "make-or-buy", "screening"}
)
"""What other domains build on besides what every goal's artefacts are."""

_LONGEST_NOTE: Final = 600


def assisted(agent: Agent, panel: Panel | None) -> Agent:
    """Return a planner that asks models, or one that says that there is none to ask.

    Other agents are returned as they are.
    """
    if agent.role != "planning":
        return agent
    actions = dict(agent.actions)
    if agent.type == PLANNER and DECOMPOSE in actions:
        actions[DECOMPOSE] = _decomposing(actions[DECOMPOSE], panel)
    elif agent.type in DOMAINS and PLAN in actions:
        actions[PLAN] = _planning(actions[PLAN], agent.type, panel)
    return replace(agent, actions=actions)


def _decomposing(by_rules: Carry, panel: Panel | None) -> Carry:
    async def decompose(work: Work) -> JsonObject:
        draft = await by_rules(work)
        if (asked := _whom_to_ask(work, panel)) is None:
            return {**draft, "notes": [_why_rules(work, panel)]}
        try:
            answer, who = await asked.ask(_decomposition(work), work)
        except NoAnswer as error:
            _require_rules(work, asked, error)
            return {**draft, "notes": [_by_rules(str(error))]}
        names = [sub_goal.domain for sub_goal in answer.sub_goals]
        return {
            **draft,
            "sub_goals": [
                {
                    "domain": sub_goal.domain,
                    "title": plain(sub_goal.title, 150) or sub_goal.domain,
                    "params": {"domains": [name for name in DOMAINS if name in names]},
                }
                for sub_goal in answer.sub_goals
            ],
            "reasons": [f"{each.domain}: {plain(each.why, 400)}" for each in answer.sub_goals],
            "notes": [f"Decomposed by {who}, prompt {CURRENT['decompose']}."],
        }

    decompose.__doc__ = by_rules.__doc__
    return decompose


def _planning(by_rules: Carry, domain: str, panel: Panel | None) -> Carry:
    async def plan(work: Work) -> JsonObject:
        draft = shaped(await by_rules(work), DomainPlan, where="the draft")
        if (asked := _whom_to_ask(work, panel)) is None:
            return _noted(draft, _why_rules(work, panel))
        try:
            answer, who = await asked.ask(_domain_question(work, domain, draft), work)
        except NoAnswer as error:
            _require_rules(work, asked, error)
            return _noted(draft, _by_rules(str(error)))
        by_key = {task.key: task for task in draft.tasks}
        tasks = tuple(_proposal(task, domain, by_key, who) for task in answer.tasks)
        notes = tuple(plain(note, 400) for note in answer.notes if note.strip())
        return _noted(
            draft.model_copy(update={"tasks": tasks, "notes": notes}),
            f"Planned by {who}, prompt {CURRENT['plan']}.",
        )

    plan.__doc__ = by_rules.__doc__
    return plan


def _decomposition(work: Work) -> Question[DecompositionAnswer]:
    return Question(
        role="decompose",
        prompt=CURRENT["decompose"],
        instructions=prompt(CURRENT["decompose"]),
        data={"goal": _goal(scope_of(work)), "domains": list(DOMAINS)},
        shape=DecompositionAnswer,
        check=wrong_with_decomposition,
    )


def _domain_question(work: Work, domain: str, draft: DomainPlan) -> Question[PlanAnswer]:
    scope = scope_of(work)
    produced = {artefact for task in draft.tasks for artefact in task.produces}
    needed = {need for task in draft.tasks for need in task.needs}
    wanted = sorted(produced & (scope.artefacts | SHARED))
    artefacts = sorted((scope.artefacts | needed) - produced)
    foreign = (scope.artefacts | needed | SHARED) - produced
    data: dict[str, Any] = {
        "goal": _goal(scope),
        "domain": domain,
        "actions": {
            name: {"does": right.does, "params": sorted(right.params)}
            for name, right in rights()[domain].items()
        },
        "draft": [_drafted(task) for task in draft.tasks],
        "artefacts": artefacts,
        "wanted": wanted,
    }
    return Question(
        role="plan",
        prompt=CURRENT["plan"],
        instructions=prompt(CURRENT["plan"]),
        data=data,
        shape=PlanAnswer,
        check=judge_of(domain, artefacts=artefacts, wanted=wanted, foreign=foreign),
    )


def _goal(scope: Scope) -> JsonObject:
    goal = cast(JsonObject, scope.goal.model_dump(mode="json"))
    if weight(goal) > MOST_DATA:
        goal = goal | {"context": {}, "description": scope.goal.description[:4_000]}
    return goal


def _drafted(task: Proposal) -> JsonObject:
    return {
        "key": task.key,
        "name": task.name,
        "action": task.action,
        "produces": list(task.produces),
        "needs": list(task.needs),
        "after": list(task.after),
        "hours": task.duration.total_seconds() / 3600,
        "why": task.rule,
        "deliverable": task.deliverable,
    }


def _proposal(task: TaskAnswer, domain: str, draft: Mapping[str, Proposal], who: str) -> Proposal:
    """Return a task as a domain's planner proposes it; what it may not say is as in the draft."""
    drafted = draft.get(task.key)
    is_same = drafted is not None and drafted.action == task.action
    confidence = "" if task.confidence is None else f", confidence {task.confidence:.0%}"
    proposal = Proposal(
        key=task.key,
        name=plain(task.name, 200) or task.key,
        action=task.action,
        params=task.params or (drafted.params if drafted is not None and is_same else {}),
        produces=task.produces,
        needs=task.needs,
        after=task.after,
        duration=timedelta(hours=task.hours),
        cost=task.hours * HOURLY_RATES[domain],
        rule=f"{who}{confidence}: {plain(task.why, 400)}".rstrip(": "),
        deliverable=task.deliverable,
    )
    if drafted is None or not is_same:
        return proposal
    return proposal.model_copy(update={"uses": drafted.uses, "bounds": drafted.bounds})


def _whom_to_ask(work: Work, panel: Panel | None) -> Panel | None:
    """Return the panel if models are to be asked.

    Raises:
        CannotBeDone: Only a model may plan, and there is none.
    """
    wanted = _wanted(work, panel)
    if wanted == "llm" and panel is None:
        raise CannotBeDone("the goal wants a language model to plan it, and none is set up")
    return None if wanted == "rules" else panel


def _wanted(work: Work, panel: Panel | None) -> str:
    wanted = scope_of(work).options.planner
    return panel.choices.planner if wanted == "auto" and panel is not None else wanted


def _why_rules(work: Work, panel: Panel | None) -> str:
    if _wanted(work, panel) == "rules":
        return _by_rules("that is what was asked for")
    return _by_rules("no language model is set up")


def _by_rules(why: str) -> str:
    return f"Planned by rules: {plain(why, _LONGEST_NOTE)}."


def _require_rules(work: Work, panel: Panel, error: NoAnswer) -> None:
    """Let the rules step in, unless nobody but a model may plan.

    Raises:
        CannotBeDone: Asking again would not help.
        TryAgain: It may.
    """
    log.info("llm.no_answer", run=work.run_id, task=work.task_id, lasting=error.is_lasting)
    if _wanted(work, panel) != "llm":
        return
    if error.is_lasting:
        raise CannotBeDone(str(error)) from error
    raise TryAgain(str(error)) from error


def _noted(plan: DomainPlan, note: str) -> JsonObject:
    noted = plan.model_copy(update={"notes": (*plan.notes, note)})
    return cast(JsonObject, noted.model_dump(mode="json"))
