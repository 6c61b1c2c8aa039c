"""The verbs where nothing runs, and those that start everything themselves."""

import os
import re
import signal
from pathlib import Path

import psutil
import pytest

from infra.cli.exits import Exit
from infra.cli.failures import FinishedFailed, explain
from infra.settings import Settings
from tests.infra.cli.taskloom import ROOT, Shell
from tests.support.waiting import until

README = (ROOT / "infra" / "README.md").read_text()


def test_every_verb_has_a_help_and_is_in_the_readme(shell: Shell) -> None:
    helped = shell.run("--help").out
    verbs = re.findall(r"^│ (\w+) +\S", helped.partition("Commands")[2], re.MULTILINE)
    assert len(verbs) >= 14
    for verb in verbs:
        assert shell.run(verb, "--help").code == 0
        assert f"`{verb}" in README, verb


def test_the_readme_lists_every_setting_with_its_default() -> None:
    from infra.cli.config import flat

    for name, value in flat(Settings.model_construct().model_dump(mode="json")).items():
        shown = "" if value is None else f"`{value}`"
        assert f"| `{name}` | {shown} |" in README, name


def test_the_readme_lists_every_exit_code() -> None:
    for code in Exit:
        assert f"| {code.value} |" in README, code


@pytest.mark.proves("S-18a")
def test_passwords_are_masked(shell: Shell) -> None:
    secret = Shell(
        folder=shell.folder,
        env={
            "TASKLOOM_DB__DSN": "postgresql://me:hush@db/x",
            "TASKLOOM_AMQP__URL": "amqp://you:quiet@mq/",
        },
    )
    shown = secret.run("config", "show")
    assert "postgresql://me:***@db/x" in shown.out
    assert "amqp://you:***@mq/" in shown.out
    assert "hush" not in shown.out + shown.err
    assert "quiet" not in shown.out + shown.err


@pytest.mark.proves("S-18a")
@pytest.mark.parametrize(
    "dsn",
    [
        "host=db user=me password=hush sslpassword=hush dbname=x",
        "password = 'hush hush\\'hush' host=db",
        "postgresql://me@db/x?password=hush&sslpassword=hush",
    ],
)
def test_passwords_are_masked_however_a_database_is_named(shell: Shell, dsn: str) -> None:
    shown = Shell(folder=shell.folder, env={"TASKLOOM_DB__DSN": dsn}).run("config", "show")
    assert "TASKLOOM_DB__DSN=" in shown.out
    assert "password" in shown.out
    assert "***" in shown.out
    assert "hush" not in shown.out + shown.err


def test_what_has_a_password_may_be_in_a_file(shell: Shell) -> None:
    (shell.folder / "dsn").write_text("postgresql://me:hush@db/x\n")
    (shell.folder / "url").write_text("amqp://you:quiet@mq/\n")
    files = {"TASKLOOM_DB__DSN_FILE": "dsn", "TASKLOOM_AMQP__URL_FILE": "url"}
    shown = Shell(folder=shell.folder, env=files).run("config", "show")
    assert "TASKLOOM_DB__DSN=postgresql://me:***@db/x\n" in shown.out
    assert "TASKLOOM_AMQP__URL=amqp://you:***@mq/\n" in shown.out
    said = {**files, "TASKLOOM_DB__DSN": "postgresql://db/other"}
    assert (
        "DSN=postgresql://db/other\n"
        in Shell(folder=shell.folder, env=said).run("config", "show").out
    )
    missing = Shell(folder=shell.folder, env={"TASKLOOM_DB__DSN_FILE": "nowhere"})
    ended = missing.run("config", "show")
    assert ended.code == 2
    assert "dsn_file cannot be read" in ended.err


def test_wrong_usage_is_2(shell: Shell) -> None:
    for words in (("no-such",), ("run",), ("plan", "submit"), ("up", "--only", "nothing")):
        assert shell.run(*words).code == 2, words
    assert shell.run("events", "export", "--all").code == 2


