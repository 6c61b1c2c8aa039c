"""``dlq edit`` and ``dlq discard``: decisions that are kept with who made them, and why."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.letters.choosing import (
    Group,
    Number,
    Numbers,
    Queue,
    Reason,
    Since,
    Status,
    Type,
)
from infra.cli.output import AsJson

if TYPE_CHECKING:
    from bus.letters import KeptLetter

_PORTION = 1_000


def edit(
    number: Number,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="POINTER=VALUE", help="Set one member: /data/run_id=exec_1."),
    ] = None,
    body: Annotated[
        Path | None, typer.Option("--body", metavar="FILE", help="The new body; - reads stdin.")
    ] = None,
    message_id: Annotated[str | None, typer.Option(help="The new message id.")] = None,
    key: Annotated[str | None, typer.Option(help="The new routing key.")] = None,
    content_type: Annotated[str | None, typer.Option(help="The new content type.")] = None,
    why: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    as_json: AsJson = False,
) -> None:
    """Change what is sent again; without options in your $EDITOR. What came is kept for ever."""
    import asyncio

    from api.dead_letter_answers import DeadLetterAnswer, answer_of
    from bus.letters import Edit
    from infra.cli.letters.choosing import actor, letters
    from infra.cli.output import print_json, say

    async def read() -> "KeptLetter":
        async with letters() as (kept, _, _):
            return (await kept.show(number)).letter

    letter = asyncio.run(read())
    content: bytes | None = None
    if body is not None:
        content = sys.stdin.buffer.read() if str(body) == "-" else body.read_bytes()
    elif set_:
        content = _with_members(letter.content, set_)
    elif (message_id, key, content_type) == (None, None, None):
        content = _edited_by_hand(letter.content)
    change = Edit(
        body=content,
        message_id=message_id,
        routing_key=key,
        content_type=content_type,
        edits=letter.edits,
    )

    async def write() -> DeadLetterAnswer:
        async with letters() as (kept, _, _):
            await kept.edit(number, change, actor=actor(), why=why)
            return answer_of(await kept.show(number))

    answer = asyncio.run(write())
    if as_json:
        print_json(answer.model_dump(mode="json", exclude_none=True))
    elif answer.edits == letter.edits:
        say("nothing is changed")
    else:
        for line in answer.history[-1].diff or ():
            print(line)
        say(f"`taskloom dlq rehearse {number}` says whether it would be accepted now")


def discard(
    why: Annotated[str, typer.Option("--why", help="Why, for the record; it has to be said.")],
    numbers: Numbers = None,
    reason: Reason = None,
    queue: Queue = None,
    type_: Type = None,
    group: Group = None,
    status: Status = None,
    since: Since = None,
    everything: Annotated[bool, typer.Option("--all", help="Discard every kept letter.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide that letters are not wanted any more. They stay, and can be sent again by number."""
    import asyncio

    from infra.cli.letters.choosing import actor, chosen, letters
    from infra.cli.output import print_json, say

    wanted = chosen(
        numbers=numbers,
        reason=reason,
        queue=queue,
        type_=type_,
        group=group,
        status=status,
        since=since,
    )
    if not wanted.model_dump(exclude_defaults=True) and not everything:
        raise typer.BadParameter("say which letters: by ID, by an option, or --all")
    if not why.strip():
        raise typer.BadParameter("say why", param_hint="--why")

    async def work() -> int:
        count = 0
        async with letters() as (kept, _, _):
            while some := await kept.discard(wanted, actor=actor(), why=why, limit=_PORTION):
                count += some
        return count

    count = asyncio.run(work())
    if as_json:
        print_json({"discarded": count})
    else:
        say(f"{count} letters are discarded")


def _with_members(content: bytes, changes: list[str]) -> bytes:
    """Return a JSON body with some members set; a value that is no JSON is taken as text."""
    import orjson

    from bus.differences import as_json

    value = as_json(content)
    if not isinstance(value, dict):
        raise typer.BadParameter("the body is no JSON object; give a --body", param_hint="--set")
    for change in changes:
        pointer, equals, text = change.partition("=")
        if not equals or not pointer.startswith("/"):
            raise typer.BadParameter(f"{change} is not /POINTER=VALUE", param_hint="--set")
        try:
            new: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            new = text
        _set(value, [_unescaped(part) for part in pointer[1:].split("/")], new)
    return orjson.dumps(value)


def _set(value: Any, path: list[str], new: Any) -> None:
    *way, last = path
    try:
        for part in way:
            value = value[_key(value, part)]
        value[_key(value, last)] = new
    except (ValueError, LookupError, TypeError):
        raise typer.BadParameter(f"there is no /{'/'.join(path)}", param_hint="--set") from None


def _key(value: Any, part: str) -> int | str:
    return int(part) if isinstance(value, list) else part


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _edited_by_hand(content: bytes) -> bytes | None:
    """Return what a person makes of a body in an editor; None where nothing was saved."""
    import json

    import click
    import orjson

    from bus.differences import as_json

    value = as_json(content)
    try:
        shown = None if value is None else json.dumps(value, indent=2, ensure_ascii=False)
        text = content.decode() if shown is None else shown
    except UnicodeDecodeError:
        raise typer.BadParameter("the body is no text; give a --body") from None
    edited = click.edit(text, extension=".txt" if value is None else ".json")
    if edited is None or edited.strip() == text.strip():
        return None
    if value is None:
        return edited.encode()
    try:
        return orjson.dumps(orjson.loads(edited))
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"what you saved is no JSON: {error}") from None
