"""The users that RabbitMQ starts with are those that the rights name, in its file and compose."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bus.topology import EXECUTION_TYPES, PLANNING_TYPES
from domain.errors import Conflict
from infra.cli.main import app
from infra.rabbitmq.definitions import (
    UnknownKind,
    for_development,
    hashed,
    kind_of,
    written,
)

ROOT = Path(__file__).parents[3]
DEFINITIONS = ROOT / "infra" / "rabbitmq" / "definitions.json"


@pytest.mark.proves("B-06")
def test_the_file_is_what_the_rights_say() -> None:
    assert DEFINITIONS.read_text() == written(for_development())


@pytest.mark.proves("B-07")
def test_fresh_definitions_have_passwords_of_their_own_and_are_not_overwritten(
    tmp_path: Path,
) -> None:
    command = ["rabbitmq", "definitions", str(tmp_path / "secret"), "--agent", "execution.shouter"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    secret = tmp_path / "secret"
    found = json.loads((secret / "definitions.json").read_text())
    lines = (secret / "passwords.env").read_text().splitlines()
    passwords = dict(line.split("=", 1) for line in lines)
    assert len(set(passwords.values())) == len(found["users"]) == 6
    assert found["users"][-1]["name"] == "agent.execution.shouter"
    stored = found["users"][-1]["password_hash"]
    password = passwords["TASKLOOM_AMQP_PASSWORD_AGENT_EXECUTION_SHOUTER"]
    assert hashed(password, base64.b64decode(stored)[:4]) == stored
    assert {path.stat().st_mode & 0o777 for path in secret.iterdir()} == {0o600}
    assert isinstance(CliRunner().invoke(app, command).exception, Conflict)


@pytest.mark.parametrize("name", ["cad", "execution.", "execution.C AD", "planning.é", ".CAD"])
def test_a_name_that_means_no_type_of_agents_is_refused(name: str) -> None:
    with pytest.raises(UnknownKind):
        kind_of(name)


def users() -> dict[str, str]:
    return {
        one["name"]: one["password_hash"] for one in json.loads(DEFINITIONS.read_text())["users"]
    }


def test_every_password_is_the_one_that_is_called_development_only() -> None:
    for name, stored in users().items():
        salt = base64.b64decode(stored)[:4]
        hashed = salt + hashlib.sha256(salt + b"development-only").digest()
        assert base64.b64encode(hashed).decode() == stored, name


@pytest.mark.proves("B-06")
def test_every_known_type_of_agent_has_a_user() -> None:
    expected = {f"agent.planning.{kind.lower()}" for kind in PLANNING_TYPES}
    expected |= {f"agent.execution.{kind.lower()}" for kind in EXECUTION_TYPES if kind != "NOOP"}
    assert {name for name in users() if name.startswith("agent.")} == expected


def test_compose_starts_every_user_and_no_other() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"amqp://([a-z_.]+):", compose)) == users().keys() - {"admin", "monitor"}


@pytest.mark.proves("S-19b")
def test_compose_opens_ports_to_this_machine_only() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    published = re.findall(r'"([^"\s]*:\d+)"', compose)
    ports = [one for one in published if not one.startswith("10001:")]
    assert len(ports) == 3
    assert all(one.startswith("127.0.0.1:") for one in ports)


def test_compose_starts_modules_that_exist() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    modules = re.findall(r"command: \[agent, ([a-z_.]+)\]", compose)
    assert len(modules) == 11
    missing = [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()]
    assert missing == []
