"""Which PostgreSQL and which RabbitMQ the tests run against, found in a fixed order.

1. the URLs in ``TASKLOOM_TEST_DSN`` and ``TASKLOOM_TEST_AMQP_URL``
2. PostgreSQL as a private cluster, of the machine's own programs or of the wheel: it does not wait
   for the disk, which two thousand databases would
3. servers that listen on 127.0.0.1:5432 and 127.0.0.1:5672 and let us in
4. containers, when a Docker daemon answers
5. RabbitMQ as a private server, of the machine's own programs; where a real one is required
   (``TASKLOOM_TEST_REQUIRE=real``), root on Debian installs it with apt-get, as a browser
6. the embedded broker

Choosing is quick and happens for every run; starting happens when the first test asks.
"""

from collections.abc import Generator
from contextlib import contextmanager

from tests.support.brokers import RabbitMQ, choose_rabbitmq, embedded_broker, fresh_vhost
from tests.support.databases import choose_postgres
from tests.support.ground import Ground


class Servers:
    """The servers of one test run: chosen at once, started when asked for, ended together."""

    def __init__(self) -> None:
        self._ground = Ground()
        self._dsn: str | None = None
        self._rabbitmq: RabbitMQ | None = None
        self.postgres_choice = choose_postgres()
        self.rabbitmq_choice = choose_rabbitmq()

    @property
    def dsn(self) -> str:
        """The URL of this run's PostgreSQL, which starts the first time."""
        if self._dsn is None:
            self._dsn = self.postgres_choice.start(self._ground)
        return self._dsn

    @property
    def rabbitmq(self) -> RabbitMQ:
        """This run's broker, which starts the first time."""
        if self._rabbitmq is None:
            self._rabbitmq = self.rabbitmq_choice.start(self._ground)
        return self._rabbitmq

    @contextmanager
    def vhost(self) -> Generator[str]:
        """Make a virtual host of its own; of embedded brokers each test gets one."""
        if self.rabbitmq_choice.is_real:
            with fresh_vhost(self.rabbitmq) as url:
                yield url
        else:
            with embedded_broker(self._ground) as url:
                yield url

    def end(self) -> None:
        """Stop what was started."""
        self._ground.close()
