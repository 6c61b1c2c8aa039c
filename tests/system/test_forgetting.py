"""Whoever is forgotten is found nowhere: not in a file of the database or the broker, not in a log.

Real processes, a PostgreSQL and a RabbitMQ of our own. A canary is whatever somebody can say, over
HTTP or AMQP; each has a name of its own, so that a failure says which was found, and where.
"""

import os
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pika
import psycopg
import pytest

from infra.chaos.letters import Letter, said
from infra.migrations import upgrade
from infra.services.postgres import EmbeddedPostgres
from infra.services.rabbitmq import PrivateRabbitMQ
from tests.support.brokers import start_node
from tests.support.ground import Ground
from tests.support.recorded import log_of
from tests.system.malformed import send
from tests.system.processes import ROOT, Stack, running

pytestmark = [pytest.mark.system, pytest.mark.node, pytest.mark.timeout(600)]

CANARY = re.compile(rb"canary-of-ada-[a-z_]+")
PASSWORD = "correct-battery-staple"
SINGER = str(ROOT / "tests" / "system" / "singer.py")


@dataclass
class House:
    """Servers of our own, and where they keep what they hear."""

    postgres: EmbeddedPostgres
    rabbitmq: PrivateRabbitMQ
    ground: Ground

    @property
    def folders(self) -> Mapping[str, Path]:
        return {"PostgreSQL": self.postgres.home, "RabbitMQ": self.rabbitmq.home}

    def lose_what_was_acknowledged(self) -> None:
        """Do what infra/rabbitmq/README.md says."""
        self.ground.run(self.rabbitmq.control("eval", "ra_log_wal:force_roll_over(ra_log_wal)."))
        names = self.ground.run(self.rabbitmq.control("list_queues", "--silent", "name")).split()
        with closing(pika.BlockingConnection(pika.URLParameters(self.rabbitmq.url))) as connection:
            for name in names:
                connection.channel().queue_delete(name)


@pytest.fixture
def house() -> Iterator[House]:
    with closing(Ground()) as ground:
        postgres = EmbeddedPostgres(ground.folder(), durable=True)
        ground.run(postgres.start())
        ground.at_end(lambda: ground.run(postgres.stop()))
        upgrade(postgres.dsn)
        yield House(postgres, start_node(ground), ground)


def found_in(folder: Path) -> Mapping[str, list[str]]:
    """Return the canaries in the files of a folder, each with the files it is in."""
    found: dict[str, list[str]] = {}
    for place, _, names in os.walk(folder):
        for file in (Path(place) / name for name in names):
            try:
                words = set(CANARY.findall(file.read_bytes()))
            except OSError:  # it is a socket, or gone meanwhile
                continue
            for word in words:
                found.setdefault(word.decode(), []).append(str(file.relative_to(folder)))
    return found


@dataclass
class Ada:
    """Somebody who says something wherever one can."""

    stack: Stack
    id: str = ""
    token: str = ""
    said: set[str] = field(default_factory=set[str])

    def sings(self, where: str) -> str:
        word = f"canary-of-ada-{where}"
        self.said.add(word)
        return word

    def asks(self, path: str, body: object = None, *, method: str = "", key: str = "") -> Any:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": self.sings("user_agent"),
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
            **({"Idempotency-Key": key} if key else {}),
        }
        question = urllib.request.Request(
            f"{self.stack.api_url}/api/v1{path}",
            data=None if body is None else orjson.dumps(body),
            headers=headers,
            method=method or None,
        )
        with urllib.request.urlopen(question, timeout=30) as answer:
            return orjson.loads(answer.read())

    def comes(self) -> None:
        user = self.stack.ask(
            "/users",
            {
                "login": self.sings("login"),
                "password": PASSWORD,
                "name": self.sings("name"),
                "role": "admin",
            },
        )
        self.id = user["user_id"]
        login = {"login": self.sings("login"), "password": PASSWORD}
        self.token = self.asks("/auth/login", login)["access_token"]
        self.asks("/keys", {"name": self.sings("key_name")})

    def task(self, name: str, action: str, *needs: str, agent: str = "SINGER") -> dict[str, Any]:
        return {
            "id": name,
            "name": self.sings("task_name"),
            "agent": agent,
            "action": action,
            "params": {"song": self.sings(f"params_of_{action}")},
            "origin": self.sings("origin"),
            "depends_on": needs,
            "inputs": {"before": needs[0]} if needs else {},
            "retry": {"attempts": 2},
        }

    def submits(self, *tasks: object, key: str = "", **options: object) -> str:
        goal = {
            "title": self.sings("title"),
            "description": self.sings("description"),
            "constraints": {
                "timeline": self.sings("timeline"),
                "compliance": [self.sings("standard")],
            },
            "context": {"who": self.sings("context")},
        }
        body = {"goal": goal, "options": options, "task_graph": {"tasks": tasks}}
        return str(self.asks("/plans/create", body, key=key)["plan_id"])

    def until(self, type_: str, stream: str, *, times: int = 1) -> None:
        self.stack.until(
            lambda: self.stack.count(type_, stream=stream) >= times, f"{type_} of {stream}"
        )


