"""What is armed happens where it was said, when it was said, and leaves a trace."""

import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import orjson
import pytest

from bus.failpoints import Failpoints, Tripped, UnreadableFailpoint, parse, reach, watch


@pytest.fixture(autouse=True)
def nobody_watches_afterwards() -> Generator[None]:
    yield
    watch(None)


def trips(times: int, *about: object) -> list[int]:
    tripped: list[int] = []
    for number in range(1, times + 1):
        try:
            reach("a.place", *about)
        except Tripped:
            tripped.append(number)
    return tripped


def test_nothing_happens_where_nothing_is_armed() -> None:
    assert trips(5) == []


def test_the_first_passage_fails_unless_another_is_named() -> None:
    watch(Failpoints("a.place=raise"))
    assert trips(5) == [1]
    watch(Failpoints("a.place=raise@3; another.place=kill"))
    assert trips(5) == [3]


def test_chance_is_drawn_the_same_way_from_the_same_seed() -> None:
    watch(Failpoints("seed=7;a.place=raise%0.2"))
    first = trips(200)
    watch(Failpoints("seed=7;a.place=raise%0.2"))
    assert trips(200) == first
    assert 20 <= len(first) <= 60
    watch(Failpoints("seed=8;a.place=raise%0.2"))
    assert trips(200) != first


def test_one_message_fails_whenever_it_is_met() -> None:
    watch(Failpoints("a.place=raise~t42"))
    assert trips(3, b'{"task": "t41"}') == []
    assert trips(3, b'{"task": "t42"}') == [1, 2, 3]
    assert trips(1, "else", "t42") == [1]


def test_a_pause_lets_the_whole_process_stand_still() -> None:
    watch(Failpoints("a.place=pause:0.1"))
    before = time.monotonic()
    reach("a.place")
    assert time.monotonic() - before >= 0.1


def test_a_file_arms_and_disarms_a_process_that_runs(tmp_path: Path) -> None:
    file = tmp_path / "armed"
    watch(Failpoints(f"@{file}"))
    assert trips(1) == []
    file.write_text("a.place=raise@2")
    time.sleep(0.05)
    assert trips(4) == [2]
    file.unlink()
    time.sleep(0.05)
    assert trips(4) == []


def test_a_killed_process_has_written_down_where(tmp_path: Path) -> None:
    log = tmp_path / "hits.jsonl"
    program = (
        "from pathlib import Path\n"
        "from bus.failpoints import *\n"
        f"watch(Failpoints('a.place=kill@2', log=Path({str(log)!r}), process='mine'))\n"
        "reach('a.place')\n"
        "reach('another.place')\n"
        "reach('a.place')\n"
        "print('alive')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"")
    hit = orjson.loads(log.read_bytes())
    assert (hit["point"], hit["passed"], hit["process"]) == ("a.place", 2, "mine")


@pytest.mark.parametrize(
    "armed", ["a.place", "a.place=explode", "=kill", "a.place=kill@", "a=kill@x"]
)
def test_what_cannot_be_read_is_refused(armed: str) -> None:
    with pytest.raises(UnreadableFailpoint):
        parse(armed)
