"""What would be a command elsewhere is a word here, or refused (S-5, S-10, S-17, S-19)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import orjson
import pytest

from api.examples import BODIES, PATHS
from bus.envelope import encode_recorded
from infra.cli.formats import exports
from tests.api.conftest import System, app_alone
from tests.api.people import LOGIN
from tests.api.test_plans import GOAL
from tests.support.recording import a_life

ROOT = Path(__file__).parents[2]
HOSTILE = (
    "'; drop table events; --",
    '" or ""="',
    "%' or 1=1 --",
    "$$; select pg_sleep(9); $$",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "$(touch /tmp/x) `id` ; id | id",
    "../../../../etc/passwd",
    "$.** ? (@ == 1)",
    "=cmd|' /C calc'!A0",
)


# -- words (S-10) ----------------------------------------------------------------------


@pytest.mark.proves("S-10a")
@pytest.mark.parametrize("words", HOSTILE)
async def test_commands_in_words_are_kept_as_they_were_said(system: System, words: str) -> None:
    goal = GOAL | {"title": words, "description": words, "domain": words, "context": {words: words}}
    task = {"id": "a", "name": words, "agent": "CAD", "params": {words: [words]}}
    asked = {"goal": goal, "task_graph": {"tasks": [task]}}
    created = await system.http.post("/api/v1/plans/create", json=asked)
    assert created.status_code == 201, created.text
    plan_id = created.json()["plan_id"]
    position = {"min_position": created.headers["taskloom-position"]}
    shown = (await system.http.get(f"/api/v1/plans/{plan_id}", params=position)).json()
    assert {name: shown["goal"][name] for name in goal} == goal
    assert shown["task_graph"]["nodes"][0]["name"] == words
    for asked_for in ({"q": words[:200]}, {"domain": words}):
        found = (await system.http.get("/api/v1/plans", params=asked_for)).json()["plans"]
        assert [one["plan_id"] for one in found] == [plan_id]
    async with system.pool.connection() as connection:
        await connection.execute("select 1 from events limit 1")


CHOICES = (("plans", "sort"), ("executions", "sort"), ("plans", "status"), ("agents", "type"))


@pytest.mark.proves("S-10b", "H-17")
@pytest.mark.parametrize("words", [*HOSTILE, "colour", "title desc", "title;drop table events"])
async def test_what_is_none_of_a_few_words_is_refused(
    front: httpx2.AsyncClient, words: str
) -> None:
    for path, name in CHOICES:
        refused = await front.get(f"/api/v1/{path}", params={name: words})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), (path, name)


# -- fields (S-5) ----------------------------------------------------------------------

GRANTED = {
    "owner": "usr_1",
    "owner_id": "usr_1",
    "role": "admin",
    "permissions": ["user:manage"],
    "epoch": 7,
    "state": "completed",
    "status": "completed",
    "tenant_id": "t",
    "position": 1,
    "actor": "users/ada",
    "is_active": True,
    "created_at": "2026-01-01T00:00:00Z",
}


def operations() -> Iterator[tuple[str, str, str, set[str]]]:
    """Return the name, method and path of what is asked with a body, and the fields it knows."""
    described = app_alone().openapi()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                kinds = [str(each.get("$ref")) for each in schema.get("anyOf", [schema])]
                models = described["components"]["schemas"]
                known = [models.get(kind.rpartition("/")[2], {}) for kind in kinds]
                fields = {name for each in known for name in each.get("properties", ())}
                yield operation["operationId"], method, path, fields


@pytest.mark.proves("S-5")
async def test_nobody_gives_themselves_what_is_not_asked_for(front: httpx2.AsyncClient) -> None:
    tried = 0
    for name, method, path, known in operations():
        assert known, name
        for field in GRANTED.keys() - known:
            body = BODIES[name] | {field: GRANTED[field]}
            refused = await front.request(method, path.format_map(PATHS), json=body)
            assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), (name, field)
            assert refused.json()["errors"][0]["pointer"] == f"/body/{field}", name
            tried += 1
    assert tried > 25 * 10


# -- code (S-17) -----------------------------------------------------------------------


@pytest.mark.proves("S-17a")
@pytest.mark.parametrize("topic", ["os:system", "subprocess:Popen", "antigravity", "domain.agent"])
def test_an_export_that_names_a_function_imports_nothing(tmp_path: Path, topic: str) -> None:
    sys.modules.pop("antigravity", None)
    [event] = a_life("ann", [1])
    line = orjson.loads(encode_recorded(event)) | {"type": topic}
    file = tmp_path / "events.jsonl"
    file.write_bytes(orjson.dumps(line) + b"\n")
    with pytest.raises(exports.BadExport, match="line 1: nothing of the type"):
        exports.read(file)
    assert "antigravity" not in sys.modules


EXECUTES = {
    "pickle",
    "cloudpickle",
    "marshal",
    "shelve",
    "dill",
    "yaml",
    "zipfile",
    "tarfile",
    "xml",
    "jsonpickle",
}
EVALUATES = {"eval", "exec", "compile", "unpack_archive"}


@pytest.mark.proves("S-17b")
def test_nothing_of_ours_reads_what_could_be_code_or_an_archive() -> None:
    found: list[str] = []
    for package in ("domain", "bus", "projections", "agents", "api", "infra"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Import(names=names):
                        read = {each.name.partition(".")[0] for each in names} & EXECUTES
                    case ast.ImportFrom(module=str(module)):
                        read = {module.partition(".")[0]} & EXECUTES
                    case (
                        ast.Name(id=name) | ast.Attribute(value=ast.Name(id="builtins"), attr=name)
                    ):
                        read = {name} & EVALUATES
                    case ast.Attribute(attr="unpack_archive" as name):
                        read = {name}
                    case _:
                        continue
                found += [f"{path}: {name}" for name in read]
    assert found == []


# -- what should not be there (S-19) ---------------------------------------------------


@pytest.mark.proves("S-19c")
async def test_there_is_no_door_that_nobody_has_written_down(front: httpx2.AsyncClient) -> None:
    for path in (
        "debug", "admin", "console", ".env", ".git/config", "metrics/cgroup", "actuator/env",
        "server-status", "phpinfo.php", "api/v1/debug", "api/v1/config", "redoc", "docs",
        "openapi.json", "graphql", "static/../../etc/passwd",
    ):  # fmt: skip
        assert (await front.get(f"/{path}")).status_code == 404, path


@pytest.mark.proves("S-19c")
async def test_what_prometheus_is_told_is_told_to_nobody_else(system: System) -> None:
    nobody = {"authorization": ""}
    assert (await system.http.get("/metrics", headers=nobody)).status_code == 401


@pytest.mark.proves("S-19d")
async def test_nobody_is_let_in_who_was_not_made(system: System) -> None:
    for login, password in (
        ("admin", "admin"), ("root", "root"), ("local", "local"), ("guest", "guest"),
        ("taskloom", "taskloom"), ("admin", "development-only"), ("local", ""),
    ):  # fmt: skip
        answer = await system.http.post(LOGIN, json={"login": login, "password": password})
        assert answer.status_code in (401, 422), login
    users = (await system.http.get("/api/v1/users")).json()["users"]
    assert [user["login"] for user in users] == ["local"]
