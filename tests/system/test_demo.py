"""The demo, on servers and without any; and what can be learnt from what it leaves behind."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import pika
import psycopg
import pytest
from psycopg import sql

from bus.topology import topology
from tests.support.brokers import call
from tests.support.services import Servers
from tests.system.checker import require
from tests.system.processes import free_port, taskloom

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a demo has printed, and the environment it ran in."""

    result: Mapping[str, Any]
    env: Mapping[str, str]
    folder: Path

    def taskloom(self, *arguments: str, code: int = 0) -> str:
        return taskloom(*arguments, code=code, env=self.env)


def demo(folder: Path, **env: str) -> Shown:
    """Run the demo to its end."""
    env |= {"TASKLOOM_STATE_DIR": str(folder / "state"), "TASKLOOM_HTTP__PORT": str(free_port())}
    return Shown(orjson.loads(taskloom("demo", "--json", env=env)), env, folder)


@pytest.fixture
def on_servers(tmp_path: Path, database: str, vhost_url: str) -> Shown:
    return demo(tmp_path, TASKLOOM_DB__DSN=database, TASKLOOM_AMQP__URL=vhost_url)


def says_what_was_reached(result: Mapping[str, Any]) -> None:
    assert result["status"] == "completed"
    assert set(result["tasks"]) == {"META", "CAD", "SIM", "COMP", "SUPP"}
    assert sum(result["tasks"].values()) >= 30
    assert len(result["critical_path"]) > 3
    assert all(one["summary"] for one in result["deliverables"].values())
    assert result["failed"] == {}


@pytest.mark.real
def test_on_servers_it_leaves_nothing_but_what_is_documented(
    on_servers: Shown, servers: Servers, database: str, vhost_url: str
) -> None:
    says_what_was_reached(on_servers.result)
    assert require(database).losses == 0
    expected = topology()
    management = servers.rabbitmq.management_url
    assert management, "set TASKLOOM_TEST_MANAGEMENT_URL"
    vhost = quote(urlsplit(vhost_url).path.removeprefix("/"), safe="")

    def names(kind: str) -> set[str]:
        rows = orjson.loads(call(management, "GET", f"{kind}/{vhost}"))
        return {row["name"] for row in rows}

    exchanges = {name for name in names("exchanges") if name and not name.startswith("amq.")}
    assert exchanges == {one.name for one in expected.exchanges}
    assert names("queues") == {one.name for one in expected.queues}
    with closing(pika.BlockingConnection(pika.URLParameters(vhost_url))) as broker:
        channel = broker.channel()
        depths = {
            one.name: channel.queue_declare(one.name, passive=True).method.message_count
            for one in expected.queues
        }
    assert {name: depth for name, depth in depths.items() if depth} == {}
    with psycopg.connect(database) as connection:
        dead = connection.execute("select reason, detail from dead_letters").fetchall()
    assert dead == []


def test_what_it_has_recorded_can_be_stepped_through(on_servers: Shown, tmp_path: Path) -> None:
    run_id, plan_id = on_servers.result["execution_id"], on_servers.result["plan_id"]
    steps = on_servers.taskloom("replay", run_id, "--json").splitlines()
    seen = [orjson.loads(step) for step in steps]
    assert [step["number"] for step in seen] == list(range(1, len(seen) + 1))
    assert seen[0]["type"] == "run.started"
    assert seen[-1]["type"] == "run.completed"
    assert seen[-1]["state"]["status"] == "completed"
    assert seen[-1]["state"]["ended"] == seen[-1]["state"]["tasks"]
    file = tmp_path / "export.jsonl"
    on_servers.taskloom("events", "export", plan_id, str(file))
    offline = {"TASKLOOM_STATE_DIR": str(tmp_path / "nothing")}
    again = taskloom("replay", run_id, "--json", "--file", str(file), env=offline)
    assert again.splitlines() == steps
    assert not (tmp_path / "nothing").exists()
    shown = on_servers.taskloom("replay", plan_id)
    assert "plan.created" in shown
    assert "plan.completed" in shown


def test_views_that_are_folded_again_have_the_same_rows(on_servers: Shown, database: str) -> None:
    before = rows(database)
    assert {"plans_3", "executions_2", "tasks_2", "timeline_1", "agents_1"} <= before.keys()
    on_servers.taskloom("projection", "rebuild")
    after = rows(database)
    assert after == before
    assert len(before["tasks_2"]) > 30
    verdicts = orjson.loads(on_servers.taskloom("projection", "verify", "--json"))
    assert [one for one in verdicts if one["different"]] == []


def test_without_servers_it_does_the_same_twice(tmp_path: Path) -> None:
    first = demo(tmp_path)
    says_what_was_reached(first.result)
    second = demo(tmp_path)
    says_what_was_reached(second.result)
    assert second.result["plan_id"] != first.result["plan_id"]
    assert second.result["tasks"] == first.result["tasks"]
    assert second.result["deliverables"] == first.result["deliverables"]
    left = second.taskloom("replay", first.result["execution_id"], "--type", "run.*")
    assert "run.completed" in left
    assert second.taskloom("dlq", "list", "--json").strip() == "[]"


def rows(dsn: str) -> Mapping[str, list[str]]:
    """Return every row of every view, as text."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'views' and tablename <> 'failures'"
        ).fetchall()
        return {
            name: [
                text
                for (text,) in connection.execute(
                    sql.SQL("select to_jsonb(v)::text from {} v order by 1").format(
                        sql.Identifier("views", name)
                    )
                )
            ]
            for (name,) in tables
        }
