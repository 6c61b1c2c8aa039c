"""Agents come and go over HTTP."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from domain.agent import AgentDeregistered, AgentRegistered
from infra.store.agent_keys import AgentKeyTable
from tests.api.conftest import System, answering
from tests.api.people import status, until_refused

# As DOC0 has it, 3.1.
REQUEST: dict[str, Any] = {
    "agent_type": "CAD",
    "agent_id": "cad_agent_002",
    "capabilities": ["design", "modeling", "validation"],
    "capacity": {"max_concurrent_tasks": 5, "max_queue_size": 20},
    "metadata": {"version": "1.0.0", "llm_model": "gpt-4"},
}


@pytest.fixture
async def signing(system: System) -> AsyncIterator[System]:
    """A system whose agents have to sign."""
    keys = AgentKeyTable(system.pool, b"a secret of thirty-two characters")
    deps = replace(system.deps, agent_keys=keys, signatures="require")
    async with answering(deps, system) as http:
        yield replace(system, http=http, deps=deps)


async def register(system: System, *, key: str = "", **changes: Any) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await system.http.post(
        "/api/v1/agents/register", json=REQUEST | changes, headers=headers
    )


async def events_of(system: System, agent_id: str = "cad_agent_002") -> list[Any]:
    recorded = await system.deps.streams.read(f"agent:{agent_id}")
    return [(each.event, each.actor) for each in recorded]


async def show(system: System, answer: httpx2.Response) -> dict[str, Any]:
    params = {"min_position": answer.headers["taskloom-position"]}
    shown = await system.http.get("/api/v1/agents/cad_agent_002", params=params)
    assert shown.status_code == 200, shown.text
    return dict(shown.json())


async def test_an_agent_registers_as_doc0_has_it(system: System) -> None:
    answer = await register(system)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/api/v1/agents/cad_agent_002"
    told = answer.json()
    assert (told["agent_id"], told["status"]) == ("cad_agent_002", "registered")
    assert told["token"].count(".") == 2
    shown = await show(system, answer)
    assert shown["registered_at"] == told["registered_at"]
    assert (shown["type"], shown["role"]) == ("CAD", "execution")
    assert shown["capabilities"] == REQUEST["capabilities"]
    assert shown["metadata"] == REQUEST["metadata"]
    assert shown["capacity"]["max_concurrent_tasks"] == 5
    ((event, actor),) = await events_of(system)
    assert isinstance(event, AgentRegistered)
    assert (event.instance, actor) == (told["instance"], "users/usr_local")


async def test_it_hears_how_to_speak(system: System) -> None:
    offer = {"versions": [7, 1], "encodings": ["zstd", "identity"]}
    terms = (await register(system, role="planning", protocol=offer)).json()["protocol"]
    assert (terms["version"], terms["encoding"]) == (1, "identity")
    assert terms["content_type"] == "application/cloudevents+json"
    assert terms["max_message_bytes"] == 1024 * 1024
    assert terms["lease_seconds"] > terms["heartbeat_seconds"] > 0
    assert terms["reports_exchange"] == "taskloom.reports"
    assert terms["order_key"] == "order.cad_agent_002"
    assert terms["work_queues"][0] == "taskloom.work.planning.cad.critical"
    assert len(terms["work_queues"]) == 4


@pytest.mark.parametrize(
    ("offered", "chosen", "recorded"),
    [(["identity"], "identity", ()), (["identity", "gzip"], "gzip", ("gzip",))],
)
async def test_what_it_may_compress_by_is_recorded(
    system: System, offered: list[str], chosen: str, recorded: tuple[str, ...]
) -> None:
    answer = await register(system, protocol={"encodings": offered})
    assert answer.json()["protocol"]["encoding"] == chosen
    ((event, _),) = await events_of(system)
    assert event.encodings == recorded


@pytest.mark.parametrize(
    ("offer", "names"),
    [({"versions": [2, 3]}, "2, 3"), ({"encodings": ["brotli"]}, "brotli")],
)
async def test_where_nothing_is_common_it_is_not_registered(
    system: System, offer: dict[str, Any], names: str
) -> None:
    answer = await register(system, protocol=offer)
    assert (answer.status_code, answer.json()["code"]) == (422, "nothing-in-common")
    assert names in answer.json()["detail"]
    assert await events_of(system) == []


async def test_an_agent_that_can_sign_is_handed_a_key_that_is_kept_nowhere(
    signing: System, capsys: pytest.CaptureFixture[str]
) -> None:
    offer = {"signatures": ["ed25519", "hmac-sha256"]}
    first = await register(signing, key="k", protocol=offer)
    assert first.status_code == 201, first.text
    assert first.headers["cache-control"] == "no-store"
    assert first.json()["protocol"]["signatures"] == "require"
    told = first.json()["signing"]
    assert (told["scheme"], told["lines"][0]) == ("hmac-sha256", "taskloom-hmac-1")
    again = (await register(signing, key="k", protocol=offer)).json()["signing"]
    assert again["key_id"] != told["key_id"]
    secrets = [each["secret"] for each in (told, again)]
    assert all(len(base64.b64decode(secret)) == 32 for secret in secrets)
    kept = await everything(signing.pool) + str(capsys.readouterr())
    assert told["key_id"] in kept
    assert not [secret for secret in secrets if secret in kept]


async def everything(pool: AsyncConnectionPool) -> str:
    """Return whatever the database holds, as text."""
    found: list[str] = []
    async with pool.connection() as connection:
        tables = await connection.execute(
            "select schemaname, tablename from pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema')"
        )
        for schema, name in await tables.fetchall():
            query = sql.SQL("select {}::text from {}").format(
                sql.Identifier(name), sql.Identifier(schema, name)
            )
            found += [str(row) for (row,) in await (await connection.execute(query)).fetchall()]
        events = await connection.execute("select event::text from event_log")
        found += [str(event) for (event,) in await events.fetchall()]
    return "\n".join(found)


async def test_who_registers_again_has_its_earlier_keys_replaced(signing: System) -> None:
    offer = {"signatures": ["hmac-sha256"]}
    keys = [(await register(signing, protocol=offer)).json()["signing"]["key_id"] for _ in "ab"]
    assert (await register(signing)).json()["signing"] is None  # it keeps what it has
    assert await standing(signing) == dict(zip(keys, ["replaced", "counts"], strict=True))
    await signing.http.delete("/api/v1/agents/cad_agent_002")
    assert await standing(signing) == dict.fromkeys(keys, "revoked")
    fresh = (await register(signing, protocol=offer)).json()["signing"]["key_id"]
    assert (await standing(signing))[fresh] == "counts"


async def standing(system: System) -> dict[str, str]:
    async with system.pool.connection() as connection:
        rows = await connection.execute(
            "select key_id, case when revoked_at is null then 'counts'"
            " when revoked_at > now() then 'replaced' else 'revoked' end from agent_keys"
        )
        return dict(await rows.fetchall())


async def test_who_can_sign_in_no_way_that_is_known_is_told_so(system: System) -> None:
    answer = await register(system, protocol={"signatures": ["ed25519"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "nothing-in-common")


async def test_where_nobody_looks_at_signatures_no_key_is_handed_out(system: System) -> None:
    told = (await register(system, protocol={"signatures": ["hmac-sha256"]})).json()
    assert (told["signing"], told["protocol"]["signatures"]) == (None, "off")


async def test_an_id_belongs_to_one_kind_of_agent_while_it_is_registered(system: System) -> None:
    await register(system)
    for other in ({"agent_type": "SIM"}, {"role": "planning"}):
        answer = await register(system, **other)
        assert (answer.status_code, answer.json()["code"]) == (409, "other-agent")
    await system.http.delete("/api/v1/agents/cad_agent_002")
    assert (await register(system, agent_type="SIM")).status_code == 201


async def test_asked_twice_with_a_key_it_is_registered_once(system: System) -> None:
    first = await register(system, key="k")
    await show(system, first)
    again = await register(system, key="k")
    assert again.status_code == 201
    assert again.json() | {"token": ""} == first.json() | {"token": ""}
    assert len(await events_of(system)) == 1
    assert (await register(system)).json()["instance"] != first.json()["instance"]


async def test_the_instance_may_be_chosen_by_who_registers(system: System) -> None:
    assert (await register(system, instance="start-7")).json()["instance"] == "start-7"


@pytest.mark.parametrize(
    "wrong",
    [
        {"agent_id": "no spaces"},
        {"agent_type": "cad"},
        {"capacity": {"max_concurrent_tasks": 0}},
        {"role": "boss"},
        {"capabilities": ["x"] * 201},
        {"metadata": {"x": "y" * 70_000}},
        {"protocol": {"versions": []}},
        {"instance": ""},
        {"unknown": 1},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_what_is_wrong_goes_no_further(
    front: httpx2.AsyncClient, wrong: dict[str, Any]
) -> None:
    answer = await front.post("/api/v1/agents/register", json=REQUEST | wrong)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("invalid", "too-heavy")


@pytest.mark.proves("S-1c")
async def test_an_agent_registers_itself_and_nobody_else(system: System) -> None:
    token = (await register(system)).json()["token"]
    shown = {"Authorization": f"Bearer {token}"}
    who = (await system.http.get("/api/v1/auth/me", headers=shown)).json()
    assert (who["actor"], who["role"]) == ("agents/cad_agent_002", "agent")
    again = await system.http.post("/api/v1/agents/register", json=REQUEST, headers=shown)
    assert again.status_code == 201
    other = REQUEST | {"agent_id": "cad_agent_003"}
    refused = await system.http.post("/api/v1/agents/register", json=other, headers=shown)
    assert (refused.status_code, refused.json()["code"]) == (403, "not-allowed")
    gone = await system.http.delete("/api/v1/agents/cad_agent_002", headers=shown)
    assert (gone.status_code, gone.json()["code"]) == (403, "not-allowed")


@pytest.mark.proves("S-14a")
async def test_the_token_of_a_deregistered_agent_counts_no_more(system: System) -> None:
    token = (await register(system)).json()["token"]
    assert await status(system, token) == 200
    assert (await system.http.delete("/api/v1/agents/cad_agent_002")).status_code == 200
    await until_refused(system, token)
    fresh = (await register(system)).json()["token"]
    assert await status(system, fresh) == 200


async def test_an_agent_is_deregistered_once(system: System) -> None:
    registered = (await register(system)).json()
    gone = await system.http.delete("/api/v1/agents/cad_agent_002", params={"reason": "old"})
    assert gone.status_code == 200
    assert gone.json() == {
        "agent_id": "cad_agent_002",
        "status": "deregistered",
        "message": "Agent deregistered successfully",
    }
    shown = await show(system, gone)
    assert (shown["status"], shown["health"]["reason"]) == ("inactive", "old")
    event, actor = (await events_of(system))[-1]
    assert isinstance(event, AgentDeregistered)
    assert (event.instance, actor) == (registered["instance"], "users/usr_local")

    again = await system.http.delete("/api/v1/agents/cad_agent_002")
    assert (again.status_code, again.json()["status"]) == (200, "deregistered")
    assert len(await events_of(system)) == 2
    nobody = await system.http.delete("/api/v1/agents/nobody")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "unknown-agent")
