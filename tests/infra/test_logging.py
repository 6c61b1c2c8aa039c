import json
import subprocess
import sys

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
