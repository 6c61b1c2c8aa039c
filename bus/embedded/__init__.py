"""An AMQP 0-9-1 broker inside this process: for trying out and testing, not for keeping."""

from bus.embedded.broker import EmbeddedBroker, QueueSnapshot

__all__ = ["EmbeddedBroker", "QueueSnapshot"]
