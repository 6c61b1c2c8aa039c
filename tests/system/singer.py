"""An agent that repeats what it is told: in results, in refusals, in errors that nobody foresaw."""

from agents.agent import Agent, CannotBeDone, Work
from domain.values import JsonObject


async def echo(work: Work) -> JsonObject:
    return {"said": work.params, "heard": dict(work.inputs)}


async def refuse(work: Work) -> JsonObject:
    raise CannotBeDone(f"I will not: {work.params}")


async def stumble(work: Work) -> JsonObject:
    async with work.dependency("erp"):
        raise RuntimeError(f"nobody foresaw {work.params}")


AGENT = Agent(type="SINGER", actions={"echo": echo, "refuse": refuse, "stumble": stumble})
