"""``taskloom user``: who has a password, past the API: for the first admin, and to break glass."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from infra.cli.output import AsJson, print_json, say

if TYPE_CHECKING:
    from infra.processes.registry import Registry

app = typer.Typer(help="Users and their passwords.", no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="What they log in with: a name or a mail address.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the standard input.")
]


@app.command()
def create(
    login: Login,
    admin: Annotated[bool, typer.Option("--admin", help="Let them manage everything.")] = False,
    name: Annotated[str, typer.Option(help="What they are called.")] = "",
    password_stdin: FromStdin = False,
) -> None:
    """Add a user. It is noted in the audit trail, as done past the API."""
    password = _password(is_from_stdin=password_stdin)
    role: Literal["user", "admin"] = "admin" if admin else "user"
    user = _work(lambda registry: registry.create(login, password, name=name, role=role))
    say(f"{user.login} is {user.user_id}, with the role {user.role}")


@app.command()
def password(login: Login, password_stdin: FromStdin = False) -> None:
    """Give a user another password; their sessions end."""
    new = _password(is_from_stdin=password_stdin)
    _work(lambda registry: registry.set_password(login, new))
    say(f"{login} has another password, and is logged out")


@app.command()
def disable(login: Login) -> None:
    """Let a user in no more; their sessions end, their keys count no more."""
    _work(lambda registry: registry.disable(login))
    say(f"{login} is let in no more")


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List users."""
    users = _work(lambda registry: registry.users())
    rows = [
        {"user_id": one.user_id, "login": one.login, "role": one.role, "is_active": one.is_active}
        for one in users
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        print(
            f"{row['login']:24} {row['role']:6} {'' if row['is_active'] else 'disabled'}".rstrip()
        )


def _password(*, is_from_stdin: bool) -> str:
    import sys

    from api.identity.passwords import LONGEST, SHORTEST

    if is_from_stdin:
        given = sys.stdin.readline().rstrip("\n")
    else:
        given = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    if not SHORTEST <= len(given) <= LONGEST:
        raise typer.BadParameter(f"a password has {SHORTEST} to {LONGEST} characters")
    return str(given)


def _work(act: "Callable[[Registry], Awaitable[Any]]") -> Any:
    import asyncio

    from infra.cli.target import database
    from infra.processes.registry import registry
    from infra.settings import Settings

    async def work() -> Any:
        settings = Settings()
        async with database(settings) as dsn, registry(settings, dsn) as opened:
            return await act(opened)

    return asyncio.run(work())
