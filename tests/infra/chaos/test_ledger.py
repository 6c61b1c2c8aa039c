"""What the ledger has answered is on disk, in the order it was written."""

import asyncio
import sys
from pathlib import Path

import pytest

from agents.agent import TryAgain, Work
from infra.chaos import agent, ledger
from tests.support.waiting import until


async def test_an_effect_is_in_the_ledger_before_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "infra.chaos.ledger", str(tmp_path)]
    server = await asyncio.create_subprocess_exec(*command)
    path = tmp_path / "ledger.sock"
    try:
        await until(path.exists, "the ledger listens")
        monkeypatch.setenv(ledger.SOCKET, str(path))
        monkeypatch.setenv(ledger.HOLDER, "agent_1")
        work = [
            Work(
                run_id="exec_1",
                task_id=f"t{number}",
                epoch=1,
                name="",
                action="effect",
                params={"external": number == 0},
            )
            for number in range(50)
        ]
        results = await asyncio.gather(*map(agent.carry_out, work))
        assert results == [{"epoch": 1}] * 50
        await agent._ledgers.pop(str(path)).close()
    finally:
        server.kill()
        await server.wait()
    written = ledger.read(tmp_path / ledger.FILE)
    assert len(written) == 100
    assert [one.moment for one in written if one.task_id == "t0"] == ["begun", "done"]
    assert {one.task_id for one in written if one.external} == {"t0"}
    assert all(one.holder.startswith("agent_1/") for one in written)


async def test_an_attempt_that_is_told_to_fail_has_no_effect() -> None:
    work = Work(run_id="r", task_id="t", epoch=1, name="", action="effect", params={"fails": 1})
    with pytest.raises(TryAgain):
        await agent.carry_out(work)
