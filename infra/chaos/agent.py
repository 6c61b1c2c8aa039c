"""An agent whose work can be seen from outside: it writes in the ledger before it and after it."""

import asyncio
import os

from agents.agent import Agent, TryAgain, Work
from agents.reading import number
from bus.failpoints import reach
from domain.values import JsonObject
from infra.chaos.ledger import SOCKET, Ledger

TYPE = "CHAOS"
LONGEST_S = 60.0

_ledgers: dict[str, Ledger] = {}
"""One a process, opened when the first work comes: an agent is imported before it is forked."""


async def carry_out(work: Work) -> JsonObject:
    """Have an effect that takes ``seconds``, or fail in the first ``fails`` attempts."""
    if work.epoch <= number(work.params, "fails", low=0, high=5, default=0):
        raise TryAgain("it was told to fail at first")
    seconds = number(work.params, "seconds", low=0, high=LONGEST_S, default=0)
    external = bool(work.params.get("external", False))
    ledger = _ledger()
    attempt = (work.run_id, work.task_id, work.epoch)
    await ledger.write("begun", *attempt, external=external)
    reach("effect.begun")
    if seconds:
        await asyncio.sleep(seconds)
    await ledger.write("done", *attempt, external=external)
    return {"epoch": work.epoch}


def _ledger() -> Ledger:
    path = os.environ[SOCKET]
    return _ledgers.setdefault(path, Ledger(path))


AGENT = Agent(type=TYPE, actions={"effect": carry_out}, capabilities=("chaos",))
