"""What is secret is nowhere where others may look: logs, answers, the list of processes."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.system.graphs import layered
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]

PASSWORD = "canary-battery-staple"
AGENT = "noop_worker_001"


@pytest.mark.proves("S-18a")
@pytest.mark.node
def test_no_secret_is_told_to_those_who_look(
    tmp_path: Path, database: str, own_vhost_url: str
) -> None:
    with running(tmp_path, database, own_vhost_url, agents={AGENT: "agents.workers.noop"}) as stack:
        stack.until_completed(stack.submit(layered(20, width=5, seconds=0.01)))
        stack.ask("/users", {"login": "ada", "password": PASSWORD})
        tokens = stack.ask("/auth/login", {"login": "ada", "password": PASSWORD})
        secrets = {
            "the password of the database": urlsplit(database).password,
            "the password of the broker": urlsplit(own_vhost_url).password,
            "the key of the owner": stack.token,
            "a user's password": PASSWORD,
            "an access token": tokens["access_token"],
            "a refresh token": tokens["refresh_token"],
        }
        stack.kill("coordinator")
        stack.until(stack.answers, "it goes on")
        places = {
            "the logs": stack.words(lines=1_000_000).encode(),
            "the list of processes": b"".join(_command_lines(stack)),
            "the answers": b"".join(
                repr(stack.ask(path)).encode() for path in ("/status", "/metrics", "/users")
            ),
            "what Prometheus is told": _exposition(stack),
        }
    told = [
        f"{name} is in {place}"
        for name, secret in secrets.items()
        for place, text in places.items()
        if secret is None or secret.encode() in text
    ]
    assert told == []
    assert b"coordinator.ready" in places["the logs"]


def _exposition(stack: Stack) -> bytes:
    asked = {"authorization": f"Bearer {stack.token}"}
    text = httpx2.get(f"{stack.api_url}/metrics", headers=asked).content
    assert b"taskloom_plans_total" in text
    return text


def _command_lines(stack: Stack) -> list[bytes]:
    names = ("coordinator", "projector", "api", AGENT)
    return [Path("/proc", str(stack.pid(name)), "cmdline").read_bytes() for name in names]
