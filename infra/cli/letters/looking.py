"""``dlq list``, ``groups`` and ``show``: which letters there are, and what became of each."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.letters.choosing import Group, Number, Queue, Reason, Since, Status, Type
from infra.cli.output import AsJson

if TYPE_CHECKING:
    from api.dead_letter_answers import DeadLetterAnswer, HappeningAnswer

SHOWN = 90


def list_(
    reason: Reason = None,
    queue: Queue = None,
    type_: Type = None,
    group: Group = None,
    status: Status = None,
    since: Since = None,
    before: Annotated[
        int | None, typer.Option(min=1, metavar="ID", help="Go on before this letter.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest first; by default those that wait for a decision."""
    import asyncio

    from api.dead_letter_answers import DeadLetterSummary, summary_of
    from infra.cli.letters.choosing import chosen, letters
    from infra.cli.output import print_json, print_table, say, table

    wanted = chosen(
        reason=reason, queue=queue, type_=type_, group=group, status=status, since=since
    )

    async def work() -> tuple[list[DeadLetterSummary], int]:
        async with letters() as (kept, _, _):
            lines = await kept.list(wanted, before=before, limit=limit)
            return [summary_of(line) for line in lines], await kept.count(wanted)

    found, count = asyncio.run(work())
    if as_json:
        print_json([line.model_dump(mode="json") for line in found])
        return
    if not found:
        say("no dead letters" if count == 0 else "no more dead letters")
        return
    made = table(">id", "died at", "status", ">deaths", "reason", "type", "detail")
    for line in found:
        made.add_row(
            str(line.id),
            _at(line.died_at),
            line.status,
            str(line.deaths),
            line.reason,
            line.type,
            _cut(line.detail),
        )
    print_table(made)
    if len(found) < count:
        say(f"{len(found)} of {count} dead letters; go on with --before {found[-1].id}")


def groups(
    reason: Reason = None,
    queue: Queue = None,
    type_: Type = None,
    status: Status = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what letters died of: one line a cause, the most frequent first."""
    import asyncio

    from api.dead_letter_answers import DeadLetterGroup, group_of
    from infra.cli.letters.choosing import chosen, letters
    from infra.cli.output import print_json, print_table, say, table

    wanted = chosen(reason=reason, queue=queue, type_=type_, status=status, since=since)

    async def work() -> list[DeadLetterGroup]:
        async with letters() as (kept, _, _):
            return [group_of(group) for group in await kept.groups(wanted, limit=limit)]

    found = asyncio.run(work())
    if as_json:
        print_json([group.model_dump(mode="json") for group in found])
        return
    if not found:
        say("no dead letters")
        return
    made = table(
        "group", ">letters", "reason", "type", "queue", "first died", "last died", ">example",
        "detail",
    )  # fmt: skip
    for group in found:
        made.add_row(
            group.group,
            str(group.count),
            group.reason,
            group.type,
            group.queue,
            _at(group.first_died_at),
            _at(group.last_died_at),
            str(group.example),
            _cut(group.detail),
        )
    print_table(made)


def show(number: Number, as_json: AsJson = False) -> None:
    """Show one dead letter: where it was going, what it says, everything that happened to it."""
    import asyncio

    from api.dead_letter_answers import DeadLetterAnswer, answer_of
    from infra.cli.letters.choosing import letters
    from infra.cli.output import print_json

    async def work() -> DeadLetterAnswer:
        async with letters() as (kept, _, _):
            return answer_of(await kept.show(number))

    letter = asyncio.run(work())
    if as_json:
        print_json(letter.model_dump(mode="json", exclude_none=True))
    else:
        _print(letter)


def _print(letter: "DeadLetterAnswer") -> None:
    edited = f", edited {letter.edits} times" if letter.edits else ""
    for name, value in (
        ("letter", letter.id),
        ("status", letter.status),
        ("reason", letter.reason),
        ("detail", letter.detail),
        ("group", letter.group),
        ("type", letter.type),
        ("message id", letter.message_id),
        ("exchange", letter.exchange),
        ("routing key", letter.routing_key),
        ("queue", letter.queue),
        ("content type", letter.content_type),
        ("attempts", f"died {letter.deaths} times, sent again {letter.redrives} times{edited}"),
        ("died", f"{_at(letter.first_died_at)} first, {_at(letter.died_at)} last"),
    ):
        print(f"{name:13} {value}")
    print("\nhistory")
    for entry in letter.history:
        print(f"  {_at(entry.at)}  {entry.kind:9} {_happened(entry)}")
        for line in entry.diff or ():
            print(f"{'':33} {line}")
    print(f"\nbody, {letter.size} bytes")
    print(_body(letter.body, letter.body_base64))
    if letter.original is not None or letter.original_base64 is not None:
        print("\nas it came")
        print(_body(letter.original, letter.original_base64))


def _happened(entry: "HappeningAnswer") -> str:
    match entry.kind:
        case "died":
            return f"{entry.reason}: {entry.why}"
        case "accepted":
            where = f"as position {entry.position}" if entry.position else "before"
            return f"recorded {where}"
        case _:
            by = f"redrive {entry.redrive}, " if entry.redrive else ""
            why = f": {entry.why}" if entry.why else ""
            return f"{by}by {entry.actor}{why}"


def _body(value: Any, base64: str | None) -> str:
    import base64 as coding
    import json

    if base64 is None:
        return json.dumps(value, indent=2, ensure_ascii=False)
    raw = coding.b64decode(base64)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"base64 {base64}"


def _at(moment: "datetime") -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
