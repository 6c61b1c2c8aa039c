"""What the API says of dead letters; the command prints and exports the same."""

import base64
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, JsonValue

from api.durations import Moment
from bus.differences import as_json
from bus.letters import Entry, History, KeptLetter, LetterGroup, LetterLine, Status
from bus.redrives import Redrive, Standing
from bus.rehearsal import Answer, Verdict

LARGEST_SHOWN = 1024 * 1024
"""Bytes of a body that an answer holds; an export holds all of it."""


class DeadLetterSummary(BaseModel):
    """One letter of many."""

    id: int
    status: Status
    reason: str
    detail: str
    type: str
    exchange: str
    routing_key: str
    queue: str
    message_id: str
    group: str
    first_died_at: Moment
    died_at: Moment
    deaths: int
    redrives: int
    edits: int
    size: int


class DeadLetterPage(BaseModel):
    """Some letters, the latest first."""

    dead_letters: Sequence[DeadLetterSummary]
    next_cursor: str | None


class DeadLetterGroup(BaseModel):
    """Letters that died of the same at the same place."""

    group: str
    reason: str
    detail: str
    """What differs from letter to letter is left out."""

    exchange: str
    queue: str
    type: str
    count: int
    first_died_at: Moment
    last_died_at: Moment
    example: int


class GroupsAnswer(BaseModel):
    """Groups, the largest first."""

    groups: Sequence[DeadLetterGroup]


class HappeningAnswer(BaseModel):
    """Something that happened to a letter."""

    kind: Literal["died", "redriven", "returned", "accepted", "edited", "discarded"]
    number: int
    """For which time it had been sent again by then."""

    at: Moment
    actor: str
    why: str
    reason: str | None
    diff: Sequence[str] | None
    redrive: int | None
    position: int | None


class DeadLetterContent(BaseModel):
    """A letter with what it says."""

    id: int
    status: Status
    reason: str
    detail: str
    type: str
    exchange: str
    routing_key: str
    queue: str
    message_id: str
    content_type: str
    group: str
    first_died_at: Moment
    died_at: Moment
    deaths: int
    redrives: int
    edits: int
    size: int
    headers: Mapping[str, JsonValue]
    body: JsonValue = None
    """What would be sent, where it is JSON."""

    body_base64: str | None = None
    """What would be sent, where it is something else."""

    original: JsonValue = None
    """What came, where it was edited."""

    original_base64: str | None = None


class DeadLetterAnswer(DeadLetterContent):
    """One letter, and everything that happened to it."""

    history: Sequence[HappeningAnswer]


class VerdictAnswer(BaseModel):
    """What would become of a letter."""

    id: int
    group: str
    answer: Answer
    reason: str
    detail: str


class RehearsalAnswer(BaseModel):
    """What would become of letters, the oldest first."""

    verdicts: Sequence[VerdictAnswer]
    counts: Mapping[Answer, int]
    next_cursor: str | None


class RedriveAnswer(BaseModel):
    """A redrive, and what has become of its letters so far."""

    redrive_id: int
    status: Standing
    outcome: str
    actor: str
    why: str
    asked_at: Moment
    ended_at: Moment | None
    chosen: Mapping[str, JsonValue]
    rate: float | None
    canary: int
    only_accepted: bool
    total: int
    claimed: int
    accepted: int
    died_again: int
    returned: int
    skipped: int
    unanswered: int


class RedrivePage(BaseModel):
    """Some redrives, the latest first."""

    redrives: Sequence[RedriveAnswer]
    next_cursor: str | None


class DiscardedAnswer(BaseModel):
    """How many letters were discarded."""

    discarded: int
    more: bool
    """Whether others may be left: ask again."""


def summary_of(line: LetterLine) -> DeadLetterSummary:
    """Return what a list shows of a letter."""
    return DeadLetterSummary(
        id=line.id,
        status=line.status,
        reason=line.reason,
        detail=line.detail,
        type=line.type,
        exchange=line.exchange,
        routing_key=line.routing_key,
        queue=line.queue,
        message_id=line.message_id,
        group=line.cause,
        first_died_at=line.first_died_at,
        died_at=line.died_at,
        deaths=line.deaths,
        redrives=line.redrives,
        edits=line.edits,
        size=line.size,
    )


def group_of(group: LetterGroup) -> DeadLetterGroup:
    """Return what is shown of a group."""
    return DeadLetterGroup(
        group=group.name,
        reason=group.reason,
        detail=group.shape,
        exchange=group.exchange,
        queue=group.queue,
        type=group.type,
        count=group.count,
        first_died_at=group.first_died_at,
        last_died_at=group.last_died_at,
        example=group.example,
    )


def content_of(letter: KeptLetter, *, largest: int | None = None) -> DeadLetterContent:
    """Return a letter with what it says; a body with more bytes than ``largest`` is left out."""
    message = letter.message()
    answer = DeadLetterContent(
        id=letter.id,
        status=letter.status,
        reason=letter.reason,
        detail=letter.detail,
        type=letter.type,
        exchange=letter.exchange,
        routing_key=message.key,
        queue=letter.queue,
        message_id=message.message_id,
        content_type=message.content_type,
        group=letter.cause,
        first_died_at=letter.first_died_at,
        died_at=letter.died_at,
        deaths=letter.deaths,
        redrives=letter.redrives,
        edits=letter.edits,
        size=len(message.body),
        headers=letter.headers,
    )
    if largest is None or len(message.body) <= largest:
        answer.body, answer.body_base64 = _shown(message.body)
    if letter.edited_body is not None and (largest is None or len(letter.body) <= largest):
        answer.original, answer.original_base64 = _shown(letter.body)
    return answer


def answer_of(history: History) -> DeadLetterAnswer:
    """Return what is shown of one letter."""
    content = content_of(history.letter, largest=LARGEST_SHOWN)
    happenings = [_happening_of(entry) for entry in history.entries]
    return DeadLetterAnswer(**content.model_dump(), history=happenings)


def verdict_of(verdict: Verdict) -> VerdictAnswer:
    """Return what is shown of a verdict."""
    return VerdictAnswer(
        id=verdict.letter,
        group=verdict.cause,
        answer=verdict.answer,
        reason=verdict.reason,
        detail=verdict.detail,
    )


def redrive_of(redrive: Redrive) -> RedriveAnswer:
    """Return what is shown of a redrive."""
    wish, fates = redrive.wish, redrive.fates
    return RedriveAnswer(
        redrive_id=redrive.id,
        status=redrive.status,
        outcome=redrive.outcome,
        actor=redrive.actor,
        why=wish.why,
        asked_at=redrive.asked_at,
        ended_at=redrive.ended_at,
        chosen=wish.chosen.model_dump(mode="json", exclude_defaults=True),
        rate=wish.rate,
        canary=wish.canary,
        only_accepted=wish.only_accepted,
        total=fates.total,
        claimed=fates.claimed,
        accepted=fates.accepted,
        died_again=fates.died,
        returned=fates.returned,
        skipped=fates.skipped,
        unanswered=fates.unanswered,
    )


def _happening_of(entry: Entry) -> HappeningAnswer:
    return HappeningAnswer(
        kind=entry.kind,
        number=entry.number,
        at=entry.at,
        actor=entry.actor,
        why=entry.why,
        reason=entry.reason,
        diff=entry.diff,
        redrive=entry.redrive,
        position=entry.position,
    )


def _shown(body: bytes) -> tuple[JsonValue, str | None]:
    value = as_json(body)
    return (None, base64.b64encode(body).decode()) if value is None else (value, None)
