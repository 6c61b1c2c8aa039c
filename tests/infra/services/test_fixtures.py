import aiormq
import pika
import psycopg
import pytest

from infra.migrations import pending


def test_every_test_gets_a_database_of_its_own(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("create table mine (id int)")
        name = connection.execute("select current_database()").fetchone()
    assert name is not None
    assert name[0].startswith("taskloom_test_")


def test_a_database_of_its_own_is_migrated_and_holds_nothing_else(database: str) -> None:
    assert pending(database) == []
    with psycopg.connect(database) as connection:
        assert connection.execute("select to_regclass('mine')").fetchone() == (None,)


def test_an_empty_database_is_not_migrated(empty_database: str) -> None:
    assert pending(empty_database) != []


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_gets_a_virtual_host_of_its_own(vhost_url: str, turn: int) -> None:
    with pika.BlockingConnection(pika.URLParameters(vhost_url)) as connection:
        channel = connection.channel()
        # A second test that met the first one's queue would be refused: its arguments differ.
        channel.queue_declare("same-name", durable=True, arguments={"x-max-length": turn})


@pytest.mark.real
async def test_the_broker_of_a_test_marked_real_is_rabbitmq(rabbitmq_url: str) -> None:
    connection = await aiormq.connect(rabbitmq_url)
    try:
        assert connection.server_properties["product"] == "RabbitMQ"
    finally:
        await connection.close()
