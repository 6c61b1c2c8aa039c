"""Submits what is wanted and follows it to its end."""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from bus.ports import Log
from domain.errors import Unavailable
from infra.cli.client import Client
from infra.cli.display import Display
from infra.cli.failures import FinishedFailed
from infra.cli.formats.files import Wanted
from infra.cli.progress import Progress

PAGE = 500


@asynccontextmanager
async def limited(seconds: float | None) -> AsyncGenerator[None]:
    """Let what is inside take so many seconds, at most.

    Raises:
        TimeoutError: It takes longer; it goes on without being watched.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise TimeoutError(f"it has not ended within {seconds:g} s") from error


async def submit(client: Client, wanted: Wanted, *, patience: float = 0.0) -> dict[str, Any]:
    """Submit a goal, with its graph where it has one, and return the API's answer.

    Raises:
        Refused: It cannot be accepted.
        Unavailable: The API does not answer in time.
    """
    body: dict[str, Any] = {
        "goal": wanted.goal.model_dump(mode="json", exclude_none=True),
        "options": wanted.options.model_dump(mode="json"),
    }
    if wanted.tasks:
        tasks = [task.model_dump(mode="json", exclude_defaults=True) for task in wanted.tasks]
        body["task_graph"] = {"tasks": tasks}
    key = str(uuid.uuid4())
    answer: dict[str, Any] = await client.post(
        "/plans/create?wait=0", body, patience=patience, key=key
    )
    return answer


async def follow(
    plan_id: str, log: Log, display: Display, *, after: int = 0, patience: float = 60.0
) -> Progress:
    """Follow a plan until it is over, or waits to be executed.

    Raises:
        Unavailable: For ``patience`` seconds the record has not answered.
    """
    progress = Progress(plan_id=plan_id)
    loop = asyncio.get_running_loop()
    position, answered = after, loop.time()
    while not (progress.is_over or progress.is_idle):
        try:
            events = await log.read_all(after=position, limit=PAGE)
            answered = loop.time()
        except Unavailable:
            if loop.time() - answered > patience:
                raise
            await asyncio.sleep(0.5)
            continue
        for recorded in events:
            position = recorded.position
            if progress.hear(recorded):
                display.heard(recorded, progress)
        if not events:
            await log.wait(0.5)
    return progress


def require_success(progress: Progress) -> None:
    """Raise where a plan has ended otherwise than well.

    Raises:
        FinishedFailed: It has.
    """
    plan = progress.plan
    if plan is None or plan.status == "completed" or progress.is_idle:
        return
    why = f": {plan.reason}" if plan.reason else ""
    raise FinishedFailed(f"plan {progress.plan_id} {plan.status}{why}")
