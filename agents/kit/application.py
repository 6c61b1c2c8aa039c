"""The application around an agent: a FastStream app, from the first connection to the goodbye."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiormq.exceptions import AMQPConnectionError, ChannelAccessRefused, ChannelInvalidStateError
from faststream import FastStream
from faststream.rabbit import (
    Channel,
    RabbitBroker,
)

from agents.agent import Agent
from agents.kit.answering import Answering
from agents.kit.body import ProcessBody
from agents.kit.carrier import Carrier
from agents.kit.dependencies import Dependencies
from agents.kit.identity import Identity, identify
from agents.kit.lanes import Lanes
from agents.kit.pulse import Pulse
from agents.kit.reporter import Reporter
from bus.connect import CONNECT_TIMEOUT, connect, reconnect_interval, with_heartbeat
from bus.listening import Listener, listen_to
from bus.lost import insist, telling_loss
from bus.messages import Delivery
from bus.orders import AgentStop, decode_order, order_key, order_queue
from bus.ports import Clock, SystemClock
from bus.publishing import Publisher
from bus.refusals import Unreadable
from bus.requests import request_key, request_queue
from bus.signing import SigningKey
from bus.together import end
from bus.topology import WORK, declare_work
from domain.agent import AgentDeregistered, AgentRegistered, Capacity

log = structlog.get_logger(__name__)

_GOODBYE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an agent is run; times in seconds."""

    concurrency: int = 16
    """How many tasks it carries out at once; what the agent itself says can only lower it."""

    is_backup: bool = False
    """Whether it takes only what the others of its type are too busy for, or gone."""

    heartbeat: float = 0.3
    """Between two heartbeats."""

    grace: float = 10.0
    """For what runs when the agent is asked to stop; what takes longer is left to its lease."""

    patience: float = 60.0
    """For work that waits for a place here, before it goes back to agents that may have one."""

    key: SigningKey | None = None
    """What it signs its reports and heartbeats with."""

    compresses: bool = False
    """Whether it sends large reports as gzip."""

    look: float = 3.0
    """Between two looks at the queues that are silent: the second finds what does not come."""


