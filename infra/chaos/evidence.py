"""All that a run leaves behind, as plain values: what was done, what was recorded, what is shown.

It is kept in the folder of the run, so that it can be judged again without any server, and so that
copies of it can be falsified to see whether the judge notices.
"""

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg

from infra.chaos import history, ledger
from infra.chaos.checker import Event, Views, read, read_views
from infra.chaos.history import Line
from infra.chaos.ledger import Effect
from infra.chaos.processes import HITS

_EVENTS: Final = "events.jsonl.gz"
_SHOWN: Final = "shown.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A failure on purpose, as the process that failed has written it down."""

    point: str
    mode: str
    process: str
    pid: int
    at: float
    passed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter."""

    message_id: str
    reason: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """How many rows of a view are not as the log says."""

    view: str
    rows: int
    different: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it."""

    lines: Sequence[Line]
    events: Sequence[Event]
    views: Views
    rebuilt: Sequence[Differing]
    """What became of folding every view again."""

    letters: Sequence[Letter]
    effects: Sequence[Effect]
    hits: Sequence[Hit]


def gather(folder: Path, dsn: str, rebuilt: Sequence[Mapping[str, Any]]) -> None:
    """Write into a folder what the database holds."""
    with psycopg.connect(dsn) as connection:
        events = read(connection)
        views = read_views(connection)
        letters = connection.execute("select message_id, reason, body from dead_letters").fetchall()
    with gzip.open(folder / _EVENTS, "wb", compresslevel=1) as file:
        for event in events:
            file.write(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
    shown = {
        "runs": views.runs,
        "tasks": [[*key, *row] for key, row in views.tasks.items()],
        "rebuilt": [
            {"view": one["view"], "rows": one["rows"], "different": one["different"]}
            for one in rebuilt
        ],
        "letters": [
            {
                "message_id": name,
                "reason": reason,
                "body": _text(body),
            }
            for name, reason, body in letters
        ],
    }
    (folder / _SHOWN).write_bytes(orjson.dumps(shown))


def load(folder: Path) -> Evidence:
    """Return what a run has left in its folder.

    Raises:
        FileNotFoundError: It has not come to its end.
    """
    with gzip.open(folder / _EVENTS) as file:
        events = [Event(**orjson.loads(line)) for line in file]
    shown: dict[str, Any] = orjson.loads((folder / _SHOWN).read_bytes())
    hits = folder / HITS
    return Evidence(
        lines=list(history.read(folder / history.FILE)),
        events=events,
        views=Views(
            runs=shown["runs"], tasks={(row[0], row[1]): tuple(row[2:]) for row in shown["tasks"]}
        ),
        rebuilt=[Differing(**one) for one in shown["rebuilt"]],
        letters=[Letter(**one) for one in shown["letters"]],
        effects=ledger.read(folder / ledger.FILE),
        hits=[Hit(**orjson.loads(line)) for line in hits.read_bytes().splitlines()]
        if hits.exists()
        else [],
    )


def _text(body: bytes) -> str:
    return bytes(body)[:4_000].decode(errors="replace")
