"""``taskloom forget``: what is personal of somebody is not known any more."""

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.output import AsJson

if TYPE_CHECKING:
    from infra.store.forgetting import Forgotten


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
        async with record(Settings()) as opened:
            return await forget_for_good(
                subject,
                actor=f"cli/{getpass.getuser()}",
                store=opened.store,
                pool=opened.pool,
                told=say,
            )

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
