"""What is published is recorded, and who subscribes is told; nobody speaks for somebody else."""

from typing import Any

import httpx2
import orjson
import pytest
from websockets.asyncio.client import connect

from api.app import create_app
from api.subscriptions import MOST, MOST_QUEUES
from domain.identity import PERMISSIONS, Caller, UserRole
from domain.run_events import TaskStarted
from tests.api.conftest import System, an_admin, known_by
from tests.api.living import a_run
from tests.api.test_executions import attempt
from tests.support.listening import heard, serving

INSIDE = {"kind": "webhook", "url": "http://127.0.0.1/"}
DEPLOYED: dict[str, Any] = {"topic": "deploy.finished", "payload": {"build": 7}}


def asked_by(system: System, subject: str, role: UserRole) -> httpx2.AsyncClient:
    """Return a client that somebody else uses."""

    async def identify(_: object) -> Caller:
        return Caller(subject=subject, role=role, permissions=PERMISSIONS[role])

    app = create_app(known_by(system, identify))
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://taskloom/api/v1/messages"
    )


async def publish(
    http: httpx2.AsyncClient, *, expect: int = 202, key: str = "", **body: Any
) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    answer = await http.post("/publish", json=body, headers=headers)
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def subscribe(http: httpx2.AsyncClient, *, expect: int = 201, **body: Any) -> dict[str, Any]:
    answer = await http.post("/subscribe", json=body)
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_agent_says_what_it_has_done_in_the_words_of_the_document(system: System) -> None:
    run_id = await a_run(system)
    said = await system.say(TaskStarted(**attempt(run_id, "t0")))
    await system.http.get(
        f"/api/v1/executions/{run_id}/tasks", params={"min_position": said.position}
    )
    agent = asked_by(system, "cad_agent_001", "agent")
    wish = {"agent_id": "cad_agent_001", "topics": ["task.*"], "filters": {"agent_type": "SIM"}}
    await subscribe(agent, **wish)
    await subscribe(agent, **(wish | {"filters": {"agent_type": "CAD"}}))
    payload = {"task_id": "t0", "agent_id": "cad_agent_001", "result": {"ok": True}}
    done = await publish(agent, topic="task.completed", payload=payload, priority="normal")
    assert (done["topic"], done["subscribers_notified"]) == ("task.completed", 1)
    events = await system.deps.streams.read(run_id)
    recorded = next(each for each in events if each.type == "task.completed")
    assert (recorded.position <= done["position"], recorded.actor) == (
        True,
        "agents/cad_agent_001",
    )


async def test_nobody_speaks_for_somebody_else(system: System) -> None:
    payload = attempt("exec_1-1", "t0")
    for subject, role in (("other_agent", "agent"), ("ada", "admin")):
        http = asked_by(system, subject, role)  # type: ignore[arg-type] # a Literal
        refused = await publish(http, expect=403, topic="task.started", payload=payload)
        assert refused["code"] == "identity-mismatch"
    agent = asked_by(system, "cad_agent_001", "agent")
    cancel = {"plan_id": "plan_1"}
    refused = await publish(agent, expect=403, topic="plan.cancel_requested", payload=cancel)
    assert refused["code"] == "not-allowed"
    await subscribe(agent, expect=403, agent_id="other_agent", topics=["#"])


async def test_a_report_is_read_as_strictly_as_from_the_bus(system: System) -> None:
    agent = asked_by(system, "cad_agent_001", "agent")
    refused = await publish(
        agent, expect=422, topic="task.started", payload=attempt("exec_1-1", "t0") | {"owner": 1}
    )
    assert refused["code"] == "schema"


async def test_nobody_subscribes_to_more_than_there_is_place_for(system: System) -> None:
    erp = asked_by(system, "erp", "system")
    wish: dict[str, Any] = {"agent_id": "erp", "topics": ["task.#"]}
    for _ in range(MOST_QUEUES):
        await subscribe(erp, **wish, delivery={"kind": "queue"})
    refused = await subscribe(erp, expect=409, **wish, delivery={"kind": "queue"})
    assert refused["code"] == "too-many-subscriptions"
    for _ in range(MOST - MOST_QUEUES):
        last = await subscribe(erp, **wish, delivery={"kind": "websocket"})
    refused = await subscribe(erp, expect=409, **wish, delivery={"kind": "websocket"})
    assert refused["code"] == "too-many-subscriptions"
    gone = await erp.delete(f"/subscribe/{last['subscription_id']}")
    assert gone.status_code == 200
    await subscribe(erp, **wish, delivery={"kind": "websocket"})
    await subscribe(asked_by(system, "crm", "system"), agent_id="crm", topics=["task.#"])