def runs(ada: Ada) -> None:
    """Have runs carried out that end well, fail, and are steered."""
    key = ada.sings("idempotency_key")
    well = ada.submits(
        ada.task("a", "echo"), ada.task("b", "echo", "a"), key=key, auto_execute=True
    )
    ill = ada.submits(
        ada.task("refused", "refuse"), ada.task("broken", "stumble"), auto_execute=True
    )
    waits = ada.submits(ada.task("never", "echo", agent="NOBODY"), auto_execute=True)
    ada.until("plan.completed", well)
    ada.until("plan.failed", ill)
    run = f"{ill.replace('plan_', 'exec_')}-1"
    for task, verb in (("refused", "retry"), ("refused", "skip"), ("broken", "skip")):
        ada.until("task.failed", run, times=2 + 2 * (verb == "skip") - 1)
        ada.stack.until(
            lambda: ada.asks(f"/executions/{run}")["status"] in ("failed", "completed"), "it ended"
        )
        ada.asks(f"/executions/{run}/tasks/{task}/{verb}", {"reason": ada.sings(f"{verb}_reason")})
    run = f"{waits.replace('plan_', 'exec_')}-1"
    ada.until("task.dispatched", run)
    ada.asks(f"/executions/{run}/pause", {"reason": ada.sings("pause_reason")})
    ada.asks(
        f"/executions/{run}/rollback",
        {"checkpoint_id": "checkpoint_001", "reason": ada.sings("rollback_reason")},
    )
    ada.asks(f"/executions/{run}/cancel", {"reason": ada.sings("cancel_reason")})
    ada.until("run.cancelled", run)


def plans(ada: Ada) -> None:
    """Have plans reviewed, replanned and cancelled."""
    for verdict in ("approve", "reject"):
        plan = ada.submits(ada.task("a", "echo"), review=True)
        opinion = {
            "author": ada.sings(f"{verdict}_author"),
            "reason": ada.sings(f"{verdict}_reason"),
        }
        if verdict == "approve":
            amended = {"task_graph": {"tasks": [ada.task("amended", "echo")]}}
            ada.asks(f"/plans/{plan}/amend", amended | {"author": ada.sings("amend_author")})
        ada.asks(f"/plans/{plan}/{verdict}", opinion)
        if verdict == "approve":
            reason = {"reason": ada.sings("replan_reason")}
            ada.asks(f"/plans/{plan}/replan?wait=0", reason)
            why = ada.sings("plan_cancel_reason")
            ada.asks(f"/plans/{plan}?reason={why}", method="DELETE")


def messages(ada: Ada, url: str) -> None:
    """Say something over the bus, and have others hear of it."""
    topics = {"agent_id": "erp", "topics": ["#"]}
    ada.asks("/messages/subscribe", topics)
    hook = {"kind": "webhook", "url": f"https://{ada.sings('host')}.example/{ada.sings('url')}"}
    with psycopg.connect(ada.stack.dsn, autocommit=True) as connection:
        # No name of an example leads anywhere, so none would be taken.
        connection.execute(
            "insert into subscriptions select concat(subscription_id, '-hook'), owner, agent_id,"
            " topics, filters, 'webhook', %s, null, hears_all, plans_of, created_at, position"
            " from subscriptions",
            [hook["url"]],
        )
    ada.asks("/messages/publish", {"topic": "chair.sold", "payload": {"to": ada.sings("payload")}})
    ada.asks("/queue/enqueue", {"agent_type": "SINGER", "action": "echo"} | {
        "task_id": "queued", "payload": {"song": ada.sings("enqueued")}
    })  # fmt: skip
    ada.asks("/agents/singer/invoke", {"action": "echo", "payload": {"x": ada.sings("invoked")}})
    agent = {"agent_id": "guest", "agent_type": "SINGER"}
    ada.asks("/agents/register", agent)
    ada.asks(f"/agents/guest?reason={ada.sings('goodbye')}", method="DELETE")
    by = f"/users/{ada.id}"
    goal = {"title": ada.sings("amqp_title"), "description": ada.sings("amqp_description")}
    heard = {"plan_id": "plan_heard", "goal": goal, "tasks": [ada.task("a", "echo")]}
    good = said("heard", "goal.submitted", heard, source=by)
    wrong = said("wrong", "goal.submitted", {"goal": ada.sings("letter")}, source=by)
    strange = said("strange", "goal.submitted", {"goal": "not of Ada"}, source="/users/bob")
    letters = [_letter(one) for one in (good, wrong, strange)]
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        send(connection.channel(), letters)
    ada.until("plan.ready", "plan_heard")
    ada.asks(f"/plans/plan_heard?reason={ada.sings('plan_cancel_reason')}", method="DELETE")
    ada.stack.until(lambda: len(_letters(ada)) == 2, "both letters are kept")
    for letter in _letters(ada):
        edit = {"body": {"song": ada.sings("edit")}, "why": ada.sings("edit_why")}
        ada.asks(f"/dead-letters/{letter['id']}/edit", edit)
        ada.asks(f"/dead-letters/{letter['id']}/discard", {"reason": ada.sings("discard")})


