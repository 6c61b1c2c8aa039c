"""The gate: agents of one type speak for their own kind only, and who offends is suspended."""

from typing import Any

import pytest

from bus.gate import Gate
from bus.heard import Heard, hear
from bus.messages import Delivery
from bus.refusals import IdentityMismatch, Suspended
from bus.senders import USER
from bus.signals import Heartbeat
from domain.run_events import RunRequested
from domain.sender import SUSPENSION, SenderReleased, sender_stream
from domain.tasks import Task
from tests.support.inboxes import World, attempt, delivery, goal, hello
from tests.support.recorders import recording
from tests.support.recording import said

CAD, SIM = "agent.execution.cad", "agent.execution.sim"
RUN = "exec_1"


async def run_of_cad(world: World) -> None:
    """Have a run whose one task is work for CAD agents."""
    body = RunRequested(
        run_id=RUN,
        plan_id="plan_1",
        kind="execution",
        tasks=(Task(id="a", name="A", agent="CAD"),),
    )
    async with recording(world.store, clock=world.clock) as recorder:
        await recorder.record(said(body, report_id="run", stream=RUN))


def forged(number: int) -> Delivery:
    """Return what an agent of another type says about the task, each time in another message."""
    return delivery(
        attempt("task.completed", "sid", run_id=RUN, ident=f"forged-{number}"), user_id=SIM
    )


async def test_agents_of_the_right_type_are_heard() -> None:
    world = World(requires_user=True)
    await run_of_cad(world)
    life = [hello("ann"), attempt("task.started", "ann", run_id=RUN)]
    life += [attempt("task.completed", "ann", run_id=RUN, result={})]
    assert await world.hear([delivery(one, user_id=CAD) for one in life]) == []
    assert "task.completed" in world.types


@pytest.mark.proves("S-12a", "A-10")
@pytest.mark.parametrize("kind", ["task.started", "task.completed", "task.failed", "task.stopped"])
async def test_agents_of_another_type_say_nothing_of_the_task(kind: str) -> None:
    world = World()
    await run_of_cad(world)
    more: dict[str, Any] = {"reason": "no"} if kind == "task.failed" else {}
    message = delivery(attempt(kind, "sid", run_id=RUN, **more), user_id=SIM)
    assert await world.hear([message]) == ["foreign-agent"]
    assert world.types[-2:] == ["task.dispatched", "sender.offended"]


@pytest.mark.proves("S-12a", "A-10")
async def test_an_agent_of_one_type_is_not_registered_as_one_of_another() -> None:
    world = World()
    assert await world.hear([delivery(hello("ann", "SIM"), user_id=CAD)]) == ["identity-mismatch"]
    assert world.types == ["sender.offended"]


@pytest.mark.proves("S-12a")
async def test_the_name_of_an_agent_is_not_taken_by_another_type() -> None:
    world = World()
    taken = delivery(hello("ann", "SIM", "again"), user_id=SIM)
    left = delivery(hello("ann") | {"type": "agent.status", "id": "s"}, user_id=SIM)
    assert await world.hear([delivery(hello("ann"), user_id=CAD)], [taken]) == ["identity-mismatch"]
    assert await world.hear([taken]) == ["identity-mismatch"], "the next coordinator knows, too"
    assert left.properties.user_id == SIM


@pytest.mark.proves("S-12a")
async def test_agents_speak_for_nobody_but_agents() -> None:
    world = World()
    assert await world.hear([delivery(goal("plan_2"), user_id=CAD)]) == ["identity-mismatch"]


async def test_services_speak_for_everybody_and_are_never_suspended() -> None:
    world = World()
    wrong = [
        delivery(hello(f"bob{n}") | {"source": "/agents/eve"}, user_id="api") for n in range(9)
    ]
    assert await world.hear(wrong) == ["identity-mismatch"] * 9
    assert world.types == ["sender.offended"] * 3, "three are told, not all of them"
    assert await world.hear([delivery(goal("plan_2"), user_id="api")]) == []


