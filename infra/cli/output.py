"""What is printed: results on stdout, messages on stderr, JSON where it is asked for."""

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def out() -> "Console":
    """Return the console for results; without a terminal it does not cut lines."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def say(message: str) -> None:
    """Tell the person something that is not a result."""
    print(message, file=sys.stderr, flush=True)


def called() -> str:
    """Return the command as whoever called it wrote it, to be pasted: perhaps it is not on PATH."""
    name = Path(sys.argv[0])
    if name.name != "taskloom" or shutil.which(name.name) == str(name.absolute()):
        return "taskloom"
    return sys.argv[0]


def print_json(value: object) -> None:
    """Print one value as JSON: indented for a terminal, on one line elsewhere."""
    indent = 2 if sys.stdout.isatty() else None
    print(json.dumps(value, indent=indent, ensure_ascii=False, default=_plain), flush=True)


def print_json_line(value: object) -> None:
    """Print one value as one line of JSON."""
    print(json.dumps(value, ensure_ascii=False, default=_plain), flush=True)


def table(*columns: str, title: str | None = None) -> "Table":
    """Return an empty table in the house's form."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        is_number = column.startswith(">")
        made.add_column(
            column.removeprefix(">"),
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=is_number,
        )
    return made


def print_table(made: "Table") -> None:
    """Print a table, as wide as it needs to be where there is no terminal."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() else 200
    Console(highlight=False, width=wide).print(made)


def seconds(amount: float) -> str:
    """Return a duration as people read it: ``3 d 4 h``, ``2 min``, ``0.4 s``."""
    if amount < 1:
        return f"{amount * 1000:.0f} ms"
    if amount < 60:
        return f"{amount:.1f} s"
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    words: list[str] = []
    rest = round(amount)
    for size, unit in units:
        count, rest = divmod(rest, size)
        if count and len(words) < 2:
            words.append(f"{count} {unit}")
    return " ".join(words)


def _plain(value: object) -> object:
    isoformat = getattr(value, "isoformat", None)
    if callable(isoformat):
        return isoformat()
    return str(value)
