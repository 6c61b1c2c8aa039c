import asyncio

import pytest

from bus.together import end, run_together


class Stopped(Exception):
    pass


async def for_ever() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise Stopped


async def forgets(times: int) -> None:
    """Go on after so many cancellations, as wait_for does when a result arrives with one."""
    for _ in range(times):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await asyncio.Event().wait()


async def test_what_one_loop_raises_ends_the_others() -> None:
    with pytest.raises(Stopped):
        await run_together(for_ever(), fails(), for_ever())


async def test_a_loop_that_forgets_its_cancellation_ends_all_the_same() -> None:
    running = asyncio.create_task(run_together(forgets(2), for_ever()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()


async def test_loops_that_end_well_let_the_others_go_on() -> None:
    async def short() -> None:
        await asyncio.sleep(0)

    await run_together(short(), short())


async def test_what_a_task_ends_with_does_not_matter_to_who_ends_it() -> None:
    async def stumbles() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise Stopped

    task = asyncio.create_task(stumbles())
    await asyncio.sleep(0)
    await end([task])
    assert task.done()


async def test_who_is_cancelled_while_ending_leaves_nobody_behind() -> None:
    stubborn = asyncio.create_task(forgets(5))
    ending = asyncio.create_task(end([stubborn]))
    await asyncio.sleep(0)
    for _ in range(3):
        ending.cancel()
        await asyncio.sleep(0.01)
    await asyncio.wait([ending], timeout=10)
    assert ending.cancelled()
    assert stubborn.done()
