import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A state folder that the account of PostgreSQL can reach, as pytest's own are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="taskloom-state-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
