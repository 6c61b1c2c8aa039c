"""What a lost channel does to the calls that wait on it."""

import asyncio

import pytest

from bus.lost import telling_loss


@pytest.mark.parametrize("raised", [Exception(), asyncio.CancelledError()], ids=repr)
async def test_what_the_client_raises_for_a_lost_channel_is_a_lost_connection(
    raised: BaseException,
) -> None:
    with pytest.raises(ConnectionError), telling_loss():
        raise raised


async def test_whatever_else_is_raised_stays_what_it_is() -> None:
    with pytest.raises(KeyError), telling_loss():
        raise KeyError("a fault of our own")


async def test_who_is_cancelled_is_cancelled() -> None:
    async def wait() -> None:
        with telling_loss():
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
