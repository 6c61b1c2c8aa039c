"""The stub as a command: both protocols, plain and streamed, and its account at the end."""

import json
import signal
import subprocess
import time
import urllib.request
from typing import Any

import pytest

from infra.llm_stub.scenario import Rule, Scenario, Script, UnknownScenario, scenario
from tests.system.processes import COMMAND, ROOT, free_port

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def said(address: str, path: str, body: dict[str, Any]) -> str:
    asked = urllib.request.Request(
        f"{address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return str(answer.read().decode())


def test_the_command_plays_both_providers_and_says_what_was_used() -> None:
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, "llm-stub", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    words = b"".join(process.stderr.readline() for _ in range(3)).decode()
    assert "no model" in words
    address = f"http://127.0.0.1:{port}"
    messages = [{"role": "user", "content": "count"}]
    tool = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                said(address, "/v1/messages", {"model": "m", "messages": messages})
                break
            except OSError:
                assert time.monotonic() < deadline, "it does not answer"
                time.sleep(0.05)
        openai = {"model": "m", "messages": messages, "tools": [tool]}
        whole = json.loads(said(address, "/v1/chat/completions", openai))
        (call,) = whole["choices"][0]["message"]["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {"n": 1}
        streamed = said(address, "/v1/chat/completions", openai | {"stream": True})
        assert streamed.endswith("data: [DONE]\n\n")
    finally:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    used = json.loads(out)["total"]
    assert used["requests"] == used["answered"] >= 3


def test_a_seed_decides_which_requests_fail() -> None:
    played = Scenario(seed=3, rules=[Rule(fault="503", chance=0.5)])
    faults = [
        [script.next(provider="openai", tool="", text="").fault for _ in range(20)]
        for script in (Script(played), Script(played))
    ]
    assert faults[0] == faults[1]
    assert set(faults[0]) == {None, "503"}


def test_a_scenario_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UnknownScenario, match="flaky"):
        scenario("none")
