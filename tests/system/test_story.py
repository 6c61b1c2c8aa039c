"""The six stages of the API, told with curl against ``taskloom up``."""

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.processes import COMMAND, ROOT, free_port

STORY = ROOT / "infra" / "story" / "doc0.sh"

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("curl") is None, reason="the story is told with curl"),
]


@contextmanager
def up(folder: Path, **env: str) -> Generator[str]:
    """Start everything, and give the API's address once it is ready."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TASKLOOM_")}
    env |= {"TASKLOOM_STATE_DIR": str(folder / "state"), "TASKLOOM_HTTP__PORT": str(port)}
    with (folder / "up.log").open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, "up"],
            cwd=ROOT,
            env=clean | env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            until_everybody_is_there(url, folder, process)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until_everybody_is_there(url: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 240
    while not is_there(url):
        said = (folder / "up.log").read_text()
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


def is_there(url: str) -> bool:
    """Say whether the API is ready, and an agent that the story asks has registered."""
    try:
        for path in ("/readyz", "/api/v1/agents/cad_agent_001", "/api/v1/agents/supp_worker_001"):
            with urllib.request.urlopen(f"{url}{path}", timeout=10):
                pass
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True


def tell(url: str, folder: Path) -> None:
    told = subprocess.run(
        [str(STORY)],
        env=os.environ | {"TASKLOOM_URL": url, "TASKLOOM_PATIENCE": "300"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=580,
    )
    words = told.stdout.decode(errors="replace")
    assert told.returncode == 0, (
        f"{words[-3_000:]}\n{told.stderr.decode()}\n{(folder / 'up.log').read_text()[-2_000:]}"
    )
    assert "The story is told" in words


def test_the_story_is_told_without_any_server(tmp_path: Path) -> None:
    with up(tmp_path) as url:
        tell(url, tmp_path)


@pytest.mark.real
def test_the_story_is_told_on_servers(tmp_path: Path, database: str, vhost_url: str) -> None:
    with up(tmp_path, TASKLOOM_DB__DSN=database, TASKLOOM_AMQP__URL=vhost_url) as url:
        tell(url, tmp_path)
