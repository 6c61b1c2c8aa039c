"""Dead letters: see why messages died, and decide what becomes of them."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Base64Bytes, Field, JsonValue, WrapValidator
from pydantic_core import to_json

from api.access import Who, may
from api.asked import Asked, in_few_words
from api.dead_letter_answers import (
    DeadLetterAnswer,
    DeadLetterContent,
    DeadLetterPage,
    DiscardedAnswer,
    GroupsAnswer,
    RedriveAnswer,
    RedrivePage,
    RehearsalAnswer,
    answer_of,
    content_of,
    group_of,
    redrive_of,
    summary_of,
    verdict_of,
)
from api.deps import Deps, Ports
from api.paging import Paged
from bus.letters import Chosen, Edit, KeptLetter, LetterDecided, Shown, Words
from bus.redrives import Wish
from bus.rehearsal import Rehearsal
from domain.identity import Caller
from domain.values import Instant

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])

MOST_DISCARDED = 10_000
"""Letters that one request discards."""

LINES = "application/x-ndjson"
_LINES = {200: {"content": {LINES: {"schema": {"type": "string"}}}}}

_PORTION = 100
_Id = Annotated[int, Path(ge=1, lt=2**63)]
_Text = Annotated[str | None, Query(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


async def _chosen(
    *,
    reason: _Text = None,
    queue: _Text = None,
    type: _Text = None,  # noqa: A002 # the parameter's name in the API
    group: _Text = None,
    status: Annotated[
        Shown | None, Query(description="Default: those that wait for a decision.")
    ] = None,
    since: Annotated[
        Instant | None, Query(description="They died then or later, the last time.")
    ] = None,
) -> Chosen:
    return Chosen(reason=reason, queue=queue, type=type, group=group, status=status, since=since)


Filters = Annotated[Chosen, Depends(_chosen)]


class EditRequest(Asked):
    """What is to be changed about a letter before it is sent again."""

    body: JsonValue = None
    """The new body, as JSON."""

    body_base64: Base64Bytes | None = None
    """The new body, byte by byte."""

    message_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    routing_key: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    content_type: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    edits: Annotated[int, Field(ge=0)] | None = None
    """How often the letter had been edited when you read it; else others are overwritten."""

    why: Words = ""


class DiscardRequest(Asked):
    """Why a letter is not wanted any more."""

    reason: Annotated[Words, Field(min_length=1)]


class DiscardManyRequest(DiscardRequest):
    """Which letters are not wanted any more, and why."""

    chosen: Chosen


class RedriveRequest(Asked):
    """Why a letter is sent again."""

    why: Words = ""


@router.get("", dependencies=[may("dead-letter:read")])
async def show_dead_letters(
    chosen: Filters,
    ports: Ports,
    pages: Paged,
    *,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> DeadLetterPage:
    """Show dead letters, the latest first."""
    before = pages.number()
    lines = await ports.letters.list(chosen, before=before, limit=limit + 1)
    shown = lines[:limit]
    return DeadLetterPage(
        dead_letters=[summary_of(line) for line in shown],
        next_cursor=pages.go_on(shown[-1].id) if len(lines) > limit else None,
    )


@router.get("/groups", dependencies=[may("dead-letter:read")])
async def show_groups(
    chosen: Filters, ports: Ports, *, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> GroupsAnswer:
    """Show what dead letters died of, the largest group first."""
    found = await ports.letters.groups(chosen, limit=limit)
    return GroupsAnswer(groups=[group_of(group) for group in found])


@router.get("/rehearsal", dependencies=[may("dead-letter:read")])
async def rehearse(
    chosen: Filters,
    ports: Ports,
    pages: Paged,
    *,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> RehearsalAnswer:
    """Say which letters would be accepted now, the oldest first; nothing is recorded."""
    letters = await ports.letters.some(chosen, after=pages.number() or 0, limit=limit)
    verdicts = await Rehearsal(ports.streams, ports.clock).hear(letters)
    return RehearsalAnswer(
        verdicts=[verdict_of(verdict) for verdict in verdicts],
        counts=Counter(verdict.answer for verdict in verdicts),
        # A page ends early where bodies are large, so only an empty one is the last.
        next_cursor=pages.go_on(letters[-1].id) if letters else None,
    )


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses=_LINES,  # type: ignore[arg-type] # as FastAPI documents it
    dependencies=[may("dead-letter:read")],
)
async def export(chosen: Filters, ports: Ports) -> StreamingResponse:
    """Stream whole letters, one JSON object a line, the oldest first."""
    first = await ports.letters.some(chosen, limit=_PORTION)  # what is wrong is said before it
    lines = _lines(ports, chosen, first)
    return StreamingResponse(lines, media_type=LINES)


@router.post("/discard", dependencies=[may("dead-letter:decide")])
async def discard_dead_letters(
    caller: Who, asked: DiscardManyRequest, ports: Ports
) -> DiscardedAnswer:
    """Decide that letters are not wanted any more: at most 10,000 a request."""
    count = await ports.letters.discard(
        asked.chosen, actor=caller.actor, why=asked.reason, limit=MOST_DISCARDED
    )
    return DiscardedAnswer(discarded=count, more=count == MOST_DISCARDED)


@router.post("/redrives", status_code=202, dependencies=[may("dead-letter:decide")])
async def redrive_dead_letters(
    caller: Who,
    asked: Annotated[Wish, WrapValidator(in_few_words)],
    ports: Ports,
    response: Response,
    *,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="Asked twice, done once.")
    ] = None,
) -> RedriveAnswer:
    """Send letters again: accepted here, carried out by the coordinator, to be followed below."""
    return await _ask(ports, caller, asked, response, key=idempotency_key)


@router.get("/redrives", dependencies=[may("dead-letter:read")])
async def show_redrives(
    ports: Ports, pages: Paged, *, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> RedrivePage:
    """Show redrives, the latest first."""
    found = await ports.redrives.list(before=pages.number(), limit=limit + 1)
    shown = found[:limit]
    return RedrivePage(
        redrives=[redrive_of(redrive) for redrive in shown],
        next_cursor=pages.go_on(shown[-1].id) if len(found) > limit else None,
    )


@router.get("/redrives/{redrive_id:int}", dependencies=[may("dead-letter:read")])
async def show_redrive(redrive_id: _Id, ports: Ports) -> RedriveAnswer:
    """Show how far a redrive is, and what became of its letters."""
    return redrive_of(await ports.redrives.show(redrive_id))


@router.delete("/redrives/{redrive_id:int}", dependencies=[may("dead-letter:decide")])
async def cancel_redrive(redrive_id: _Id, ports: Ports) -> RedriveAnswer:
    """Cancel a redrive: what it has claimed is still sent, nothing else is."""
    return redrive_of(await ports.redrives.end(redrive_id, "cancelled"))


@router.get("/{letter_id:int}", dependencies=[may("dead-letter:read")])
async def show_dead_letter(letter_id: _Id, ports: Ports) -> DeadLetterAnswer:
    """Show one letter, what it says and everything that happened to it."""
    return answer_of(await ports.letters.show(letter_id))


@router.post("/{letter_id:int}/edit", dependencies=[may("dead-letter:decide")])
async def edit_dead_letter(
    caller: Who, letter_id: _Id, asked: EditRequest, ports: Ports
) -> DeadLetterContent:
    """Change what would be sent; what came is kept, and so is the difference."""
    body = asked.body_base64
    if body is None and asked.body is not None:
        body = to_json(asked.body)
    edit = Edit(
        body=body,
        message_id=asked.message_id,
        routing_key=asked.routing_key,
        content_type=asked.content_type,
        edits=asked.edits,
    )
    letter = await ports.letters.edit(letter_id, edit, actor=caller.actor, why=asked.why)
    return content_of(letter)


@router.post("/{letter_id:int}/discard", dependencies=[may("dead-letter:decide")])
async def discard_dead_letter(
    caller: Who, letter_id: _Id, asked: DiscardRequest, ports: Ports
) -> DeadLetterAnswer:
    """Decide that a letter is not wanted any more; it stays where it is, with the reason."""
    chosen = Chosen(ids=(letter_id,))
    count = await ports.letters.discard(chosen, actor=caller.actor, why=asked.reason, limit=1)
    history = await ports.letters.show(letter_id)
    if not count and history.letter.status != "discarded":
        raise LetterDecided(letter_id, history.letter.status, "discarded")
    return answer_of(history)


@router.post("/{letter_id:int}/redrive", status_code=202, dependencies=[may("dead-letter:decide")])
async def redrive_dead_letter(
    caller: Who,
    letter_id: _Id,
    ports: Ports,
    response: Response,
    asked: RedriveRequest | None = None,
) -> RedriveAnswer:
    """Send one letter again."""
    why = asked.why if asked else ""
    return await _ask(ports, caller, Wish(chosen=Chosen(ids=(letter_id,)), why=why), response)


async def _ask(
    ports: Deps, caller: Caller, wish: Wish, response: Response, *, key: str | None = None
) -> RedriveAnswer:
    redrive = await ports.redrives.ask(wish, actor=caller.actor, key=key)
    response.headers["Location"] = f"/api/v1/dead-letters/redrives/{redrive.id}"
    return redrive_of(redrive)


async def _lines(
    ports: Deps, chosen: Chosen, letters: Sequence[KeptLetter]
) -> AsyncIterator[bytes]:
    while letters:
        for letter in letters:
            yield content_of(letter).model_dump_json().encode() + b"\n"
        letters = await ports.letters.some(chosen, after=letters[-1].id, limit=_PORTION)
