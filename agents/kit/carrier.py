"""The life of one piece of work at an agent: taken, reported as started, acked, carried out."""

import asyncio
from typing import Final

import structlog

from agents.agent import Agent, Work
from agents.kit.dependencies import Dependencies
from agents.kit.draining import drain
from agents.kit.ended import Attempt, Ended
from agents.kit.gate import Gate
from agents.kit.held import Held
from agents.kit.identity import Identity
from agents.kit.outcome import completed, failed, traced, with_calls
from agents.kit.reporter import Reporter
from bus.dead_letters import Origin
from bus.envelope import decode_recorded
from bus.failpoints import reach
from bus.messages import Message
from bus.orders import AgentStop, Order
from bus.ports import SystemClock, Taken
from bus.signals import HeldTask
from domain.errors import Refused
from domain.health import FAULTS
from domain.recorded import Recorded
from domain.run_events import (
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskStarted,
    TaskStopped,
)
from domain.values import Lane

log = structlog.get_logger(__name__)

_WORK = {"task.dispatched": TaskDispatched}

ASK_AGAIN: Final = 2.0
"""Seconds after which a claim that nobody has granted or refused is reported again."""


class ForeignWork(Refused):
    """Work for another kind of agent was in this one's queue."""

    code = "foreign-work"


class Carrier:
    """Takes deliveries and carries the work out, so many at once.

    A delivery is acked as soon as its start is reported, so that hours of work do not hold it open;
    from there on the lease counts, which heartbeats renew. An attempt that is delivered again while
    it is in hand is not carried out twice, and one that has ended is reported again. An external
    effect begins only when the recorded start was granted.
    """

    def __init__(
        self,
        agent: Agent,
        identity: Identity,
        reporter: Reporter,
        *,
        concurrency: int,
        patience: float,
        dependencies: Dependencies | None = None,
    ) -> None:
        """Take an agent; after ``patience`` seconds a delivery without a place goes back."""
        self._agent = agent
        self.dependencies = dependencies or Dependencies(agent.fuses, clock=SystemClock())
        self._identity = identity
        self._reporter = reporter
        self._patience = patience
        self.gate = Gate(concurrency)
        self.completed = 0
        self.failed = 0
        self.faults = 0
        self.busy_seconds = 0.0
        self._held: dict[Attempt, Held] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._ended = Ended()

    def in_hand(self) -> tuple[HeldTask, ...]:
        """Return every attempt in hand."""
        return tuple(
            HeldTask(
                run_id=run_id,
                task_id=task_id,
                epoch=epoch,
                progress=held.progress,
                state=held.state,
            )
            for (
                run_id,
                task_id,
                epoch,
            ), held in self._held.copy().items()  # the heart asks from a thread
        )

    async def take(self, taken: Taken, *, lane: Lane, queue: str) -> None:
        """Take one delivery, and return when its work has begun or is not ours to do."""
        reach("carrier.after_delivery", taken.body)
        try:
            recorded = self._read(taken.body)
        except Refused as refusal:
            await self._bury(taken, refusal, queue)
            return
        task = recorded.event
        attempt = (task.run_id, task.task_id, task.epoch)
        if held := self._held.get(attempt):
            self._meet_again(held, taken)
        elif report := self._ended.report_of(attempt):
            await self._reporter.insist(report)
            taken.ack()
        else:
            await self._begin(attempt, recorded, taken, lane)

    def obey(self, order: Order) -> None:
        """Do what is ordered of an attempt, if it is in hand."""
        if isinstance(order, AgentStop):
            return
        held = self._held.get((order.run_id, order.task_id, order.epoch))
        if held is None:
            return
        if order.type == "task.grant":
            # What an earlier start of this agent has claimed, it may have begun.
            if order.instance in (None, self._identity.instance):
                held.granted.set()
        else:
            held.stop()

    async def drain(self, grace: float | None) -> None:
        """Wait so many seconds for what runs, or for all of it, and leave the rest to its lease."""
        if late := await drain(self._running, grace):
            log.warning("agent.leaves_work", tasks=late, grace=grace)

    async def _begin(
        self,
        attempt: Attempt,
        recorded: Recorded[TaskDispatched],
        taken: Taken,
        lane: Lane,
    ) -> None:
        held = self._held[attempt] = Held(taken)
        has_place = is_running = False
        try:
            has_place = await self.gate.enter(lane, patience=self._patience)
            if not has_place:
                if not self.gate.is_closed:  # else it goes back with its channel, and not to us
                    await held.delivery.give_back()
                return
            if held.is_stopped:
                held.delivery.ack()
                return
            held.state = "running" if recorded.event.effect == "none" else "claiming"
            await self._report(self._started(recorded.event), recorded)
            reach("carrier.before_ack")
            held.delivery.ack()
            running = asyncio.create_task(self._carry(attempt, recorded, held))
            is_running = True
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        finally:
            if not is_running:
                self._let_go(attempt, has_place=has_place)

    async def _carry(
        self, attempt: Attempt, recorded: Recorded[TaskDispatched], held: Held
    ) -> None:
        try:
            held.begin()
            if held.state == "claiming":
                await self._claim(recorded, held)
            reach("carrier.before_effect")
            began = asyncio.get_running_loop().time()
            body = with_calls(await self._attempt(recorded.event, held), held.calls)
            self.busy_seconds += asyncio.get_running_loop().time() - began
            reach("carrier.after_effect")
            is_done = isinstance(body, TaskCompleted)
            self.completed += is_done
            self.failed += not is_done
            self.faults += isinstance(body, TaskFailed) and body.error_class in FAULTS
            self._ended.remember(attempt, await self._report(body, recorded))
        except asyncio.CancelledError:
            if not held.is_stopped:
                raise
            stopped = with_calls(self._stopped(recorded), held.calls)
            self._ended.remember(attempt, await self._report(stopped, recorded))
        finally:
            self._let_go(attempt, has_place=True)

    async def _claim(self, recorded: Recorded[TaskDispatched], held: Held) -> None:
        """Wait until the recorded start entitles us to the effect; else we are told to stop."""
        while not held.granted.is_set():
            try:
                async with asyncio.timeout(ASK_AGAIN):
                    await held.granted.wait()
            except TimeoutError:
                await self._report(self._started(recorded.event), recorded)
        held.state = "running"

    async def _attempt(self, task: TaskDispatched, held: Held) -> TaskCompleted | TaskFailed:
        work = Work(
            run_id=task.run_id,
            task_id=task.task_id,
            epoch=task.epoch,
            name=task.name,
            action=task.action,
            params=task.params,
            inputs=task.inputs,
            plan_id=task.plan_id,
            progress=held.advance,
            dependency=self.dependencies.using,
            charge=held.calls.append,
            budget=task.budget,
        )
        agent_id = self._identity.agent_id
        try:
            result = await self._agent.carries(task.action)(work)
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            return failed(task, agent_id, error)  # the agent's own function cancelled itself
        except (Exception, SystemExit) as error:  # noqa: BLE001, RUF100 # it may raise anything
            log.info("task.failed", run=task.run_id, task=task.task_id, **traced(error))
            return failed(task, agent_id, error)
        return completed(task, agent_id, result)

    async def _report(
        self,
        body: TaskStarted | TaskCompleted | TaskFailed | TaskStopped,
        because: Recorded[TaskDispatched],
    ) -> Message:
        origin = f"{body.run_id}/{body.task_id}/{body.epoch}"
        message = self._reporter.report(body, origin=origin, because=because)
        await self._reporter.insist(message)
        return message

    def _started(self, task: TaskDispatched) -> TaskStarted:
        return TaskStarted(
            run_id=task.run_id,
            task_id=task.task_id,
            epoch=task.epoch,
            agent_id=self._identity.agent_id,
            instance=self._identity.instance,
        )

    def _stopped(self, recorded: Recorded[TaskDispatched]) -> TaskStopped:
        task = recorded.event
        log.info("task.stopped", run=task.run_id, task=task.task_id, epoch=task.epoch)
        return TaskStopped(
            run_id=task.run_id,
            task_id=task.task_id,
            epoch=task.epoch,
            agent_id=self._identity.agent_id,
        )

    def _read(self, body: bytes) -> Recorded[TaskDispatched]:
        recorded = decode_recorded(body, _WORK)
        wanted, ours = recorded.event, self._identity
        if (wanted.role, wanted.agent) != (ours.role, ours.agent_type):
            raise ForeignWork(
                f"task {wanted.task_id} is {wanted.role} work for {wanted.agent};"
                f" this is {ours.role} for {ours.agent_type}"
            )
        return recorded

    async def _bury(self, taken: Taken, refusal: Refused, queue: str) -> None:
        origin = Origin(exchange=taken.exchange, key=taken.key, queue=queue)
        fallback = f"{self._identity.instance}/{taken.tag}"
        await self._reporter.bury(
            refusal,
            origin,
            body=taken.body,
            message_id=taken.message_id or fallback,
            said=taken.headers,
        )
        taken.ack()

    def _meet_again(self, held: Held, taken: Taken) -> None:
        if held.state == "waiting":
            held.delivery.ack()  # where both came over one channel, nobody else would
            held.delivery = taken
        else:
            taken.ack()

    def _let_go(self, attempt: Attempt, *, has_place: bool) -> None:
        del self._held[attempt]
        if has_place:
            self.gate.leave()