async def run(
    agent: Agent, *, url: str, agent_id: str | None = None, options: Options | None = None
) -> None:
    """Run an agent until SIGTERM or SIGINT, then finish what is in hand."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_until(stop, agent, url=url, agent_id=agent_id, options=options)


async def run_until(
    stop: asyncio.Event,
    agent: Agent,
    *,
    url: str,
    agent_id: str | None = None,
    options: Options | None = None,
) -> None:
    """Run an agent until an event is set, then finish what is in hand."""
    identity = identify(agent, agent_id)
    dismissed = asyncio.Event()
    stopped = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            duty = _Duty(agent, identity, url, options or Options(), SystemClock(), dismissed)
            app = duty.application()
            try:
                await _start(app, stopped)
                log.info("agent.ready", agent=identity.agent_id, instance=identity.instance)
                await _first_of(stopped, dismissed.wait())
                if not stop.is_set():
                    log.warning("agent.dismissed", agent=identity.agent_id)
                    await duty.leave()
                    await _first_of(stopped, duty.drain(None))
                log.info("agent.stops", agent=identity.agent_id)
            except (AMQPConnectionError, ChannelInvalidStateError, ConnectionError) as error:
                # The connection was lost while the subscribers were made: that is nobody's fault.
                log.warning("agent.starts_again", agent=identity.agent_id, why=str(error))
                await asyncio.sleep(reconnect_interval())
            finally:
                await app.stop()
            if dismissed.is_set():
                await stopped  # whoever ends us may start us again: we do not come back ourselves
    finally:
        await end((stopped,))


async def _first_of(stopped: asyncio.Task[bool], other: Coroutine[Any, Any, object]) -> None:
    """Wait for one of two things; the other one is given up unless it is the end."""
    waiting = asyncio.ensure_future(other)
    try:
        await asyncio.wait((stopped, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end((waiting,))


async def _start(app: FastStream, stopped: asyncio.Task[bool]) -> None:
    """Start an application, as long as nobody asks it to stop."""
    starting = asyncio.create_task(app.start())
    try:
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            with telling_loss():
                await starting  # raises what went wrong
        else:
            # Who is cancelled while it subscribes loses the channel of all subscribers.
            await asyncio.wait((starting,), timeout=_GOODBYE)
    finally:
        await end((starting,))


class _Duty:
    """What surrounds the subscribers, from the first connection to the goodbye."""

    def __init__(
        self,
        agent: Agent,
        identity: Identity,
        url: str,
        options: Options,
        clock: Clock,
        dismissed: asyncio.Event,
    ) -> None:
        self._dismissed = dismissed
        self._agent = agent
        self._identity = identity
        self._url = url
        self._options = options
        self._clock = clock
        self._concurrency = min(options.concurrency, agent.concurrency or options.concurrency)
        self.broker = RabbitBroker(
            with_heartbeat(url, name=f"{identity.agent_id} takes"),
            timeout=CONNECT_TIMEOUT,
            fail_fast=False,
            reconnect_interval=reconnect_interval(),
            default_channel=Channel(prefetch_count=self._concurrency),
            on_reconnected=[lambda _: self.register_soon()],
            graceful_timeout=_GOODBYE,
            apply_types=False,
            logger=logging.getLogger(__name__),
            log_level=logging.DEBUG,
        )
        self._open = AsyncExitStack()
        self._carrier: Carrier | None = None
        self._reporter: Reporter | None = None
        self._pulse: Pulse | None = None
        self._lanes: Lanes | None = None
        self._answering: Answering | None = None
        self._requests: Listener | None = None
        self._registering: set[asyncio.Task[None]] = set()
        self._registrations = 0
        self._is_registered = False
        self._may_declare = True

    def application(self) -> FastStream:
        """Return the application; starting it starts the agent."""
        return FastStream(
            self.broker,
            logger=None,
            on_startup=[self.begin],
            after_startup=[self.subscribe, self.register_soon],
            on_shutdown=[self.take_no_more],
            after_shutdown=[self.end],
        )

    async def begin(self) -> None:
        """Connect for publishing, and make sure that our queues are there."""
        identity, options = self._identity, self._options
        connection = await connect(self._url, name=f"{identity.agent_id} reports")
        self._open.push_async_callback(connection.close)

        async def restore() -> None:
            try:
                async with connection.channel() as channel:
                    await declare_work(channel, identity.role, identity.agent_type)
            except ChannelAccessRefused as refusal:
                # Where each role has a user of its own, only the coordinator may declare the rest.
                self._may_declare = False
                log.info("topology.left_to_others", why=str(refusal))

        await insist(restore)
        publisher = await self._open.enter_async_context(Publisher(connection))
        self._reporter = Reporter(
            publisher,
            identity,
            restore=restore,
            clock=self._clock,
            key=options.key,
        )
        dependencies = Dependencies(self._agent.fuses, clock=self._clock)
        self._carrier = Carrier(
            self._agent,
            identity,
            self._reporter,
            concurrency=self._concurrency,
            patience=options.patience,
            dependencies=dependencies,
        )
        self._answering = Answering(
            self._agent, identity, publisher, gate=self._carrier.gate, dependencies=dependencies
        )
        self._lanes = Lanes(
            self.broker,
            identity,
            self._carrier,
            restore=restore,
            look=options.look,
            is_backup=options.is_backup,
            may_declare=self._may_declare,
        )
        named = (identity.role, identity.agent_type, identity.agent_id)
        await listen_to(
            {order_key(identity.agent_id): self._obey},
            connection=connection,
            queue=order_queue(*named),
        )
        self._requests = await listen_to(
            {request_key(*named): self._answering.hear},
            connection=connection,
            queue=request_queue(*named),
            source=WORK,
        )
        self._pulse = await self._open.enter_async_context(
            Pulse(
                self._url,
                identity,
                self._carrier,
                body=ProcessBody(),
                interval=options.heartbeat,
                clock=self._clock,
                key=options.key,
            )
        )

    async def subscribe(self) -> None:
        """Take work, from now on or when the broker is back."""
        assert self._lanes is not None  # noqa: S101 # begin comes before
        await self._lanes.open()

    def _obey(self, delivery: Delivery) -> None:
        assert self._carrier is not None  # noqa: S101 # it is there before anybody listens
        try:
            order = decode_order(delivery.body)
        except Unreadable as refusal:
            log.warning("order.unreadable", code=refusal.code, why=str(refusal))
            return
        self._carrier.obey(order)
        if isinstance(order, AgentStop) and order.instance == self._identity.instance:
            self._dismissed.set()

    async def register_soon(self) -> None:
        """Introduce the agent, now or when the broker is back, unless it was dismissed."""
        if self._dismissed.is_set():
            return
        registering = asyncio.create_task(self._register(), name="registering")
        self._registering.add(registering)
        registering.add_done_callback(self._registering.discard)

    async def take_no_more(self) -> None:
        """Leave what waits to others; it goes back when the broker is told goodbye."""
        if self._carrier is not None and self._pulse is not None:
            self._carrier.gate.close()
            self._pulse.say_goodbye()
        requests, self._requests = self._requests, None
        if requests is not None:
            await requests.stop()
        lanes, self._lanes = self._lanes, None
        if lanes is not None:
            await lanes.close()

    async def leave(self) -> None:
        """Take no more; what was taken and has not begun goes back now."""
        await self.take_no_more()
        await self.broker.stop()

    async def drain(self, grace: float | None) -> None:
        """Wait so many seconds for what runs, or for all of it."""
        if self._carrier is not None and self._answering is not None:
            await asyncio.gather(self._carrier.drain(grace), self._answering.drain(grace))

    async def end(self) -> None:
        """Finish what runs, say goodbye and disconnect."""
        for registering in tuple(self._registering):
            registering.cancel()
        await self.drain(self._options.grace)
        if self._registrations:  # who never introduced itself is missed by nobody
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await self._say_goodbye()
        await self._open.aclose()

    async def _register(self) -> None:
        assert self._reporter is not None  # noqa: S101 # begin comes before
        self._registrations += 1
        agent = self._agent
        registered = AgentRegistered(
            agent_id=self._identity.agent_id,
            agent_type=agent.type,
            role=agent.role,
            capabilities=agent.capabilities or tuple(sorted(set(agent.actions) - {"*"})),
            capacity=Capacity(max_concurrent_tasks=self._concurrency),
            metadata={
                "version": agent.version,
                "actions": [*sorted(agent.actions)],
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "backup": self._options.is_backup,
            },
            encodings=("gzip",) if self._options.compresses else (),
            instance=self._identity.instance,
        )
        # Each time with an id of its own: meanwhile somebody may have taken us for gone.
        origin = f"{self._identity.agent_id}/{self._registrations}"
        await self._reporter.insist(self._reporter.report(registered, origin=origin))
        self._is_registered = True
        self._reporter.compresses = self._options.compresses

    async def _say_goodbye(self) -> None:
        assert self._reporter is not None  # noqa: S101 # begin comes before
        assert self._pulse is not None  # noqa: S101
        self._pulse.say_goodbye()
        if not self._is_registered:
            return  # nobody knows it: its goodbye would be refused
        goodbye = AgentDeregistered(
            agent_id=self._identity.agent_id, instance=self._identity.instance, reason="stopped"
        )
        report = self._reporter.report(goodbye, origin=self._identity.agent_id)
        await self._reporter.insist(report)
