"""The API does not outlive what it cannot do without."""

import asyncio

import pytest

from bus.recorder import Recorder
from infra.processes import api
from infra.settings import Settings


async def test_without_its_recorder_the_api_ends(
    database: str, vhost_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Recorder) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(Recorder, "run", fail)
    settings = Settings.model_validate(
        {"db": {"dsn": database}, "amqp": {"url": vhost_url}, "http": {"port": 0}}
    )
    async with asyncio.timeout(30):
        with pytest.raises(ExceptionGroup) as caught:
            await api.run(settings)
    assert caught.group_contains(LookupError, match="a bug")
