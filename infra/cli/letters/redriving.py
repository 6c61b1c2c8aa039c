"""``dlq redrive``: letters are sent again by the coordinator; here it is asked for, and watched."""

from typing import TYPE_CHECKING, Annotated, Any

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
    from collections.abc import Callable

    from bus.redrives import Redrive
    from infra.cli.reading import Record
    from infra.store.redrives import RedriveTable

_PAUSE = 0.25
_EVERY = 5.0
"""Seconds between two lines where there is no terminal."""

_NOBODY = 60.0
"""Seconds without a coordinator after which it is left to the next one; others start sooner."""


def redrive(
    numbers: Numbers = None,
    reason: Reason = None,
    queue: Queue = None,
    type_: Type = None,
    group: Group = None,
    status: Status = None,
    since: Since = None,
    everything: Annotated[bool, typer.Option("--all", help="Send every kept letter.")] = False,
    rate: Annotated[
        float | None, typer.Option(min=0.01, max=100_000, help="Letters a second at most.")
    ] = None,
    canary: Annotated[
        int,
        typer.Option(min=0, max=1_000, help="Send so many first; the rest if all are accepted."),
    ] = 0,
    only_accepted: Annotated[
        bool, typer.Option("--only-accepted", help="Leave what would not be accepted today.")
    ] = False,
    why: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Watch it to its end.")] = True,
    patience: Annotated[
        float, typer.Option(min=0.0, help="Seconds to wait for the last answers.")
    ] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Send letters again: to where they were going, under their own ids. A crash costs none."""
    import asyncio

    from bus.redrives import Wish
    from infra.cli.letters.choosing import actor, chosen, letters

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
    wish = Wish(chosen=wanted, why=why, rate=rate, canary=canary, only_accepted=only_accepted)

    async def work() -> "Redrive":
        async with letters() as (_, asked, opened):
            made = await asked.ask(wish, actor=actor())
            return await _watch(asked, made, opened, patience) if wait else made

    seen = asyncio.run(work())
    if as_json:
        from api.dead_letter_answers import redrive_of
        from infra.cli.output import print_json

        print_json(redrive_of(seen).model_dump(mode="json"))
    elif wait:
        print(_told(seen))
    else:
        print(seen.id)
    if seen.status == "halted":
        from infra.cli.failures import FinishedFailed

        raise FinishedFailed(f"redrive {seen.id} was halted: {seen.outcome}")


def redrives(
    number: Annotated[int | None, typer.Argument(metavar="[REDRIVE]", min=1)] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List redrives, the newest first, or show how far one is."""
    import asyncio

    from api.dead_letter_answers import redrive_of
    from infra.cli.letters.choosing import letters
    from infra.cli.output import print_json, print_table, say, table

    async def work() -> "list[Redrive]":
        async with letters() as (_, asked, _):
            if number is not None:
                return [await asked.show(number)]
            return list(await asked.list(limit=limit))

    found = asyncio.run(work())
    if as_json:
        answers = [redrive_of(one).model_dump(mode="json") for one in found]
        print_json(answers[0] if number is not None else answers)
        return
    if not found:
        say("no redrives")
        return
    made = table(
        ">redrive", "status", "asked at", "by", ">letters", ">sent", ">accepted", ">died again",
        ">skipped", "why",
    )  # fmt: skip
    for one in found:
        fates = one.fates
        made.add_row(
            str(one.id),
            one.status,
            one.asked_at.strftime("%Y-%m-%d %H:%M:%S"),
            one.actor,
            str(fates.total),
            str(fates.claimed),
            str(fates.accepted),
            str(fates.died),
            str(fates.skipped),
            one.outcome or one.wish.why,
        )
    print_table(made)


def cancel(
    number: Annotated[int, typer.Argument(metavar="REDRIVE", min=1, help="Its number.")],
    as_json: AsJson = False,
) -> None:
    """Cancel a redrive: what it has claimed is still sent, nothing else is."""
    import asyncio

    from api.dead_letter_answers import redrive_of
    from infra.cli.letters.choosing import letters
    from infra.cli.output import print_json

    async def work() -> "Redrive":
        async with letters() as (_, asked, _):
            return await asked.end(number, "cancelled")

    seen = asyncio.run(work())
    if as_json:
        print_json(redrive_of(seen).model_dump(mode="json"))
    else:
        print(_told(seen))


async def _watch(
    asked: "RedriveTable", made: "Redrive", opened: "Record", patience: float
) -> "Redrive":
    """Follow a redrive until it has ended and its letters are answered, or nothing moves.

    Raises:
        Unavailable: No coordinator is there to carry it out.
    """
    import asyncio

    from domain.errors import Unavailable
    from infra.cli.output import called

    loop = asyncio.get_running_loop()
    led_at = moved_at = loop.time()
    seen = made
    with _bar(made) as advance:
        while True:
            before, seen = seen, await asked.show(made.id)
            advance(seen)
            now = loop.time()
            if seen.fates != before.fates:
                moved_at = now
            if seen.status != "running":
                # Work goes to agents, which answer for the task and not for the message.
                if not seen.fates.unanswered or now - moved_at >= patience:
                    return seen
            elif await opened.store.is_led("coordinator"):
                led_at = now
            elif now - led_at > _NOBODY:
                raise Unavailable(
                    f"no coordinator runs; redrive {made.id} waits for one:"
                    f" `{called()} dlq redrives {made.id}` shows it"
                )
            await asyncio.sleep(_PAUSE)


def _told(redrive: "Redrive") -> str:
    fates = redrive.fates
    parts = [
        f"{fates.claimed} of {fates.total} letters sent",
        f"{fates.accepted} accepted",
        f"{fates.died} died again",
    ]
    if fates.returned:
        parts.append(f"{fates.returned} were taken by no queue")
    if fates.skipped:
        parts.append(f"{fates.skipped} left, because they would not be accepted")
    if fates.unanswered:
        parts.append(f"{fates.unanswered} without an answer yet")
    return f"redrive {redrive.id} {redrive.status}: {', '.join(parts)}"


def _bar(made: "Redrive") -> Any:
    """Give what shows how far a redrive is: a bar on a terminal, a line now and then elsewhere."""
    import sys
    from contextlib import contextmanager

    @contextmanager
    def bar() -> Any:
        if not sys.stderr.isatty():
            yield _lines()
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn("redrive {task.description}"),
            BarColumn(),
            TextColumn("{task.fields[told]}"),
        )
        with Progress(*columns, console=Console(stderr=True)) as bars:
            task = bars.add_task(str(made.id), total=max(made.fates.total, 1), told="")

            def advance(seen: "Redrive") -> None:
                fates = seen.fates
                told = f"{fates.accepted} accepted, {fates.died} died again"
                bars.update(task, completed=fates.claimed + fates.skipped, told=told)

            yield advance

    return bar()


def _lines() -> "Callable[[Redrive], None]":
    from time import monotonic

    from infra.cli.output import say

    last, said_at = "", 0.0

    def advance(seen: "Redrive") -> None:
        nonlocal last, said_at
        told = _told(seen)
        if told != last and monotonic() - said_at >= _EVERY:
            last, said_at = told, monotonic()
            say(told)

    return advance
