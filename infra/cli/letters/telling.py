"""``dlq rehearse`` and ``dlq export``: what would become of letters, and all that they say."""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from infra.cli.letters.choosing import (
    Group,
    Numbers,
    Queue,
    Reason,
    Since,
    Status,
    Type,
)
from infra.cli.output import AsJson

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bus.letters import Chosen, KeptLetter
    from infra.store.dead_letters import DeadLetterTable

_PORTION = 100


def rehearse(
    numbers: Numbers = None,
    reason: Reason = None,
    queue: Queue = None,
    type_: Type = None,
    group: Group = None,
    status: Status = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Say which letters would be accepted now; nothing is sent or recorded."""
    import asyncio

    from api.dead_letter_answers import verdict_of
    from bus.ports import SystemClock
    from bus.rehearsal import Rehearsal
    from infra.cli.letters.choosing import chosen, letters
    from infra.cli.output import print_json_line, print_table, say, table

    wanted = chosen(
        numbers=numbers,
        reason=reason,
        queue=queue,
        type_=type_,
        group=group,
        status=status,
        since=since,
    )
    found: Counter[tuple[str, str, str, str]] = Counter()

    async def work() -> None:
        async with letters() as (kept, _, opened):
            rehearsal = Rehearsal(opened.store, SystemClock())
            async for some in _pages(kept, wanted, limit=limit):
                for verdict in await rehearsal.hear(some):
                    if as_json:
                        print_json_line(verdict_of(verdict).model_dump(mode="json"))
                    # Each refusal differs in its words; one of them is shown for the others.
                    told = verdict.detail if len(numbers or ()) == 1 else ""
                    found[verdict.cause, verdict.answer, verdict.reason, told] += 1

    asyncio.run(work())
    if as_json:
        return
    if not found:
        say("no dead letters")
        return
    made = table("group", ">letters", "would be", "reason", *(["detail"] if _is_one(found) else []))
    for (cause, answer, code, told), count in sorted(found.items()):
        made.add_row(cause, str(count), answer, code, *([told] if _is_one(found) else []))
    print_table(made)
    good = sum(count for (_, answer, _, _), count in found.items() if answer == "accepted")
    say(f"{good} of {found.total()} letters would be accepted")


def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", dir_okay=False, help="Default: stdout.")
    ] = None,
    reason: Reason = None,
    queue: Queue = None,
    type_: Type = None,
    group: Group = None,
    status: Status = None,
    since: Since = None,
) -> None:
    """Write whole letters, one JSON object a line; a body that is no JSON in base64."""
    import asyncio

    from api.dead_letter_answers import content_of
    from infra.cli.letters.choosing import chosen, letters
    from infra.cli.output import say

    wanted = chosen(
        reason=reason, queue=queue, type_=type_, group=group, status=status, since=since
    )

    async def work(out: BinaryIO) -> int:
        count = 0
        async with letters() as (kept, _, _):
            async for some in _pages(kept, wanted, limit=None):
                for letter in some:
                    out.write(content_of(letter).model_dump_json().encode() + b"\n")
                count += len(some)
        return count

    if file is None:
        asyncio.run(work(sys.stdout.buffer))
        sys.stdout.buffer.flush()
        return
    with file.open("wb") as out:
        count = asyncio.run(work(out))
    say(f"{count} letters written to {file}")


async def _pages(
    kept: "DeadLetterTable", wanted: "Chosen", *, limit: int | None
) -> "AsyncIterator[Sequence[KeptLetter]]":
    """Yield letters, the oldest first, no more at a time than memory can hold."""
    after = 0
    left = limit
    while left is None or left > 0:
        some = await kept.some(wanted, after=after, limit=min(_PORTION, left or _PORTION))
        if not some:
            return
        yield some
        after = some[-1].id
        left = None if left is None else left - len(some)


def _is_one(found: Counter[tuple[str, str, str, str]]) -> bool:
    return found.total() == 1