@pytest.mark.proves("A-08")
async def test_who_does_not_say_who_it_is_is_refused_where_all_have_to() -> None:
    anonymous = delivery(hello("ann"))
    assert await World().hear([anonymous]) == []
    assert await World(requires_user=True).hear([anonymous]) == ["missing-user-id"]


@pytest.mark.proves("S-12a", "A-10")
async def test_the_third_offence_suspends_for_a_while() -> None:
    world = World()
    await run_of_cad(world)
    good = delivery(hello("sue", "SIM"), user_id=SIM)
    assert await world.hear([forged(1)], [forged(2)]) == ["foreign-agent"] * 2
    assert "sender.suspended" not in world.types
    assert await world.hear([forged(3)]) == ["foreign-agent"]
    assert world.types[-2:] == ["sender.offended", "sender.suspended"]
    assert await world.hear([good]) == ["suspended"], "the next coordinator knows, too"
    assert await world.hear([delivery(hello("ann"), user_id=CAD)]) == [], "others are heard"
    world.clock.pass_by(SUSPENSION.total_seconds())
    assert await world.hear([good]) == []


async def test_an_offence_counts_at_once() -> None:
    world = World()
    lies = [Heard(delivery(hello(f"bob{n}"), user_id=SIM), None) for n in range(3)]
    for lie in lies:
        lie.refuse(IdentityMismatch("he is another"))
    honest = hear(delivery(hello("sue", "SIM"), user_id=SIM))
    async with recording(world.store, clock=world.clock) as recorder:
        gate = Gate(world.store, recorder, world.clock)
        await gate.check([hear(delivery(hello("zoe", "SIM"), user_id=SIM))])
        await gate.tell(lies)
        await gate.check([honest])
    assert isinstance(honest.refusal, Suspended)


async def test_one_message_that_comes_again_and_again_is_one_offence() -> None:
    world = World()
    await run_of_cad(world)
    for _ in range(5):
        assert await world.hear([forged(1)]) == ["foreign-agent"]
    assert world.types.count("sender.offended") == 1


async def test_a_person_ends_a_suspension() -> None:
    world = World()
    await run_of_cad(world)
    await world.hear([forged(1)], [forged(2)], [forged(3)])
    released = SenderReleased(sender=SIM, reason="the bug is found")
    async with recording(world.store, clock=world.clock) as recorder:
        await recorder.record(said(released, report_id="r", stream=sender_stream(SIM)))
    assert await world.hear([delivery(hello("sue", "SIM"), user_id=SIM)]) == []


async def test_heartbeats_of_who_is_suspended_are_not_heard() -> None:
    world = World()
    await run_of_cad(world)
    await world.hear([forged(1)], [forged(2)], [forged(3)])
    heard: list[Heartbeat] = []
    async with recording(world.store, clock=world.clock) as recorder:
        gate = Gate(world.store, recorder, world.clock)
        ear = gate.unless_suspended(heard.append)
        gate.note([event for event in world.store.events if event.type == "sender.suspended"])
        for kind in ("SIM", "CAD"):
            ear(
                Heartbeat(
                    agent_id=kind,
                    agent_type=kind,
                    role="execution",
                    instance="1",
                    lifecycle="ready",
                    load=0,
                    at=world.clock.now(),
                    cpu=0,
                    memory_bytes=0,
                )
            )
    assert [one.agent_id for one in heard] == ["CAD"]


async def test_who_sent_a_letter_that_is_sent_again_is_not_forgotten() -> None:
    world = World(requires_user=True)
    message = hello("ann", "SIM")
    again = delivery(message, user_id="coordinator", headers={USER: CAD})
    assert await world.hear([again]) == ["identity-mismatch"]
    by_nobody = delivery(message, user_id="coordinator", headers={USER: ""})
    assert await world.hear([by_nobody]) == ["missing-user-id"]
    lied = delivery(message, user_id=CAD, headers={USER: SIM})
    assert await world.hear([lied]) == ["identity-mismatch"]
