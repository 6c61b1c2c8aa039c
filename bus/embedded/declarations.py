"""Declaring, binding, purging and deleting: the commands that shape a virtual host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from pamqp import commands

from bus.embedded.errors import ChannelRefused, ConnectionRefused, locked, no_queue
from bus.embedded.exchanges import KINDS, Binding, Exchange
from bus.embedded.queues import Queue
from bus.embedded.settings import check_equivalent, read_settings
from bus.embedded.vhost import REPLY_TO_NAME, check_name

if TYPE_CHECKING:
    from pamqp.base import Frame

    from bus.embedded.vhost import VirtualHost


class Session(Protocol):
    """What a command needs to know of the channel it came on."""

    vhost: VirtualHost
    owner: object
    last_queue: str


def answer_exchange(session: Session, command: Frame) -> Frame:
    """Carry out a command on exchanges and return the answer to it.

    Raises:
        AmqpRefused: The command cannot be carried out.
    """
    match command:
        case commands.Exchange.Declare():
            _declare_exchange(session.vhost, command)
            return commands.Exchange.DeclareOk()
        case commands.Exchange.Delete():
            _delete_exchange(session.vhost, command)
            return commands.Exchange.DeleteOk()
        case commands.Exchange.Bind():
            source, binding = _between_exchanges(session.vhost, command)
            session.vhost.bind(source, binding)
            return commands.Exchange.BindOk()
        case commands.Exchange.Unbind():
            source, binding = _between_exchanges(session.vhost, command)
            session.vhost.unbind(source, binding)
            return commands.Exchange.UnbindOk()
        case _:
            raise ConnectionRefused(503, f"unexpected method {command.name}")


def answer_queue(session: Session, command: Frame) -> Frame:
    """Carry out a command on queues and return the answer to it.

    Raises:
        AmqpRefused: The command cannot be carried out.
    """
    match command:
        case commands.Queue.Declare():
            return _declare_queue(session, command)
        case commands.Queue.Bind():
            source, binding = _to_queue(session, command)
            session.vhost.bind(source, binding)
            return commands.Queue.BindOk()
        case commands.Queue.Unbind():
            source, binding = _to_queue(session, command)
            session.vhost.unbind(source, binding)
            return commands.Queue.UnbindOk()
        case commands.Queue.Purge():
            return commands.Queue.PurgeOk(usable_queue(session, command.queue).purge())
        case commands.Queue.Delete():
            return commands.Queue.DeleteOk(_delete_queue(session, command))
        case _:
            raise ConnectionRefused(503, f"unexpected method {command.name}")


def usable_queue(session: Session, name: str) -> Queue:
    """Return a queue of this name, or the last declared one if the name is empty.

    Raises:
        ChannelRefused: There is none, or another connection owns it.
    """
    queue = session.vhost.queue(_queue_name(session, name))
    if queue.owner is not None and queue.owner is not session.owner:
        raise locked(queue.name, session.vhost.name)
    return queue


def _queue_name(session: Session, name: str) -> str:
    if name:
        return name
    if not session.last_queue:
        raise ChannelRefused(404, f"no previously declared queue in vhost '{session.vhost.name}'")
    return session.last_queue


def _declare_exchange(vhost: VirtualHost, command: commands.Exchange.Declare) -> None:
    name = command.exchange
    if command.passive:
        vhost.exchange(name)
        return
    _check_not_default(name)
    kind = command.exchange_type
    if kind not in KINDS:
        raise ConnectionRefused(503, f"unknown exchange type '{kind}'")
    exchange = Exchange(
        name,
        kind,
        is_durable=command.durable,
        is_auto_delete=command.auto_delete,
        is_internal=command.internal,
        arguments=command.arguments or {},
    )
    had = vhost.exchanges.get(name)
    if had is None:
        check_name("exchange", name)
        vhost.add_exchange(exchange)
        return
    for argument, was, now in (
        ("type", had.kind, kind),
        ("durable", _word(had.is_durable), _word(command.durable)),
        ("auto_delete", _word(had.is_auto_delete), _word(command.auto_delete)),
        ("internal", _word(had.is_internal), _word(command.internal)),
        ("alternate-exchange", had.alternate, exchange.alternate),
    ):
        if was != now:
            raise ChannelRefused(
                406,
                f"inequivalent arg '{argument}' for exchange '{name}' in vhost '{vhost.name}': "
                f"received '{now}' but current is '{was}'",
            )


def _delete_exchange(vhost: VirtualHost, command: commands.Exchange.Delete) -> None:
    name = command.exchange
    _check_not_default(name)
    check_name("exchange", name)
    exchange = vhost.exchanges.get(name)
    if exchange is None:
        return
    if command.if_unused and exchange.bindings:
        raise ChannelRefused(406, f"exchange '{name}' in vhost '{vhost.name}' in use")
    vhost.delete_exchange(exchange)


def _between_exchanges(
    vhost: VirtualHost, command: commands.Exchange.Bind | commands.Exchange.Unbind
) -> tuple[Exchange, Binding]:
    _check_not_default(command.source)
    _check_not_default(command.destination)
    destination = vhost.exchange(command.destination)
    binding = Binding((True, destination.name), command.routing_key, command.arguments or {})
    return vhost.exchange(command.source), binding


def _to_queue(
    session: Session, command: commands.Queue.Bind | commands.Queue.Unbind
) -> tuple[Exchange, Binding]:
    _check_not_default(command.exchange)
    queue = usable_queue(session, command.queue)
    is_short = not command.queue and not command.routing_key
    routing_key = queue.name if is_short else command.routing_key
    binding = Binding((False, queue.name), routing_key, command.arguments or {})
    return session.vhost.exchange(command.exchange), binding


def _declare_queue(session: Session, command: commands.Queue.Declare) -> Frame:
    vhost, name = session.vhost, command.queue
    if command.passive:
        if name.startswith(REPLY_TO_NAME):
            if name != REPLY_TO_NAME and name not in vhost.replies:
                raise no_queue(name, vhost.name)
            return commands.Queue.DeclareOk(name, 0, 0)
        return _declared(session, usable_queue(session, name))
    name = name or f"amq.gen-{uuid4().hex}"
    settings = read_settings(
        name,
        vhost.name,
        durable=command.durable,
        exclusive=command.exclusive,
        auto_delete=command.auto_delete,
        arguments=command.arguments or {},
    )
    queue = vhost.queues.get(name)
    if queue is None:
        if command.queue:
            check_name("queue", name)
        queue = Queue(name, settings, vhost, session.owner)
        vhost.add_queue(queue)
        return _declared(session, queue)
    check_equivalent(name, vhost.name, queue.settings, settings)
    if settings.is_exclusive != queue.settings.is_exclusive:
        raise locked(name, vhost.name)
    return _declared(session, usable_queue(session, name))


def _declared(session: Session, queue: Queue) -> Frame:
    session.last_queue = queue.name
    queue.touch()
    queue.drain(session.vhost.now())
    return commands.Queue.DeclareOk(queue.name, queue.ready, queue.readers.count)


def _delete_queue(session: Session, command: commands.Queue.Delete) -> int:
    vhost = session.vhost
    if _queue_name(session, command.queue) not in vhost.queues:
        return 0
    queue = usable_queue(session, command.queue)
    if queue.settings.is_quorum and (command.if_unused or command.if_empty):
        flag = "if-unused" if command.if_unused else "if-empty"
        raise ConnectionRefused(
            540,
            f"cannot delete queue '{queue.name}' in vhost '{vhost.name}'. queue.delete operations "
            f"with {flag} flag set are not supported by quorum queues",
        )
    if command.if_unused and queue.readers.count:
        raise ChannelRefused(406, f"queue '{queue.name}' in vhost '{vhost.name}' in use")
    if command.if_empty and queue.ready:
        raise ChannelRefused(406, f"queue '{queue.name}' in vhost '{vhost.name}' not empty")
    return vhost.delete_queue(queue)


def _check_not_default(name: str) -> None:
    if not name:
        raise ChannelRefused(403, "operation not permitted on the default exchange")


def _word(value: bool) -> str:  # noqa: FBT001
    return str(value).lower()
