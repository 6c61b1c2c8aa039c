"""Ask the API tens of thousands of odd questions: `python -m tests.bench.fuzz_api`.

Schemathesis reads the description of the API and asks what it allows and what it forbids, as each
role and as nobody, of an app with a real database behind it. What counts as a failure: a server
error, an answer that is not as described, bad input that is accepted and good input that is not.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import uvicorn
from fastapi import Request

from api.app import create_app
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
_COUNT = re.compile(r"(\d[\d,]*) generated")


async def by_header(request: Request) -> Caller:
    """Take a caller's word for their role: here only what follows from it is asked about."""
    role = request.headers.get("x-role", "nobody")
    if role not in PERMISSIONS:
        raise NotAllowed("status:read")
    known = cast("UserRole", role)
    return Caller(subject=f"usr_{role}", role=known, permissions=PERMISSIONS[known])


async def ask(url: str, role: str, arguments: argparse.Namespace, report: Path) -> tuple[int, str]:
    """Let Schemathesis ask as a role, and return its exit code and what it says."""
    command = [
        str(Path(sys.executable).with_name("st")), "run", f"{url}/api/v1/openapi.json",
        "--phases", arguments.phases, "--mode", "all", "--max-examples", str(arguments.examples),
        "--seed", str(arguments.seed), "--checks", ",".join(CHECKS), "--continue-on-failure",
        "--suppress-health-check", "all", "--header", f"X-Role: {role}", "--no-color",
        "--warnings", "off", "--request-timeout", "60", "--report", "ndjson",
        "--report-ndjson-path", str(report / f"{role}.ndjson"), *arguments.more,
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"COLUMNS": "200"},
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def seed(system: System) -> None:
    """Record a few plans and a run, so that there is something to ask about."""
    for number in range(3):
        asked = {"goal": GOAL | {"title": f"Rug {number}"}, "task_graph": GRAPH}
        made = await system.http.post("/api/v1/plans/create", json=asked)
        if number:
            plan_id = made.json()["plan_id"]
            await system.http.post("/api/v1/executions/start", json={"plan_id": plan_id})


async def fuzz(dsn: str, arguments: argparse.Namespace) -> Mapping[str, tuple[int, str]]:
    """Serve the API on a database and ask as each role."""
    async with running(dsn) as system:
        await seed(system)
        app = create_app(replace(system.deps, identify=by_header))
        server = uvicorn.Server(served(app, Http(port=0)))
        serving = asyncio.create_task(server._serve())
        while not server.started:  # noqa: ASYNC110 # it tells nobody
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        found: dict[str, tuple[int, str]] = {}
        for role in arguments.roles.split(","):
            found[role] = await ask(f"http://127.0.0.1:{port}", role, arguments, arguments.report)
            (arguments.report / f"{role}.txt").write_text(found[role][1])
            print(f"{role}: exit {found[role][0]}, {counted(found[role][1])} requests", flush=True)
        server.should_exit = True
        await serving
        return found


def counted(said: str) -> int:
    """Return how many requests Schemathesis says it has made up."""
    return sum(int(number.replace(",", "")) for number in _COUNT.findall(said))


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
    return int(any(code for code, _ in found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
