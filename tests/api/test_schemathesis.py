"""What the description of the API allows is answered as it says, and what it forbids is refused.

Schemathesis draws a few questions to every operation here, always the same ones;
``python -m tests.bench.fuzz_api`` draws tens of thousands, and asks whole processes.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from api.app import create_app
from tests.api.conftest import System, running
from tests.api.people import PASSWORD, add_user
from tests.support.listening import serving
from tests.support.schema_questions import ENDLESS, NOBODY, ask, by_key, by_password

WITHOUT: Final = f"^invoke_agent$|{ENDLESS}"
"""There is no broker here over which agents could be asked."""

OF_USERS: Final = "/api/v1/(plans|executions|auth|keys|users|visualizations)"


async def credentials(system: System, role: str) -> str:
    match role:
        case "user":
            await add_user(system, "fuzzer")
            return by_password("fuzzer", PASSWORD)
        case "system":
            asked = {"name": "fuzzer", "service": "fuzzer"}
            made = await system.http.post("/api/v1/keys", json=asked)
            return by_key(made.json()["key"])
        case _:
            return NOBODY


@pytest.mark.parametrize(
    ("role", "about"),
    [
        ("nobody", []),
        ("user", ["--include-path-regex", f"^{OF_USERS}"]),
        ("system", ["--include-path-regex", f"^(?!{OF_USERS})"]),
    ],
    ids=["nobody", "user", "system"],
)
async def test_schemathesis_finds_nothing(
    role: str,
    about: Sequence[str],
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It shows wrong tokens in quick succession, and logs in anew after each logout.
    monkeypatch.setenv("TASKLOOM_IDENTITY__LOGINS", "10000")
    monkeypatch.setenv("TASKLOOM_IDENTITY__ATTEMPTS", "10000")
    async with running(database) as system, serving(create_app(system.deps)) as host:
        found = await asyncio.to_thread(
            ask,
            f"http://{host}",
            await credentials(system, role),
            tmp_path,
            examples=1,
            seed=1,
            phases=["fuzzing"],
            without=WITHOUT,
            more=about,
            seconds=100,
        )
    assert not found.failures, str(found)
    assert found.requests > 60, str(found)
    assert (found.statuses[200] > 10) is (role != "nobody"), str(found)
