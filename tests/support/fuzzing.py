"""Messages that were valid until somebody changed them: the same ones for the same seed."""

import gzip
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tests.support.inboxes import CONTENT_TYPE, attempt, goal, hello, report

Json = dict[str, Any]
Change = Callable[[random.Random, "Fuzzed"], None]

_STRANGE: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0,
    1.5,
    2**53,
    2**63 - 1,
    -(2**63),
    "",
    " ",
    "x" * 5_000,
    "../../etc/passwd",
    "{{7*7}}",
    "'; drop table events; --",
    "\u202e",
    "é́́",
    [],
    {},
    [[[[]]]],
    {"__proto__": {"a": 1}},
    ["a"] * 300,
)
_TOKENS: Final = (
    b"NaN",
    b"Infinity",
    b"1e999",
    b'"\\ud800"',
    b'"\\u0000"',
    b"\xff",
    b"\x00",
    b"{" * 80,
    b"[" * 70_000,
    b"9" * 40,
    b",",
    b'"',
    b"\\",
    b"}",
    b'{"a":1,"a":2}',
)


@dataclass
class Fuzzed:
    """A message on its way to ``taskloom.reports``."""

    key: str
    said: Json
    message_id: str
    body: bytes = b""
    properties: Json = field(default_factory=dict[str, Any])


def valid(choose: random.Random, number: int) -> Json:
    """Return a report of some kind that is well formed, whatever is true."""
    name = f"f{number}"
    run_id = f"exec_{choose.choice(['1', 'nowhere', name])}"
    match choose.randrange(8):
        case 0:
            return hello(name)
        case 1:
            return goal(f"plan_{name}")
        case 2:
            return attempt("task.started", name, run_id=run_id)
        case 3:
            return attempt("task.completed", name, run_id=run_id, result={"n": number})
        case 4:
            failed = {"reason": "no", "error_class": "transient"}
            return attempt("task.failed", name, run_id=run_id, **failed)
        case 5:
            data = {"plan_id": f"plan_{name}"}
            return report("plan.cancel_requested", data, ident=name, source="/users/ada")
        case 6:
            data = {"agent_id": name, "lifecycle": "ready", "health": "healthy"}
            return report("agent.status", data, ident=name, source=f"/agents/{name}")
        case _:
            return report(
                "run.pause_requested", {"run_id": run_id}, ident=name, source="/users/ada"
            )


def fuzzed(seed: int, count: int) -> Iterator[Fuzzed]:
    """Return messages, most of them changed in one to three ways."""
    choose = random.Random(seed)
    for number in range(count):
        said = valid(choose, number)
        said["id"] = f"fuzz-{seed}-{number}"
        made = Fuzzed(key=said["type"], said=said, message_id=said["id"])
        changes = [choose.choice(_CHANGES) for _ in range(choose.choice([0, 1, 1, 1, 2, 3]))]
        for change in changes:
            if change in _OF_MEMBERS:
                change(choose, made)
        made.body = orjson.dumps(made.said, default=str)
        for change in changes:
            if change not in _OF_MEMBERS:
                change(choose, made)
        known = {"content_type": CONTENT_TYPE, "message_id": made.message_id}
        made.properties = known | made.properties
        yield made


def _objects(said: Json) -> list[Json]:
    found, waiting = [said], [said]
    while waiting:
        for value in waiting.pop().values():
            if isinstance(value, dict):
                found.append(value)
                waiting.append(value)
    return found


def _some(choose: random.Random, made: Fuzzed) -> tuple[Json, str] | None:
    holder = choose.choice(_objects(made.said))
    return (holder, choose.choice(sorted(holder))) if holder else None


def drop(choose: random.Random, made: Fuzzed) -> None:
    if found := _some(choose, made):
        del found[0][found[1]]


def replace_(choose: random.Random, made: Fuzzed) -> None:
    if found := _some(choose, made):
        found[0][found[1]] = deepcopy(choose.choice(_STRANGE))


def add(choose: random.Random, made: Fuzzed) -> None:
    choose.choice(_objects(made.said))[choose.choice(["x", "type", "role", "extra", ""])] = (
        deepcopy(choose.choice(_STRANGE))
    )


def swap(choose: random.Random, made: Fuzzed) -> None:
    """Put what stands in one place into another."""
    one, other = _some(choose, made), _some(choose, made)
    if one and other and not isinstance(one[0][one[1]], dict):
        other[0][other[1]] = deepcopy(one[0][one[1]])


def flip(choose: random.Random, made: Fuzzed) -> None:
    body = bytearray(made.body)
    for _ in range(choose.randrange(1, 4)):
        if body:
            body[choose.randrange(len(body))] ^= 1 << choose.randrange(8)
    made.body = bytes(body)


def cut(choose: random.Random, made: Fuzzed) -> None:
    made.body = made.body[: choose.randrange(len(made.body) + 1)]


def put_in(choose: random.Random, made: Fuzzed) -> None:
    place = choose.randrange(len(made.body) + 1)
    made.body = made.body[:place] + choose.choice(_TOKENS) + made.body[place:]


def repeat(choose: random.Random, made: Fuzzed) -> None:
    start = choose.randrange(len(made.body) + 1)
    made.body = made.body[:start] + made.body[start : start + 40] * choose.randrange(1, 50)


def garble(choose: random.Random, made: Fuzzed) -> None:
    made.body = choose.randbytes(choose.randrange(200))


def compress(choose: random.Random, made: Fuzzed) -> None:
    made.properties["content_encoding"] = choose.choice(["gzip", "gzip", "br", "identity"])
    if choose.random() < 0.7:
        made.body = gzip.compress(made.body * choose.choice([1, 1, 50]), mtime=0)


def dress(choose: random.Random, made: Fuzzed) -> None:
    made.properties |= choose.choice(
        [
            {"content_type": "text/plain"},
            {"content_type": ""},
            {"content_type": f"{CONTENT_TYPE}; charset=utf-8"},
            {"reply_to": "x"},
            {"expiration": "100000000"},
            {"priority": 7},
            {"headers": {"CC": ["a"]}},
            {"headers": {f"h{number}": number for number in range(choose.randrange(100))}},
            {"headers": {"x-taskloom-redrive": choose.choice(["1/1", "x", "9" * 30])}},
            {"headers": {"x-taskloom-user": choose.choice(["agent.execution.cad", "", "é" * 90])}},
            {"headers": {"x-taskloom-signature": "00", "x-taskloom-key-id": "k"}},
            {"message_id": ""},
            {"message_id": "x" * 255},
            {"type": "x"},
            {"delivery_mode": 1},
        ]
    )


def misdirect(choose: random.Random, made: Fuzzed) -> None:
    made.key = choose.choice(["", "task.completed", "x" * 255, "#", "system.shutdown", "a.b.c.d"])


_OF_MEMBERS: Final[tuple[Change, ...]] = (drop, replace_, add, swap)
_CHANGES: Final[tuple[Change, ...]] = (
    *_OF_MEMBERS,
    *_OF_MEMBERS,
    flip,
    flip,
    cut,
    put_in,
    repeat,
    garble,
    compress,
    dress,
    dress,
    misdirect,
)
