"""Orders that follow from events: who loses an attempt is told, and who may begin an effect."""

from dataclasses import replace

import pytest

from bus.orders import AgentStop, Order, TaskGrant, TaskStop, decode_order, orders_of
from bus.refusals import Unreadable
from domain.agent import AgentDeregistered
from domain.policies import Event
from domain.run_events import TaskCancelled, TaskTimedOut
from tests.support.making import RUN_ID, completed, lost, started
from tests.support.recording import recorded

STOP = TaskStop(run_id=RUN_ID, task_id="a", epoch=1)
CLAIM = started("a").model_copy(update={"is_claim": True})


def timed_out(agent_id: str | None) -> TaskTimedOut:
    return TaskTimedOut(run_id=RUN_ID, task_id="a", epoch=1, agent_id=agent_id, timeout="run")


def cancelled(agent_id: str | None) -> TaskCancelled:
    return TaskCancelled(run_id=RUN_ID, task_id="a", epoch=1, agent_id=agent_id)


@pytest.mark.parametrize(
    ("event", "order"),
    [
        (CLAIM, TaskGrant(run_id=RUN_ID, task_id="a", epoch=1)),
        (cancelled("ann"), STOP),
        (lost("a"), STOP),
        (timed_out("ann"), STOP),
    ],
    ids=lambda x: x.type,
)
def test_an_agent_is_told_what_becomes_of_its_attempt(event: Event, order: Order) -> None:
    [message] = orders_of(recorded(RUN_ID, 3, event))
    assert (message.exchange, message.key) == ("taskloom.signals", "order.ann")
    assert not message.mandatory
    assert decode_order(message.body) == order


def test_an_agent_is_told_that_somebody_has_deregistered_it() -> None:
    event = AgentDeregistered(agent_id="ann", instance="ann-2")
    [message] = orders_of(recorded("agent:ann", 3, event))
    assert message.key == "order.ann"
    assert decode_order(message.body) == AgentStop(instance="ann-2")
    goodbye = replace(recorded("agent:ann", 3, event), actor="agents/ann")
    assert orders_of(goodbye) == []  # who leaves knows


@pytest.mark.parametrize(
    "event", [started("a"), completed("a"), cancelled(None), timed_out(None)], ids=lambda x: x.type
)
def test_nobody_is_told_what_concerns_nobody(event: Event) -> None:
    assert orders_of(recorded(RUN_ID, 3, event)) == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"type":"task.stop","epoch":0}'])
def test_what_is_no_order_is_refused(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        decode_order(raw)
