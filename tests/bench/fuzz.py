"""Send a hundred thousand changed messages to a whole system: ``python -m tests.bench.fuzz``.

What was sent is heard or kept, no process ends, and the good ones between them are recorded. Says
what it found, and ends with 1 where that does not hold.
"""

import argparse
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pika
import psycopg

from bus.topology import REPORTS
from infra.migrations import upgrade
from tests.support.databases import fresh_database
from tests.support.fuzzing import Fuzzed, fuzzed
from tests.support.inboxes import CONTENT_TYPE, hello
from tests.support.services import Servers
from tests.system.processes import Stack, running

EVERY = 20
"""Among so many changed messages there is a good one."""

BACKLOG = 5_000


def main() -> int:
    """Send, wait, count, and return 1 where something is missing."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--messages", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    servers = Servers()
    try:
        with (
            fresh_database(servers.dsn) as dsn,
            servers.vhost() as url,
            tempfile.TemporaryDirectory() as folder,
        ):
            upgrade(dsn)
            with running(Path(folder), dsn, url, core=("coordinator", "projector")) as stack:
                return _fuzz(stack, count=chosen.messages, seed=chosen.seed)
    finally:
        servers.end()


def _fuzz(stack: Stack, *, count: int, seed: int) -> int:
    began = time.monotonic()
    _until_declared(stack)
    before = _memory(stack.pid("coordinator"))
    messages = fuzzed(seed, count)
    sent = good = 0
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
        channel = connection.channel()  # without confirms: what is counted at the end is proof
        while portion := list(islice(messages, EVERY)):
            for made in portion:
                _send(channel, made)
            innocent = hello(f"good{good}")
            _send(channel, Fuzzed("agent.registered", innocent, innocent["id"], _raw(innocent)))
            sent, good = sent + len(portion), good + 1
            if not good % 50:
                stack.until(lambda: _waiting(channel) < BACKLOG, "they are heard", seconds=300)
        stack.until(lambda: not _waiting(channel), "all are heard", seconds=300)
    # The last message is a good one: once it is recorded, all the others are heard.
    stack.until(lambda: _good(stack.dsn) == good, "the good ones are recorded", seconds=120)
    _until_still(stack)
    after = _memory(stack.pid("coordinator"))
    code = stack.stop("coordinator", seconds=30)
    accepted, refused, again = _counts(stack.words("coordinator", lines=400))
    reasons = _reasons(stack.dsn)
    found = {
        "sent": sent + good,
        "accepted": accepted,
        "refused": refused,
        "delivered again": again,
        "kept": reasons.total(),
        "good sent": good,
        "good recorded": _good(stack.dsn),
        "good kept as dead": _innocents(stack.dsn),
        "processes that ended": sum(stack.deaths.values()),
        "coordinator ends with": code,
        "coordinator grew by MiB": round((after - before) / 1024),
        "seconds": round(time.monotonic() - began),
    }
    for name, value in found.items():
        print(f"{name:>24}  {value}")
    for reason, number in reasons.most_common():
        print(f"{number:>24}  {reason}")
    holds = (
        # A channel that was lost delivers again what was not acknowledged, heard or not.
        sent + good <= accepted + refused <= sent + good + again
        and reasons.total() <= refused <= reasons.total() + again
        and _good(stack.dsn) == good
        and not _innocents(stack.dsn)
        and not stack.deaths
    )
    print("all heard or kept" if holds else "SOMETHING IS MISSING")
    return 0 if holds else 1


def _until_still(stack: Stack) -> None:
    """Wait until no more dead letters are put away."""
    kept = -1
    while kept != (kept := _reasons(stack.dsn).total()):
        time.sleep(3)
    stack.look_after()


def _raw(said: dict[str, Any]) -> bytes:
    return orjson.dumps(said)


def _send(channel: Any, made: Fuzzed) -> None:
    known = {"content_type": CONTENT_TYPE, "message_id": made.message_id} | made.properties
    properties = pika.BasicProperties(**known)
    channel.basic_publish(REPORTS, made.key, made.body, properties, mandatory=True)


def _until_declared(stack: Stack) -> None:
    def is_there() -> bool:
        with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
            try:
                connection.channel().queue_declare(REPORTS, passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                return False
            return True

    stack.until(is_there, "the queue of reports is there")
    stack.until(lambda: "leads" in stack.words("coordinator"), "the coordinator leads")


def _waiting(channel: Any) -> int:
    return int(channel.queue_declare(REPORTS, passive=True).method.message_count)


def _memory(pid: int) -> int:
    """Return how many KiB a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) if found else 0


def _counts(words: str) -> tuple[int, int, int]:
    """Return how much was accepted, refused, and delivered again, as both inboxes say at the end.

    What one of them has moved to the other is counted by the other.
    """
    said = [line for line in words.splitlines() if "inbox.ends" in line][-2:]
    found = [
        [re.search(rf"{name}\"?[=:](\d+)", line) for name in ("accepted", "refused", "again")]
        for line in said
    ]
    counts = [[int(one[1]) if one else -1 for one in line] for line in found]
    accepted, refused, again = map(sum, zip(*counts, strict=True))
    return accepted, refused, again


def _ask(dsn: str, question: str) -> Iterable[Any]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(question).fetchall()  # type: ignore[arg-type] # of this file only


def _good(dsn: str) -> int:
    question = (
        "select count(distinct originator_id) from events where originator_id like 'agent:good%'"
    )
    return int(next(iter(_ask(dsn, question)))[0])


def _innocents(dsn: str) -> int:
    question = "select count(*) from dead_letters where message_id like 'hello-good%'"
    return int(next(iter(_ask(dsn, question)))[0])


def _reasons(dsn: str) -> Counter[str]:
    rows = _ask(dsn, "select reason, sum(deaths) from dead_letters group by reason")
    return Counter({reason: int(number) for reason, number in rows})


if __name__ == "__main__":
    raise SystemExit(main())
