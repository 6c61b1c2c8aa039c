import json
import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest

SPEAK = """
import logging, structlog
from infra.logging import configure
configure("info")
structlog.get_logger("ours").info("task.taken", task_id="task_001")
logging.getLogger("theirs").warning("they say %s", "so")
logging.getLogger("aio_pika").info("every message")
structlog.get_logger("ours").debug("too.much")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("ours").exception("it.broke")
"""


@pytest.fixture
def lines() -> list[dict[str, object]]:
    """What is logged where no terminal is."""
    said = subprocess.run([sys.executable, "-c", SPEAK], capture_output=True, text=True, check=True)
    assert said.stdout == ""
    return [json.loads(line) for line in said.stderr.splitlines()]


def test_without_a_terminal_each_line_is_json(lines: list[dict[str, object]]) -> None:
    ours = lines[0]
    assert (ours["event"], ours["level"], ours["logger"]) == ("task.taken", "info", "ours")
    assert ours["task_id"] == "task_001"
    assert str(ours["timestamp"]).endswith("Z")


def test_libraries_speak_in_the_same_form(lines: list[dict[str, object]]) -> None:
    assert (lines[1]["event"], lines[1]["logger"]) == ("they say so", "theirs")


def test_what_is_below_the_level_or_said_of_every_message_is_left_out(
    lines: list[dict[str, object]],
) -> None:
    assert [line["event"] for line in lines] == ["task.taken", "they say so", "it.broke"]


def test_an_error_keeps_its_trace(lines: list[dict[str, object]]) -> None:
    assert "ZeroDivisionError" in str(lines[2]["exception"])


HOSTILE = "all is well\r\n2026-01-01 [info] nobody was here \x1b[2J\x1b]0;title\x07 \u202egnorw"
QUOTE = f"""
import logging, structlog
from infra.logging import configure
configure("info")
words = {HOSTILE!r}
structlog.get_logger("ours").info("said", subject=words)
logging.getLogger("theirs").warning("they say %s", words)
try:
    raise ValueError(words)
except ValueError:
    structlog.get_logger("ours").exception("it.broke")
"""


def is_tame(text: str) -> bool:
    return not set(text) & set("\r\x1b\x07") and "\n2026-01-01 [info]" not in text


@pytest.mark.proves("S-10c")
def test_words_of_others_are_no_lines_of_a_log_for_machines() -> None:
    said = subprocess.run([sys.executable, "-c", QUOTE], capture_output=True, check=True).stderr
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert events == ["said", f"they say {HOSTILE}", "it.broke"]
    assert is_tame(said.decode())


@pytest.mark.proves("S-10c")
def test_words_of_others_do_not_move_the_terminal_of_who_reads_a_log() -> None:
    ours, theirs = pty.openpty()
    env = os.environ | {"NO_COLOR": "1"}
    with subprocess.Popen([sys.executable, "-c", QUOTE], stderr=theirs, env=env):
        os.close(theirs)
        said = b""
        with suppress(OSError):  # so it ends where nobody writes any more
            while part := os.read(ours, 65_536):
                said += part
    os.close(ours)
    shown = said.decode().replace("\r\n", "\n")  # as a terminal has them
    assert shown.count("nobody was here") == 3
    assert is_tame(shown)
    assert "\u202e" not in shown
