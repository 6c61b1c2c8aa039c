"""``taskloom forget``: what is personal of somebody is not known any more."""

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.output import AsJson

if TYPE_CHECKING:
    from infra.store.forgetting import Forgotten
    from infra.store.store import PostgresStore


def forget(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="Whom: users/<id>.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete somebody's key and every copy of what it protects: nobody can undo it."""
    import asyncio
    import getpass
    from dataclasses import asdict

    from infra.cli.output import print_json, say
    from infra.cli.reading import record
    from infra.settings import Settings
    from infra.store.forgetting import forget as forget_for_good

    if not yes:
        typer.confirm(f"Forget all that is personal of {subject}, for good?", abort=True, err=True)

    async def work() -> "Forgotten":
        actor = f"cli/{getpass.getuser()}"
        async with record(Settings()) as opened:
            done = await forget_for_good(
                subject, actor=actor, store=opened.store, pool=opened.pool, told=say
            )
            await _note(opened.store, done, actor)
            return done

    done = asyncio.run(work())
    if as_json:
        print_json(asdict(done))
        return
    print(
        f"{subject} is forgotten: {done.streams} streams read [forgotten], {done.views} views are"
        f" folded anew, {done.letters} dead letters are deleted"
    )
    for one in done.left:
        say(f"not reached: {one}")


async def _note(store: "PostgresStore", done: "Forgotten", actor: str) -> None:
    """Write into the audit trail that somebody was forgotten."""
    import asyncio

    from uuid_utils.compat import uuid7

    from api.identity.auditing import Auditor
    from bus.ports import SystemClock
    from bus.recorder import Recorder

    clock = SystemClock()
    recorder = Recorder(store, clock)
    recording = asyncio.create_task(recorder.run())
    try:
        auditor = Auditor(recorder.record, clock, lambda: str(uuid7()))
        detail = f"{done.streams} streams, {done.letters} dead letters"
        await auditor.note("subject.forgotten", done.subject, actor=actor, detail=detail)
    finally:
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
