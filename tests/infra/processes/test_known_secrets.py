"""No process starts where a secret that everybody knows is all that keeps others out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infra.processes.beginning import begin
from infra.processes.known_secrets import (
    KnownSecret,
    refuse_known_passwords,
    refuse_known_secrets,
)
from infra.settings import Keys, Settings
from infra.settings_of_servers import Broker, Database

ROOT = Path(__file__).parents[3]

AT_OTHERS = {
    "guest, as every RabbitMQ has it": {"amqp": {"url": "amqp://guest:guest@rabbit.example/"}},
    "nobody, which AMQP takes for guest": {"amqp": {"url": "amqp://rabbit.example/"}},
    "of this repository": {"amqp": {"url": "amqp://api:development-only@rabbitmq/taskloom"}},
    "in capitals": {"amqp": {"url": "amqp://api:PassWord@10.0.0.7/"}},
    "of a database": {"db": {"dsn": "postgresql://postgres:postgres@db.example/x"}},
    "in the other form": {"db": {"dsn": "host=db.example user=x password=development-only"}},
    "one host of two": {"db": {"dsn": "postgresql://x:secret@127.0.0.1,db.example/x"}},
    "by its number": {"db": {"dsn": "host=localhost hostaddr=192.0.2.7 password=secret user=x"}},
    "the key of keys": {"keys": {"kek": "ZGV2ZWxvcG1lbnQtb25seS1kZXZlbG9wbWVudC1vbjE="}},
    "the key of agents' keys": {"amqp": {"signing_secret": "x" * 40}},
}
HARMLESS = {
    "nothing set": {},
    "guest on this machine": {"amqp": {"url": "amqp://guest:guest@127.0.0.1:5672/"}},
    "guest on this machine, by name": {"amqp": {"url": "amqp://localhost/"}},
    "a password of its own": {"amqp": {"url": "amqp://api:kX3-pQ9_vT7@rabbit.example/"}},
    "a socket of this machine": {"db": {"dsn": "postgresql://x:x@/x?host=/run/postgresql"}},
    "no password, but a certificate": {"db": {"dsn": "host=db.example user=x sslcert=/x.pem"}},
    "no database that one can read": {"db": {"dsn": "nonsense"}},
    "a key of its own": {"keys": {"kek": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="}},
}


def settings(values: dict[str, dict[str, str]], *, development: bool = False) -> Settings:
    return Settings(
        _env_file=None,
        amqp=Broker.model_validate(values.get("amqp", {})),
        db=Database.model_validate(values.get("db", {})),
        keys=Keys.model_validate(values.get("keys", {})),
        development=development,
    )


@pytest.mark.proves("S-19e")
@pytest.mark.parametrize("values", AT_OTHERS.values(), ids=AT_OTHERS.keys())
def test_a_secret_that_everybody_knows_is_refused_where_others_reach_it(
    values: dict[str, dict[str, str]],
) -> None:
    with pytest.raises(KnownSecret, match="TASKLOOM_"):
        refuse_known_secrets(settings(values))
    refuse_known_secrets(settings(values, development=True))


@pytest.mark.parametrize("values", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_only_this_machine_can_use_is_not(values: dict[str, dict[str, str]]) -> None:
    refuse_known_secrets(settings(values))


def test_a_refusal_names_the_variable_and_not_the_secret() -> None:
    url = "amqp://api:development-only@rabbitmq/taskloom"
    with pytest.raises(KnownSecret) as refused:
        begin(settings({"amqp": {"url": url}}), process="api")
    assert "TASKLOOM_AMQP__URL" in str(refused.value)
    assert "rabbitmq" in str(refused.value)
    assert "development-only" not in str(refused.value)


def test_nobody_is_given_such_a_password() -> None:
    with pytest.raises(KnownSecret, match="TASKLOOM_DB_PASSWORD_TL_API"):
        refuse_known_passwords(
            {"TASKLOOM_DB_PASSWORD_TL_API": "development-only"}, is_development=False
        )
    refuse_known_passwords({"TASKLOOM_DB_PASSWORD_TL_API": "kX3-pQ9_vT7"}, is_development=False)


@pytest.mark.proves("S-19e")
@pytest.mark.parametrize("words", [["serve", "coordinator"], ["agent", "agents.workers.noop"]])
def test_a_process_does_not_start_with_one(words: list[str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "infra.cli", *words],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "TASKLOOM_AMQP__URL": "amqp://guest:guest@192.0.2.7/"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "TASKLOOM_AMQP__URL" in ended.stderr


def test_compose_starts_only_where_it_says_that_nothing_is_to_be_protected() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for name, service in compose["services"].items():
        said = service.get("environment", {})
        if any(name.startswith("TASKLOOM_") for name in said):
            assert said["TASKLOOM_DEVELOPMENT"] == "${TASKLOOM_DEVELOPMENT:-true}", name
    for url in re.findall(r"amqp://\S+", (ROOT / "docker-compose.yml").read_text()):
        with pytest.raises(KnownSecret):
            refuse_known_secrets(
                settings({"amqp": {"url": re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", url)}})
            )
