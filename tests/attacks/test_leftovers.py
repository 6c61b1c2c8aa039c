"""What is left behind tells no secret: the memory of a process that crashed, and the history."""

import os
import re
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.identity.secrets import key_text, new_key_id, new_secret
from api.identity.tokens import Tokens

ROOT = Path(__file__).parents[2]

ENDS = {"by a signal of the kernel": signal.SIGSEGV, "by giving up": signal.SIGABRT}


@pytest.mark.proves("S-18d")
@pytest.mark.parametrize("ended_by", ENDS.values(), ids=ENDS.keys())
def test_a_process_that_crashes_leaves_no_memory_behind(
    ended_by: signal.Signals, tmp_path: Path
) -> None:
    ready = "import os, signal, sys; begin(Settings(_env_file=None), process='api')"
    ours = (
        f"from infra.processes.beginning import begin; from infra.settings import Settings; {ready}"
    )
    assert not leaves_memory(ours, ended_by, tmp_path)
    if writes_files():
        assert leaves_memory("import os, signal, sys", ended_by, tmp_path), "nothing is proved here"


def writes_files() -> bool:
    """Say whether other processes leave a file here when they crash."""
    pattern = Path("/proc/sys/kernel/core_pattern")
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    return most == resource.RLIM_INFINITY and pattern.exists() and pattern.read_text() == "core\n"


def leaves_memory(ready: str, ended_by: signal.Signals, folder: Path) -> bool:
    """Start a process that may leave as much as it likes, end it, and look what the kernel says."""
    child = os.fork()
    if child == 0:
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))
        os.chdir(folder)
        script = f"{ready}; os.kill(os.getpid(), {int(ended_by)})"
        os.execve(sys.executable, [sys.executable, "-c", script], {"PYTHONPATH": str(ROOT)})
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == ended_by
    return os.WCOREDUMP(status)


SECRETS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{20}",
    "a key to the API": r"\btl_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{43}\b",
    "a token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
    "a key of OpenAI or Anthropic": r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}",
    "a key of a cloud": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}\b",
    "a token of a forge": r"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bglpat-[A-Za-z0-9_-]{20}\b",
    "a token of a chat": r"\bxox[abprs]-[A-Za-z0-9-]{20,}",
}
"""What secrets look like; ours, and those that people have lost most often."""


def ours() -> dict[str, str]:
    """Draw secrets as we draw them; nobody commits what is drawn here."""
    key = Ed25519PrivateKey.generate()
    now = datetime.now(UTC)
    return {
        "a private key": key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode(),
        "a key to the API": key_text(new_key_id(), new_secret()),
        "a token": Tokens([key]).issue(
            "at+jwt", "usr_1", "ses_1", token_id="1", now=now, lifetime=timedelta(minutes=15)
        ),
    }


@pytest.mark.proves("S-18e")
def test_what_is_looked_for_is_what_our_secrets_look_like() -> None:
    for name, secret in ours().items():
        assert re.search(SECRETS[name], f"x = '{secret}'"), name


@pytest.mark.proves("S-18e")
def test_no_secret_was_ever_committed() -> None:
    history = committed()
    found = {
        (name, match.group()[:60])
        for name, pattern in SECRETS.items()
        for match in re.finditer(pattern, history)
    }
    assert found == set()


def committed() -> str:
    """Return every line that was ever added; where there is no history, every file that is here."""
    if (ROOT / ".git").exists():
        shown = subprocess.run(
            ["git", "log", "--all", "--patch", "--unified=0", "--no-color", "--no-ext-diff"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        text = shown.stdout.decode(errors="replace")
        return "\n".join(line[1:] for line in text.splitlines() if line.startswith("+"))
    left_out = {".venv", ".taskloom"}
    files = [one for one in ROOT.rglob("*") if one.is_file() and not left_out & set(one.parts)]
    return "\n".join(one.read_text(errors="replace") for one in files)
