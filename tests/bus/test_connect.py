"""Connections to the broker, before there is one."""

import asyncio

import pytest

from bus.connect import connect


@pytest.mark.parametrize("moment", [0.0, 0.001, 0.003, 0.1])
async def test_who_gives_up_waiting_for_a_broker_leaves_nothing_behind(
    unused_tcp_port: int, moment: float
) -> None:
    before = asyncio.all_tasks()
    url = f"amqp://guest:guest@127.0.0.1:{unused_tcp_port}/"
    connecting = asyncio.create_task(connect(url, name="test"))
    await asyncio.sleep(moment)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert asyncio.all_tasks() == before


async def test_who_is_not_patient_hears_at_once_that_there_is_none(unused_tcp_port: int) -> None:
    before = asyncio.all_tasks()
    url = f"amqp://guest:guest@127.0.0.1:{unused_tcp_port}/"
    with pytest.raises(ConnectionError):
        await connect(url, name="test", is_patient=False)
    assert asyncio.all_tasks() == before
