"""An agent that does nothing, for benchmarks, or takes time, to replay traces of real workflows."""

import asyncio
import json

from agents.agent import Agent, CannotBeDone, Work
from agents.reading import number
from domain.values import JsonObject

LONGEST_S = 60.0
ECHO_BYTES = 2_048


async def noop(_: Work) -> JsonObject:
    """Return nothing, at once."""
    return {}


async def wait(work: Work) -> JsonObject:
    """Take ``seconds`` of time, 60 at most, and return the parameters, if they are small.

    Here alone time is passed for its own sake: a trace says how long its tasks took.
    """
    seconds = number(work.params, "seconds", low=0, high=LONGEST_S, default=0)
    if len(json.dumps(work.params)) > ECHO_BYTES:
        raise CannotBeDone(f"the parameters exceed {ECHO_BYTES} bytes; they are echoed")
    await asyncio.sleep(seconds)
    return dict(work.params)


AGENT = Agent(type="NOOP", actions={"noop": noop, "wait": wait}, capabilities=("benchmark",))