async def test_a_message_of_another_system_is_published_once(system: System) -> None:
    erp = asked_by(system, "erp", "system")
    watcher = await subscribe(erp, agent_id="erp", topics=["deploy.#"])
    await subscribe(erp, agent_id="erp", topics=["task.#"])
    first = await publish(erp, **DEPLOYED, message_id="m-1")
    assert (first["message_id"], first["subscribers_notified"]) == ("m-1", 1)
    assert first["position"] > watcher["position"]
    again = await publish(erp, **DEPLOYED, message_id="m-1")
    assert again["position"] is None
    other = DEPLOYED | {"payload": {"build": 8}}
    refused = await publish(erp, expect=409, **other, message_id="m-1")
    assert refused["code"] == "already-exists"
    # Somebody else's ids are their own.
    crm = asked_by(system, "crm", "system")
    assert (await publish(crm, **other, message_id="m-1"))["position"] > first["position"]


async def test_a_key_makes_two_questions_one_message(system: System) -> None:
    erp = asked_by(system, "erp", "system")
    first = await publish(erp, **DEPLOYED, key="k")
    again = await publish(erp, **DEPLOYED, key="k")
    assert (first["message_id"], again["position"]) == (again["message_id"], None)


@pytest.mark.parametrize("topic", ["task.exploded", "plan.created", "taskloom.x", "subscription.x"])
async def test_what_only_we_say_cannot_be_published(system: System, topic: str) -> None:
    erp = asked_by(system, "erp", "system")
    assert (await publish(erp, expect=422, topic=topic, payload={}))["code"] == "reserved-topic"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"filters": {"colour": "red"}}, "invalid"),
        ({"topics": ["Task.*"]}, "invalid"),
        ({"topics": []}, "invalid"),
        ({"delivery": {"kind": "pigeon"}}, "invalid"),
        ({"delivery": {}}, "invalid"),
        ({"delivery": INSIDE}, "bad-webhook"),
        (
            {"delivery": INSIDE | {"secret": "x"}},
            "bad-secret",
        ),
    ],
)
async def test_a_subscription_that_cannot_be_is_refused(
    system: System, other: dict[str, Any], code: str
) -> None:
    erp = asked_by(system, "erp", "system")
    wish = {"agent_id": "erp", "topics": ["deploy.#"]}
    assert (await subscribe(erp, expect=422, **(wish | other)))["code"] == code


@pytest.mark.proves("S-4c")
async def test_a_subscription_belongs_to_who_made_it(system: System) -> None:
    erp, crm = asked_by(system, "erp", "system"), asked_by(system, "crm", "system")
    made = await subscribe(erp, agent_id="erp", topics=["deploy.#"])
    name = made["subscription_id"]
    assert made["delivery"]["queue"] == f"taskloom.subscriber.{name}"
    assert (await crm.get(f"/subscriptions/{name}")).status_code == 404
    assert (await crm.delete(f"/subscribe/{name}")).status_code == 404
    assert (await crm.get("/subscriptions")).json()["total"] == 0
    assert (await erp.get(f"/subscriptions/{name}")).json() == made
    assert (await erp.delete(f"/subscribe/{name}")).json() == {
        "subscription_id": name,
        "status": "unsubscribed",
    }
    assert (await erp.get(f"/subscriptions/{name}")).status_code == 404


async def test_a_subscription_is_read_over_a_socket_and_resumes(system: System) -> None:
    erp = asked_by(system, "erp", "system")
    admin = asked_by(system, "ada", "admin")
    wish = {"agent_id": "erp", "topics": ["deploy.*"], "delivery": {"kind": "websocket"}}
    made = await subscribe(admin, **wish)
    for build in range(3):
        await publish(erp, topic="deploy.finished", payload={"build": build})
        await publish(erp, topic="build.finished", payload={"build": build})
    url = made["delivery"]["websocket_url"]
    async with serving(create_app(known_by(system, an_admin))) as host:
        async with connect(f"ws://{host}{url}") as socket:
            first = await heard(socket)
        async with connect(f"ws://{host}{url}?after={first['position']}") as socket:
            rest = [await heard(socket), await heard(socket)]
    assert [each["data"]["payload"]["build"] for each in [first, *rest]] == [0, 1, 2]
    assert orjson.dumps(first["data"]["topic"]) == b'"deploy.finished"'
