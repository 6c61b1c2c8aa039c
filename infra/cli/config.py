"""``taskloom config``: the settings in force."""

import re
from typing import Any

import typer

from infra.cli.output import AsJson, print_json

_PASSWORD = re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]*)")

app = typer.Typer(help="The settings in force.", no_args_is_help=True)


@app.callback()
def config() -> None:
    """The settings in force."""


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show every setting with its value; passwords are masked."""
    from infra.settings import Settings

    values = {
        name: masked(value) for name, value in flat(Settings().model_dump(mode="json")).items()
    }
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        print(f"{name}={'' if value is None else value}")


def flat(values: dict[str, Any], prefix: str = "TASKLOOM_") -> dict[str, Any]:
    """Return nested settings under the names that set them."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        variable = f"{prefix}{name.upper()}"
        found |= flat(value, f"{variable}__") if isinstance(value, dict) else {variable: value}  # pyright: ignore[reportUnknownArgumentType] # of JSON
    return found


def masked(value: Any) -> Any:
    """Return a value without the passwords that it has as a URL, or as PostgreSQL writes them."""
    from urllib.parse import urlsplit

    if not isinstance(value, str):
        return value
    shown = _PASSWORD.sub(r"\1***", value)
    address = urlsplit(shown if "://" in shown else "")
    if address.password is None:
        return shown
    user, place = address.username or "", address.netloc.rpartition("@")[2]
    return address._replace(netloc=f"{user}:***@{place}").geturl()
