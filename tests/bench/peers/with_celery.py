"""Celery with late acks, confirmed and persistent messages, and results in PostgreSQL."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

REQUIREMENTS = ("celery==5.7.0", "sqlalchemy>=2,<3", "psycopg[binary]>=3.3,<4")


@cache
def _environment() -> Path:
    """Return the folder of the programs of an environment that has Celery."""
    folder = Path(mkdtemp(prefix="peer-celery-"))
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    programs = folder / "bin"
    install = [programs / "python", "-m", "pip", "install", "-q", *REQUIREMENTS]
    subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
    return programs


def measure(dsn: str, url: str, count: int) -> float:
    """Return the noop tasks per second that one worker process of Celery carries out."""
    programs = _environment()
    environment = os.environ | {"PEER_AMQP_URL": url, "PEER_RESULTS": f"db+{dsn}"}
    where = Path(__file__).parent
    worker = subprocess.Popen(
        [programs / "celery", "-A", "celery_app", "worker", "-c", "1", "-l", "ERROR"],
        cwd=where,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        client = subprocess.run(
            [programs / "python", "celery_app.py", str(count)],
            cwd=where,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    finally:
        worker.terminate()
        worker.wait(30)
    return count / float(client.stdout)