def _letter(one: Mapping[str, Any]) -> Letter:
    properties = {"content_type": "application/cloudevents+json", "message_id": one["id"]}
    return Letter(key=one["type"], body=orjson.dumps(one), properties=properties)


def _letters(ada: Ada) -> list[Any]:
    return list(ada.asks("/dead-letters")["dead_letters"])


def verified(stack: Stack, *, code: int = 0) -> Any:
    return orjson.loads(stack.taskloom("audit", "verify", "--json", code=code))


def test_whoever_is_forgotten_is_found_nowhere(house: House, tmp_path: Path) -> None:
    url = house.rabbitmq.url
    env = {"TASKLOOM_AUDIT__SECONDS": "1"}
    with running(
        tmp_path / "stack", house.postgres.dsn, url, agents={"singer": SINGER}, env=env
    ) as stack:
        stack.until(lambda: stack.count("agent.registered") == 1, "the agent is there")
        ada = Ada(stack)
        ada.comes()
        runs(ada)
        plans(ada)
        messages(ada, url)
        stack.until(stack.is_shown, "the views are where the log is")

        recorded = repr(log_of(stack))
        _write_pages(stack)
        in_files = found_in(house.postgres.home)
        unheard = {word for word in ada.said if word not in recorded and word not in in_files}
        assert unheard == {ada.sings("invoked"), ada.sings("user_agent")}, "these were not planted"
        assert found_in(house.rabbitmq.home)

        told = orjson.loads(stack.taskloom("forget", f"users/{ada.id}", "--yes", "--json"))
        assert told["streams"] > 8
        stack.until(stack.is_shown, "the views are where the log is")
        stack.until(
            lambda: not _queues_of_subscribers(house), "the queue of the subscriber is gone"
        )
        assert [one for one in log_of(stack) if "canary-of-ada" in repr(one)] == []
        stack.taskloom("events", "export", "--all", str(tmp_path / "stack" / "events.jsonl"))
        stack.taskloom("dlq", "export", str(tmp_path / "stack" / "letters.jsonl"))
        stack.taskloom("audit", "export", str(tmp_path / "stack" / "audit.jsonl"))
        exported = (tmp_path / "stack" / "events.jsonl").read_text()
        assert "[forgotten]" in exported
        stack.until(lambda: verified(stack)["sealed"]["unsealed"] == 0, "everything is sealed")
        flipped = flip_a_byte(stack)
        (place,) = verified(stack, code=1)["places"]
        assert place["position"] == flipped, place
        assert not stack.deaths
    house.lose_what_was_acknowledged()
    places = house.folders | {"what our processes keep and say": tmp_path / "stack"}
    deadline = time.monotonic() + 60
    while any(left := {place: found_in(folder) for place, folder in places.items()}.values()):
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


def _write_pages(stack: Stack) -> None:
    """Have PostgreSQL write its tables out: its log may hold compressed pages only."""
    with psycopg.connect(stack.dsn, autocommit=True) as connection:
        connection.execute("checkpoint")


def _queues_of_subscribers(house: House) -> list[str]:
    names = house.ground.run(house.rabbitmq.control("list_queues", "--silent", "name")).split()
    return [name for name in names if ".subscriber." in name]


def flip_a_byte(stack: Stack) -> int:
    """Change a byte in the middle of the log, as only its owner can, and return where."""
    with psycopg.connect(stack.dsn, autocommit=True) as connection:
        connection.execute("alter table events disable trigger user")
        row = connection.execute(
            "update events set state = set_byte(state, 40, get_byte(state, 40) # 1)"
            " where notification_id = (select notification_id from events"
            " where topic = 'plan.created' order by 1 limit 1) returning notification_id"
        ).fetchone()
        connection.execute("alter table events enable trigger user")
    assert row is not None
    return int(row[0])