def test_without_a_stack_the_message_says_how_to_get_one(shell: Shell) -> None:
    ended = shell.run("dlq", "list")
    assert ended.code == 6
    assert "taskloom up" in ended.err
    away = Shell(folder=shell.folder, env={"TASKLOOM_DB__DSN": "postgresql://127.0.0.1:1/x"})
    assert away.run("events", "tail").code == 6
    assert away.run("plan", "list", "--api", "http://127.0.0.1:1").code == 6
    seen = away.run("doctor")
    assert seen.code == 1
    assert "TASKLOOM_DB__DSN" in seen.out


def test_a_broker_that_is_not_there_ends_it_before_anything_is_started(shell: Shell) -> None:
    away = Shell(folder=shell.folder, env={"TASKLOOM_AMQP__URL": "amqp://guest:x@127.0.0.1:1/"})
    ended = away.run("demo")
    assert ended.code == 6
    assert ended.err.count("\n") == 1
    assert "TASKLOOM_AMQP__URL" in ended.err
    assert "guest" not in ended.err


def test_where_no_process_runs_nothing_is_alive(shell: Shell) -> None:
    assert shell.run("doctor", "--live").code == 1


def test_settings_that_make_no_sense_are_one_line(shell: Shell) -> None:
    wrong = Shell(folder=shell.folder, env={"TASKLOOM_HTTP__PORT": "many"})
    ended = wrong.run("config", "show")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "http.port" in ended.err


def test_a_setting_that_wants_an_underscore_is_told_its_name(shell: Shell) -> None:
    wrong = Shell(folder=shell.folder, env={"TASKLOOM_AMQP_URL": "amqp://127.0.0.1:1/"})
    assert "did you mean TASKLOOM_AMQP__URL?" in wrong.run("doctor").out


def test_the_schema_is_made_and_shown(shell: Shell, empty_database: str) -> None:
    there = Shell(folder=shell.folder, env={"TASKLOOM_DB__DSN": empty_database})
    assert there.run("db", "current").code == 1
    assert "0001_record" in there.run("db", "upgrade").out
    assert there.run("db", "upgrade").out == ""
    assert all(row["applied"] for row in there.run("db", "current", "--json").json)


def test_of_several_errors_the_first_tells_the_exit_code() -> None:
    group = ExceptionGroup("two", [FinishedFailed("plan failed"), OSError("after it")])
    assert explain(group) == (Exit.FINISHED_FAILED, "plan failed")
    assert explain(TimeoutError("late"))[0] == Exit.TIMEOUT


@pytest.mark.system
def test_the_demo_needs_nothing_and_leaves_nothing_running(open_shell: Shell) -> None:
    shell = open_shell
    ended = shell.run("demo", "--json", seconds=110)
    assert ended.code == 0, ended.err
    result = ended.json
    assert result["status"] == "completed"
    assert set(result["tasks"]) == {"META", "CAD", "SIM", "COMP", "SUPP"}
    assert sum(result["tasks"].values()) >= 30
    assert all(found["summary"] for found in result["deliverables"].values())
    assert of(shell.folder) == []
    replayed = shell.run("replay", result["execution_id"])  # its database is started for it
    assert replayed.code == 0, replayed.err
    assert "run.completed" in replayed.out


@pytest.mark.system
async def test_one_interrupt_stops_everything(shell: Shell, database: str) -> None:
    there = Shell(
        folder=shell.folder, env={"TASKLOOM_DB__DSN": database, "TASKLOOM_HTTP__PORT": "0"}
    )
    up = there.start("up", "--no-agents")
    said = shell.folder / "err"
    await until(lambda: "Ctrl-C stops" in said.read_text(), "it is up", seconds=60)
    assert "coordinator" in said.read_text()
    assert "worker" not in said.read_text()
    os.killpg(up.pid, signal.SIGINT)
    assert up.wait(30) == 0
    assert of(shell.folder) == []
    assert not (shell.folder / ".taskloom" / "stack.json").exists()


def of(folder: Path) -> list[str]:
    """Return the processes that still work in a folder."""
    return [
        " ".join(one.info["cmdline"] or [])
        for one in psutil.process_iter(["cmdline", "cwd"])
        if (one.info["cwd"] or "").startswith(str(folder))
    ]
