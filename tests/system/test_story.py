"""The six stages of the API, told with curl against ``taskloom up``."""

import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.sync.client import connect

from tests.system.processes import COMMAND, ROOT, free_port

STORY = ROOT / "infra" / "story" / "doc0.sh"
NEEDED = ("cad_agent_001", "meta_planner_001", "supp_worker_001", "noop_worker_001")

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("curl") is None, reason="the story is told with curl"),
]


@dataclass(frozen=True, slots=True)
class Up:
    """A stack that was started as a newcomer starts it."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def token(self) -> str:
        """What it has printed for whoever started it."""
        found = re.search(r"\btoken +([^\s,]+)", self.log.read_text())
        return found[1] if found else ""

    def is_there(self) -> bool:
        """Say whether the API is ready, and agents that the story needs have registered."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        try:
            for path in ("/readyz", *(f"/api/v1/agents/{name}" for name in NEEDED)):
                asked = urllib.request.Request(f"{self.url}{path}", headers=bearer)
                with urllib.request.urlopen(asked, timeout=10):
                    pass
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True


@contextmanager
def up(folder: Path, **env: str) -> Generator[Up]:
    """Start everything, and wait until everybody is there."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TASKLOOM_")}
    env |= {"TASKLOOM_STATE_DIR": str(folder / "state"), "TASKLOOM_HTTP__PORT": str(port)}
    path = folder / "up.log"
    with path.open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, "up"],
            cwd=ROOT,
            env=clean | env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            stack = Up(url, process, path)
            deadline = time.monotonic() + 240
            while not stack.is_there():
                assert process.poll() is None, path.read_text()
                assert time.monotonic() < deadline, path.read_text()
                time.sleep(0.2)
            yield stack
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def tell(stack: Up) -> None:
    here = {"TASKLOOM_URL": stack.url, "TASKLOOM_TOKEN": stack.token, "TASKLOOM_PATIENCE": "300"}
    told = subprocess.run(
        [str(STORY)],
        env=os.environ | here,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=580,
    )
    words = told.stdout.decode(errors="replace")
    assert told.returncode == 0, (
        f"{words[-3_000:]}\n{told.stderr.decode()}\n{stack.log.read_text()[-2_000:]}"
    )
    assert "The story is told" in words
    url = re.search(r'"websocket_url":"([^"]+)"', words)
    assert url, words[-3_000:]
    listens_by_websocket(stack, url[1])


def listens_by_websocket(stack: Up, url: str) -> None:
    """Hear the whole execution of the story over the WebSocket that its start has named."""
    told: list[dict[str, Any]] = []
    bearer = {"Authorization": f"Bearer {stack.token}"}
    with connect(f"{url}?after=0", additional_headers=bearer) as socket:
        while not told or (told[-1]["type"], told[-1].get("status")) != (
            "execution.status",
            "completed",
        ):
            told.append(orjson.loads(socket.recv(timeout=30)))
    kinds = Counter(frame["type"] for frame in told)
    assert kinds["task.started"] == kinds["task.completed"] > 30
    positions = [frame["position"] for frame in told if "position" in frame]
    assert positions == sorted(set(positions))


def test_the_story_is_told_without_any_server(tmp_path: Path) -> None:
    with up(tmp_path) as stack:
        tell(stack)


@pytest.mark.real
def test_the_story_is_told_on_servers(tmp_path: Path, database: str, vhost_url: str) -> None:
    with up(tmp_path, TASKLOOM_DB__DSN=database, TASKLOOM_AMQP__URL=vhost_url) as stack:
        tell(stack)
