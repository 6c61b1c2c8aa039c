"""Answers requests: one action at a time for whoever waits for it, beside the work."""

import asyncio

import structlog

from agents.agent import Agent, CannotBeDone, Carry, Work
from agents.kit.dependencies import Dependencies
from agents.kit.draining import drain
from agents.kit.gate import Gate
from agents.kit.identity import Identity
from agents.kit.outcome import classified, readable, traced
from bus.messages import Delivery
from bus.ports import Sender
from bus.refusals import Unreadable
from bus.requests import AgentAnswer, AgentInvoke, AnswerStatus, decode_request, encode_answer
from domain.usage import ModelCall, told
from domain.values import JsonObject

log = structlog.get_logger(__name__)


class Answering:
    """Carries requests out, in the places that work has as well, and answers each of them.

    Who finds no place free is told at once that the agent is busy: a request waits for nobody. One
    that has taken as long as its sender is willing to wait is given up.
    """

    def __init__(
        self,
        agent: Agent,
        identity: Identity,
        sender: Sender,
        *,
        gate: Gate,
        dependencies: Dependencies,
    ) -> None:
        self._agent = agent
        self._identity = identity
        self._sender = sender
        self._gate = gate
        self._dependencies = dependencies
        self._running: set[asyncio.Task[None]] = set()

    def hear(self, delivery: Delivery) -> None:
        """Take a request, and answer it as soon as there is an answer."""
        try:
            request = decode_request(delivery.body)
        except Unreadable as refusal:
            log.warning("request.unreadable", code=refusal.code, why=str(refusal))
            return
        answering = asyncio.create_task(self._answer(request), name="answering")
        self._running.add(answering)
        answering.add_done_callback(self._running.discard)

    async def drain(self, grace: float | None) -> None:
        """Wait so many seconds for what runs, and give up the rest."""
        await drain(self._running, grace)

    async def _answer(self, request: AgentInvoke) -> None:
        try:
            carry = self._agent.carries(request.action)
        except CannotBeDone as refusal:
            await self._say(request, self._told(request, "refused", reason=str(refusal)))
            return
        if self._gate.is_closed or not self._gate.has_room:
            taken = f"{self._gate.taken} of {self._gate.places} places are taken"
            await self._say(request, self._told(request, "busy", reason=taken))
            return
        await self._gate.enter("critical", patience=0)  # at once: there is room
        try:
            answer = await self._carry_out(request, carry)
        finally:
            self._gate.leave()
        await self._say(request, answer)

    async def _carry_out(self, request: AgentInvoke, carry: Carry) -> AgentAnswer:
        calls: list[ModelCall] = []
        work = Work(
            run_id="requests",
            task_id=request.request_id,
            epoch=1,
            name=request.action,
            action=request.action,
            params=request.payload,
            dependency=self._dependencies.using,
            charge=calls.append,
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        result: JsonObject | None = None
        error: BaseException | None = None
        try:
            async with asyncio.timeout(request.timeout):
                result = readable(await carry(work))
        except asyncio.CancelledError as cancelled:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            error = cancelled  # the agent's own function cancelled itself
        except (Exception, SystemExit) as raised:  # noqa: BLE001, RUF100 # it may raise anything
            log.info("request.failed", action=request.action, **traced(raised))
            error = raised
        seconds = loop.time() - began
        if error is None:
            answer = self._told(request, "completed", seconds=seconds)
            return answer.model_copy(update={"result": result, "calls": told(calls)})
        error_class, reason = classified(error)
        answer = self._told(request, "failed", reason=reason, seconds=seconds)
        return answer.model_copy(update={"error_class": error_class, "calls": told(calls)})

    def _told(
        self, request: AgentInvoke, status: AnswerStatus, *, reason: str = "", seconds: float = 0.0
    ) -> AgentAnswer:
        return AgentAnswer(
            request_id=request.request_id,
            agent_id=self._identity.agent_id,
            status=status,
            reason=reason,
            seconds=seconds,
        )

    async def _say(self, request: AgentInvoke, answer: AgentAnswer) -> None:
        message_id = f"{request.request_id}/{self._identity.instance}"
        message = encode_answer(answer, key=request.reply_to, message_id=message_id)
        await self._sender.send(message)  # whether it arrives or not: nobody waits for ever
