"""Schemathesis asks what the description of an API allows and forbids, and we judge the answers.

It runs in a folder that is thrown away, because it leaves there what it has learnt.
"""

import base64
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.schema_excuses import excuse

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
)
PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")
ENDLESS: Final = "^stream_"
"""The operations whose answers never end; tests/api/test_live.py asks them."""

_CONFIG: Final = """
[output.truncation]
max-recorded-payload-size = 8388608

[[operations]]
include-operation-id = ["create_plan", "replan"]
parameters = { wait = 0 }
"""
"""Who waits for planners that are not there does little else; tests/api/test_plans.py waits."""

NOBODY: Final = ""
"""The credentials of who has none."""

_TRACE: Final = re.compile(
    r'Traceback \(most recent call last\)|File "[^"]+", line \d+|site-packages|psycopg\.errors'
)


@dataclass(slots=True)
class Found:
    """What somebody was answered."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter[int])
    excused: Counter[str] = field(default_factory=Counter[str])
    """How often a check was wrong about us, by the reason."""

    failures: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """By check and operation."""

    examples: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """The first of each."""

    def fail(self, check: str, operation: str, example: str) -> None:
        """Note that something is not as it should be."""
        self.failures[check, operation] += 1
        self.examples.setdefault((check, operation), " ".join(example.split())[:600])

    @property
    def server_errors(self) -> int:
        """Return how many answers were faults of ours."""
        return sum(
            number
            for (check, _), number in self.failures.items()
            if check in ("not_a_server_error", "no_answer")
        )

    @property
    def traces(self) -> int:
        """Return how many answers told of our insides."""
        return sum(number for (check, _), number in self.failures.items() if check == "no_traces")

    def __str__(self) -> str:
        """Return it as lines."""
        by_kind = Counter[str]()
        for status, number in self.statuses.items():
            by_kind[f"{status // 100}xx"] += number
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(by_kind.items()))
        lines = [
            f"{self.requests} requests ({kinds}), {self.server_errors} server errors,"
            f" {self.traces} traces, {self.failures.total()} failures"
        ]
        lines += [f"  excused {number} x {why}" for why, number in self.excused.most_common()]
        for (check, operation), number in sorted(self.failures.items()):
            lines.append(f"  {check}: {number} x {operation}: {self.examples[check, operation]}")
        return "\n".join(lines)


def by_password(login: str, password: str) -> str:
    """Return the credentials of a user: they log in, and again whenever their session has ended."""
    return (
        '[auth.dynamic.openapi.bearer]\npath = "/api/v1/auth/login"\nretry_on = [401]\n'
        'extract_selector = "/access_token"\n'
        f'payload = {{ login = "{login}", password = "{password}" }}\n'
    )


def by_token(token: str) -> str:
    """Return the credentials of who shows a token."""
    return f'[auth.openapi.bearer]\nbearer = "{token}"\n'


def by_key(key: str) -> str:
    """Return the credentials of who shows an API key."""
    return f'[auth.openapi.apiKey]\napi_key = "{key}"\n'


def ask(
    url: str,
    credentials: str,
    folder: Path,
    *,
    examples: int,
    seed: int,
    phases: Sequence[str] = PHASES,
    without: str = ENDLESS,
    more: Sequence[str] = (),
    seconds: float | None = None,
) -> Found:
    """Let Schemathesis ask an API with credentials, and return what it has found.

    Raises:
        subprocess.TimeoutExpired: It takes longer than it may.
    """
    folder.mkdir(parents=True, exist_ok=True)
    description = f"{url}/api/v1/openapi.json"
    with urllib.request.urlopen(description, timeout=60) as made:  # Schemathesis waits for ten
        made.read()
    config, report = folder / "config.toml", folder / "report.ndjson"
    config.write_text(_CONFIG + credentials)
    command = [
        str(Path(sys.executable).with_name("st")), "--config-file", str(config),
        "run", description, "--phases", ",".join(phases), "--mode", "all",
        "--max-examples", str(examples), "--seed", str(seed), "--checks", ",".join(CHECKS),
        "--continue-on-failure", "--suppress-health-check", "all", "--no-color",
        "--exclude-operation-id-regex", without, "--warnings", "off", "--request-timeout", "60",
        "--no-shrink", "--generation-database", "none",
        "--report", "ndjson", "--report-ndjson-path", str(report), *more,
    ]  # fmt: skip
    with (folder / "words.txt").open("wb") as words:
        done = subprocess.run(
            command,
            cwd=folder,
            # Coverage would measure it as well, which takes a third more.
            env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            timeout=seconds,
        )
    found = judged(report)
    if done.returncode not in (0, 1):
        found.fail("ends", "st run", (folder / "words.txt").read_text()[-600:])
    return found


def judged(report: Path) -> Found:
    """Return how much was asked, and what was not as it should be."""
    found = Found()
    for kind, said in _events(report):
        if kind in ("NonFatalError", "FatalError"):
            found.fail("asks", str(said.get("label", "?")), json.dumps(said)[:600])
        recorder = said.get("recorder") if kind.endswith("ScenarioFinished") else None
        if recorder is None:
            continue
        answers = recorder.get("interactions", {})
        for interaction in answers.values():
            _look_at(found, str(recorder["label"]), interaction)
        for case, checks in recorder.get("checks", {}).items():
            for check in checks:
                if check["status"] != "success":
                    _judge(found, str(recorder["label"]), check, answers.get(case, {}))
    return found


def _events(report: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with report.open() as lines:
        for line in lines:
            for kind, said in json.loads(line).items():
                if isinstance(said, dict):
                    yield kind, said


def _look_at(found: Found, operation: str, interaction: Mapping[str, Any]) -> None:
    """Count an answer, and look for what no check of theirs looks for."""
    found.requests += 1
    answer = interaction.get("response")
    if answer is None:
        found.fail("no_answer", operation, json.dumps(interaction))
        return
    found.statuses[int(answer["status_code"])] += 1
    if trace := _TRACE.search(_text(answer)):
        found.fail("no_traces", operation, f"{trace[0]!r} in {_text(answer)}")


def _judge(
    found: Found, operation: str, check: Mapping[str, Any], interaction: Mapping[str, Any]
) -> None:
    """Take a complaint as a failure, unless it is wrong about us."""
    answer = interaction.get("response") or {}
    name = str(check["name"])
    failure = check.get("failure_info", check).get("failure", {})
    message = str(failure.get("message", ""))
    if why := excuse(name, operation, _problem(answer), message):
        found.excused[f"{name}: {why}"] += 1
        return
    asked = interaction.get("request", {})
    found.fail(
        name,
        operation,
        f"{message} | {asked.get('method')} {asked.get('uri')}"
        f" {_text(asked)[:200]} | {answer.get('status_code')} {_text(answer)}",
    )


def _problem(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        said = json.loads(_text(answer))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _text(message: Mapping[str, Any]) -> str:
    """Return the body of a question or an answer."""
    content = message.get("content") or message.get("body") or {}
    raw = content.get("$base64") if isinstance(content, dict) else None
    return base64.b64decode(raw).decode(errors="replace") if raw else ""
