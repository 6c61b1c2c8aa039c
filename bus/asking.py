"""Asks agents, and hears their answers."""

import asyncio
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

import structlog
from aio_pika import RobustConnection

from bus.depths import BrokerUnavailable
from bus.listening import listen_to
from bus.messages import Delivery
from bus.ports import Sender
from bus.refusals import Unreadable
from bus.requests import AgentAnswer, AgentInvoke, decode_answer, encode_request, request_key
from domain.errors import Conflict, Unavailable
from domain.values import AgentId, AgentType, JsonObject, Role

log = structlog.get_logger(__name__)


class AgentNotThere(Conflict):
    """The agent cannot be asked now."""

    code = "agent-not-there"

    def __init__(self, agent_id: str, why: str) -> None:
        super().__init__(f"agent {agent_id} {why}")


class AgentTimeout(Unavailable):
    """The agent has not answered in time."""

    code = "agent-timeout"

    def __init__(self, agent_id: str, seconds: float) -> None:
        super().__init__(f"agent {agent_id} has not answered within {seconds:g} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody wants one agent to do now."""

    agent_id: AgentId
    role: Role
    agent_type: AgentType
    action: str
    payload: JsonObject
    timeout: float
    """Seconds; the agent is told of it, and gives up as well."""

    actor: str


class Asks(Protocol):
    """Asks one agent to do one thing now."""

    async def ask(self, question: Question) -> AgentAnswer:
        """Return what the agent answers.

        Raises:
            AgentNotThere: No queue takes requests to it.
            AgentTimeout: It has not answered in so many seconds.
            Unavailable: The broker does not answer.
        """
        ...


class Asker:
    """Asks over the broker; the answers to all that it asks come under one key of its own."""

    def __init__(self, connection: RobustConnection, sender: Sender) -> None:
        self._connection = connection
        self._sender = sender
        self._key = f"agent.answer.{uuid4().hex}"
        self._waiting: dict[str, asyncio.Future[AgentAnswer]] = {}

    async def listen(self) -> None:
        """Hear answers from now on, until the connection is closed for good."""
        await listen_to({self._key: self._hear}, connection=self._connection)

    async def ask(self, question: Question) -> AgentAnswer:
        """Return what the agent answers.

        Raises:
            AgentNotThere: No queue takes requests to it.
            AgentTimeout: It has not answered in so many seconds.
            Unavailable: The broker does not answer.
        """
        request = AgentInvoke(
            request_id=uuid4().hex,
            agent_id=question.agent_id,
            action=question.action,
            payload=question.payload,
            timeout=question.timeout,
            reply_to=self._key,
            actor=question.actor,
        )
        key = request_key(question.role, question.agent_type, question.agent_id)
        answered: asyncio.Future[AgentAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[request.request_id] = answered
        try:
            async with asyncio.timeout(question.timeout):
                match await self._sender.send(encode_request(request, key=key)):
                    case "unroutable":
                        raise AgentNotThere(question.agent_id, "listens to no requests")
                    case "nacked" | "unknown":
                        raise BrokerUnavailable(ConnectionError("it has not taken the request"))
                    case "confirmed":
                        return await answered
        except TimeoutError as error:
            raise AgentTimeout(question.agent_id, question.timeout) from error
        finally:
            del self._waiting[request.request_id]

    def _hear(self, delivery: Delivery) -> None:
        try:
            answer = decode_answer(delivery.body)
        except Unreadable as refusal:
            log.warning("answer.unreadable", code=refusal.code, why=str(refusal))
            return
        waiting = self._waiting.get(answer.request_id)
        if waiting is None or waiting.done():
            log.info("answer.late", agent=answer.agent_id, request=answer.request_id)
        else:
            waiting.set_result(answer)
