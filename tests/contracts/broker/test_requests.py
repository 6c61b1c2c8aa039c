"""An agent is asked, and answers: the same on either broker."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from agents.agent import Agent, CannotBeDone, Work
from bus.asking import AgentNotThere, AgentTimeout, Asker, Question
from bus.connect import connect
from bus.heartbeats import listen
from bus.orders import AgentStop, encode_order
from bus.publishing import Publisher
from bus.requests import AgentAnswer
from bus.signals import Heartbeat
from bus.topology import declare, topology
from domain.values import JsonObject
from tests.agents.kit.running import Running
from tests.contracts.broker.client import until


class Switchboard:
    """Asks one agent, and hears its heartbeats."""

    def __init__(self, asker: Asker, publisher: Publisher, agent_id: str) -> None:
        self._asker = asker
        self.publisher = publisher
        self.agent_id = agent_id
        self.heartbeats: list[Heartbeat] = []

    def hear(self, heartbeat: Heartbeat) -> None:
        if heartbeat.agent_id == self.agent_id:
            self.heartbeats.append(heartbeat)

    async def ask(
        self, action: str, payload: JsonObject | None = None, *, seconds: float = 20.0
    ) -> AgentAnswer:
        return await self._asker.ask(
            Question(
                agent_id=self.agent_id,
                role="execution",
                agent_type="TEST",
                action=action,
                payload=payload or {},
                timeout=seconds,
                actor="users/ada",
            )
        )

    async def is_there(self) -> None:
        """Return when the agent listens: it makes its queues before its heart beats."""
        await until(lambda: bool(self.heartbeats))


@pytest.fixture
async def board(amqp_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Switchboard]:
    # Contracts share a virtual host: each asks an agent of its own.
    agent_id = f"asked-{abs(hash(request.node.nodeid)):x}"
    async with await connect(amqp_url, name="asks") as connection, Publisher(connection) as sender:
        async with connection.channel() as channel:
            await declare(channel, topology(planning=(), execution=("TEST",)))
        asker = Asker(connection, sender)
        await asker.listen()
        board = Switchboard(asker, sender, agent_id)
        await listen(connection, board.hear)
        yield board


def agent(go: asyncio.Event) -> Agent:
    async def double(work: Work) -> JsonObject:
        return {"twice": 2 * int(str(work.params["n"]))}

    async def refuse(_: Work) -> JsonObject:
        raise CannotBeDone("no bore")

    async def wait(_: Work) -> JsonObject:
        await go.wait()
        return {}

    return Agent(type="TEST", actions={"double": double, "refuse": refuse, "wait": wait})


async def test_an_agent_answers_who_asks(board: Switchboard, amqp_url: str) -> None:
    async with Running(agent(asyncio.Event()), amqp_url, agent_id=board.agent_id):
        await board.is_there()
        answers = await asyncio.gather(*(board.ask("double", {"n": n}) for n in range(20)))
        assert [answer.result for answer in answers] == [{"twice": 2 * n} for n in range(20)]
        assert {answer.agent_id for answer in answers} == {board.agent_id}
        failed = await board.ask("refuse")
        assert (failed.status, failed.error_class) == ("failed", "validation")
        assert (failed.reason, failed.result) == ("no bore", None)
        unknown = await board.ask("dance")
        assert unknown.status == "refused"
        assert "cannot dance" in unknown.reason


async def test_who_has_no_place_free_says_so_at_once(board: Switchboard, amqp_url: str) -> None:
    go = asyncio.Event()
    running = Running(agent(go), amqp_url, agent_id=board.agent_id, concurrency=2)
    async with running:
        await board.is_there()
        waiting = [asyncio.create_task(board.ask("wait")) for _ in range(2)]
        await until(lambda: board.heartbeats[-1].load == 1.0)
        assert (await board.ask("double", {"n": 1})).status == "busy"
        go.set()
        assert [(await each).status for each in waiting] == ["completed"] * 2
        await until(lambda: board.heartbeats[-1].load == 0.0)
        assert (await board.ask("double", {"n": 1})).result == {"twice": 2}


async def test_nobody_waits_longer_than_they_said(board: Switchboard, amqp_url: str) -> None:
    async with Running(agent(asyncio.Event()), amqp_url, agent_id=board.agent_id):
        await board.is_there()
        with pytest.raises(AgentTimeout, match=r"within 0\.3 s"):
            await board.ask("wait", seconds=0.3)
        # Its place is free again: the agent has given up as well.
        await until(lambda: board.heartbeats[-1].load == 0.0)


async def test_an_agent_that_is_not_there_takes_no_requests(
    board: Switchboard, amqp_url: str
) -> None:
    with pytest.raises(AgentNotThere, match="listens to no requests"):
        await board.ask("double", {"n": 1})
    async with Running(agent(asyncio.Event()), amqp_url, agent_id=board.agent_id):
        await board.is_there()
        assert (await board.ask("double", {"n": 1})).status == "completed"
    with pytest.raises(AgentNotThere):
        await board.ask("double", {"n": 1})


async def test_an_agent_that_is_dismissed_finishes_and_takes_no_more(
    board: Switchboard, amqp_url: str
) -> None:
    go = asyncio.Event()
    async with Running(agent(go), amqp_url, agent_id=board.agent_id, grace=0.1) as running:
        await board.is_there()
        waiting = asyncio.create_task(board.ask("wait"))
        await until(lambda: board.heartbeats[-1].load > 0)
        for number, instance in enumerate(("another", board.heartbeats[-1].instance)):
            stop = encode_order(
                AgentStop(instance=instance), board.agent_id, message_id=f"stop-{number}"
            )
            assert await board.publisher.send(stop) == "confirmed"
        await until(lambda: board.heartbeats[-1].lifecycle == "shutdown")

        async def takes_no_requests() -> bool:
            try:
                await board.ask("double", {"n": 1})
            except AgentNotThere:
                return True
            return False

        await until(takes_no_requests)
        assert board.heartbeats[-1].load > 0
        go.set()
        assert (await waiting).status == "completed"
        await until(lambda: board.heartbeats[-1].load == 0.0)
        assert not running.task.done()  # it stays away until it is ended
