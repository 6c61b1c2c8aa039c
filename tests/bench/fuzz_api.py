"""Ask the API tens of thousands of odd questions: `python -m tests.bench.fuzz_api`.

Schemathesis reads the description of the API and asks what it allows and what it forbids, as each
role and as nobody, of an app with a real database behind it. What counts as a failure: a server
error, an answer that is not as described, bad input that is accepted and good input that is not.
"""

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

import uvicorn
from starlette.requests import HTTPConnection

from api.app import PREFIX, create_app
from api.errors import NotAllowed
from domain.identity import PERMISSIONS, Caller, UserRole
from infra.migrations import upgrade
from infra.processes.api import served
from infra.settings import Http
from tests.api.conftest import System, running
from tests.api.test_plans import GOAL, GRAPH
from tests.support.databases import fresh_database
from tests.support.services import Servers

ROLES: Final = ("admin", "user", "system", "agent", "nobody")
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
)
ALSO_IDS: Final = {
    (f"POST {PREFIX}/{path}", check)
    for path in ("plans/create", "executions/start", "agents/register", "queue/enqueue")
    for check in ("unsupported_method", "allow_header_conformance")
}
"""What a GET of these asks for is the plan named ``create``, and so on."""


AWAY: Final = (503, 504)
"""What is answered where there is no broker, and no agent to ask."""


@dataclass(slots=True)
class Found:
    """What a role was answered."""

    requests: int = 0
    failures: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """The first of each kind: by operation and check, what was wrong."""


async def by_header(request: HTTPConnection) -> Caller:
    """Take a caller's word for their role: here only what follows from it is asked about."""
    role = request.headers.get("x-role", "nobody")
    if role not in PERMISSIONS:
        raise NotAllowed("status:read")
    known = cast("UserRole", role)
    return Caller(subject=f"usr_{role}", role=known, permissions=PERMISSIONS[known])


async def ask(url: str, role: str, arguments: argparse.Namespace) -> Found:
    """Let Schemathesis ask as a role, and return what it has found."""
    report = arguments.report / f"{role}.ndjson"
    command = [
        str(Path(sys.executable).with_name("st")), "run", f"{url}/api/v1/openapi.json",
        "--phases", arguments.phases, "--mode", "all", "--max-examples", str(arguments.examples),
        "--seed", str(arguments.seed), "--checks", ",".join(CHECKS), "--continue-on-failure",
        "--suppress-health-check", "all", "--header", f"X-Role: {role}", "--no-color",
        "--exclude-operation-id-regex", "^stream_", "--warnings", "off", "--request-timeout",
        "60", "--report", "ndjson",
        "--report-ndjson-path", str(report), *arguments.more,
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, stdout=(arguments.report / f"{role}.txt").open("wb"), stderr=subprocess.STDOUT
    )
    await process.wait()
    found = judged(report)
    print(f"{role}: {found.requests} requests, {len(found.failures)} kinds of failures", flush=True)
    for (operation, check), message in found.failures.items():
        print(f"  {operation}: {check}: {message}", flush=True)
    return found


def judged(report: Path) -> Found:
    """Return how much was asked, and what was not as it should be."""
    found = Found()
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder")
        if recorder is None:
            continue
        found.requests += len(recorder.get("interactions", {}))
        for case, checks in recorder.get("checks", {}).items():
            for check in checks:
                what = (recorder["label"], check["name"])
                answer = recorder["interactions"].get(case, {}).get("response") or {}
                is_away = (
                    check["name"] == "not_a_server_error" and answer.get("status_code") in AWAY
                )
                if check["status"] != "success" and what not in ALSO_IDS and not is_away:
                    failure = check.get("failure_info", check).get("failure", {})
                    said = " ".join(str(failure.get("message", "")).split())
                    found.failures.setdefault(what, said[:300])
    return found


async def seed(system: System) -> None:
    """Record a few plans and a run, so that there is something to ask about."""
    for number in range(3):
        asked = {"goal": GOAL | {"title": f"Rug {number}"}, "task_graph": GRAPH}
        made = await system.http.post("/api/v1/plans/create", json=asked)
        if number:
            plan_id = made.json()["plan_id"]
            await system.http.post("/api/v1/executions/start", json={"plan_id": plan_id})


async def fuzz(dsn: str, arguments: argparse.Namespace) -> Mapping[str, Found]:
    """Serve the API on a database and ask as each role."""
    async with running(dsn) as system:
        await seed(system)
        app = create_app(
            replace(system.deps, identity=replace(system.deps.identity, identify=by_header))
        )
        server = uvicorn.Server(served(app, Http(port=0)))
        serving = asyncio.create_task(server._serve())
        while not server.started:  # noqa: ASYNC110 # it tells nobody
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        found: dict[str, Found] = {}
        for role in arguments.roles.split(","):
            found[role] = await ask(f"http://127.0.0.1:{port}", role, arguments)
        server.should_exit = True
        await serving
        return found


def main() -> int:
    """Ask, and return 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="questions to each operation")
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--roles", default=",".join(ROLES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=Path("fuzz-report"))
    parser.add_argument("more", nargs="*", help="further arguments of `st run`")
    arguments = parser.parse_args()
    arguments.report.mkdir(parents=True, exist_ok=True)
    servers = Servers()
    with fresh_database(servers.dsn) as dsn:
        upgrade(dsn)
        found = asyncio.run(fuzz(dsn, arguments))
    print(f"{sum(each.requests for each in found.values())} requests in all")
    return int(any(each.failures for each in found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
