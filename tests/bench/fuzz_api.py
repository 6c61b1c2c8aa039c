"""Ask the API tens of thousands of odd questions: ``python -m tests.bench.fuzz_api``.

Schemathesis reads the description of the API and asks what it allows and what it forbids, as each
role and as nobody. Every role has a system of its own, of real processes (uvicorn on a socket,
PostgreSQL, a broker, an agent that works), and credentials that the system has given it. What
counts as a failure: a server error, an answer that is not as described, bad input that is accepted
and good input that is not, a trace of our insides in an answer or in the log. Ends with 1 then.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Final

from infra.migrations import upgrade
from tests.api.test_plans import GOAL, GRAPH
from tests.support.databases import fresh_database
from tests.support.schema_questions import (
    NOBODY,
    PHASES,
    Found,
    ask,
    by_key,
    by_password,
    by_token,
)
from tests.support.services import Servers
from tests.system.processes import Stack, running

ROLES: Final = ("nobody", "agent", "user", "system", "admin")
AGENTS: Final = {"noop_worker_001": "agents.workers.noop"}
ENOUGH: Final = {
    **{f"TASKLOOM_HTTP__RATES__{role.upper()}": "unlimited" for role in ROLES},
    "TASKLOOM_HTTP__PLANS__USER": "[]",
    "TASKLOOM_IDENTITY__LOGINS": "1000000",
    "TASKLOOM_IDENTITY__ATTEMPTS": "1000000000",
}
"""Who asks this much would be told to wait: that is tried elsewhere."""

LOGIN: Final = "fuzzer"
PASSWORD: Final = "correct horse battery"


def credentials(stack: Stack, role: str) -> str:
    """Return credentials of a role, as the system gives them."""
    match role:
        case "user" | "admin":
            stack.ask("/users", {"login": LOGIN, "password": PASSWORD, "role": role})
            return by_password(LOGIN, PASSWORD)
        case "system":
            return by_key(stack.ask("/keys", {"name": LOGIN, "service": LOGIN})["key"])
        case "agent":
            agent = {"agent_id": "fuzzer_001", "agent_type": "FUZZER"}
            return by_token(stack.ask("/agents/register", agent)["token"])
        case _:
            return NOBODY


def furnish(stack: Stack) -> None:
    """Record a few plans and a run, so that there is something to ask about."""
    for number in range(3):
        asked = {"goal": GOAL | {"title": f"Rug {number}"}, "task_graph": GRAPH}
        plan_id = stack.ask("/plans/create", asked)["plan_id"]
        if number:
            stack.ask("/executions/start", {"plan_id": plan_id})
    for number in range(3):
        stack.ask("/users", {"login": f"somebody{number}", "password": PASSWORD})


def fuzz(servers: Servers, role: str, folder: Path, arguments: argparse.Namespace) -> Found:
    """Start a system, and ask it as a role."""
    with fresh_database(servers.dsn) as dsn, servers.vhost() as url:
        upgrade(dsn)
        folder.mkdir(parents=True)
        with running(folder, dsn, url, agents=AGENTS, env=ENOUGH) as stack:
            furnish(stack)
            found = ask(
                stack.api_url,
                credentials(stack, role),
                folder / "asked",
                examples=arguments.examples,
                seed=arguments.seed,
                phases=arguments.phases.split(","),
                more=arguments.more,
            )
            stack.look_after()
            for name, number in stack.deaths.items():
                found.fail("lives", name, f"ended {number} times")
        for log in folder.glob("*.log"):
            for line in log.read_text(errors="replace").splitlines():
                if '"level":"error"' in line or "Traceback" in line:
                    found.fail("logs_no_errors", log.stem, line)
    return found


def main() -> int:
    """Ask, and return 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="questions to each operation")
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--roles", default=",".join(ROLES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where reports and logs stay")
    parser.add_argument("more", nargs="*", help="further arguments of `st run`, after --")
    arguments = parser.parse_args()
    servers = Servers()
    print(f"{servers.postgres_choice.description}; {servers.rabbitmq_choice.description}")
    every: list[Found] = []
    try:
        with tempfile.TemporaryDirectory() as temporary:
            kept = arguments.keep or Path(temporary)
            for role in arguments.roles.split(","):
                began = time.monotonic()
                found = fuzz(servers, role, kept / role, arguments)
                print(f"{role}: {found}\n  {time.monotonic() - began:.0f} s", flush=True)
                every.append(found)
    finally:
        servers.end()
    requests, failures = (
        sum(one.requests for one in every),
        sum(one.failures.total() for one in every),
    )
    print(
        f"{requests} requests in all, {sum(one.server_errors for one in every)} server errors,"
        f" {sum(one.traces for one in every)} traces, {failures} failures"
    )
    return int(failures > 0)


if __name__ == "__main__":
    raise SystemExit(main())
