from ipaddress import ip_address
from pathlib import Path
from stat import S_IMODE
from urllib.parse import urlsplit

import aiormq
import psutil
import pytest

from infra.services.errors import ServiceUnavailable
from infra.services.leash import has_ended
from infra.services.rabbitmq import PrivateRabbitMQ


@pytest.mark.node
async def test_a_private_node_answers_and_leaves_nothing_running(state_dir: Path) -> None:
    before = set(psutil.Process().children(recursive=True))  # of other tests
    async with PrivateRabbitMQ(state_dir) as node:
        connection = await aiormq.connect(node.url)
        assert connection.server_properties["product"] == "RabbitMQ"
        await connection.close()
        with pytest.raises(ServiceUnavailable, match="in use by process"):
            await PrivateRabbitMQ(state_dir).start()
        started = set(psutil.Process().children(recursive=True)) - before
    assert {one.name() for one in started if not has_ended(one)} == set()


@pytest.mark.node
@pytest.mark.proves("S-19f")
async def test_a_private_node_obeys_and_lets_in_its_owner_only(state_dir: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    async with PrivateRabbitMQ(state_dir) as node:
        assert S_IMODE((node.home / ".erlang.cookie").stat().st_mode) == 0o400
        assert S_IMODE(node.home.stat().st_mode) == 0o700
        guest = urlsplit(node.url)._replace(
            netloc=f"guest:guest@127.0.0.1:{urlsplit(node.url).port}"
        )
        with pytest.raises(aiormq.exceptions.AMQPConnectionError):
            await aiormq.connect(guest.geturl())
        users = await node.control("list_users", "--silent", "--no-table-headers")
        assert [line.split()[0] for line in users.splitlines()] == ["taskloom"]
        heard = {
            one.laddr.ip
            for process in set(psutil.Process().children(recursive=True)) - before
            for one in process.net_connections(kind="inet")
            if one.status == psutil.CONN_LISTEN
        }
    assert heard
    assert all(ip_address(one).is_loopback for one in heard)
