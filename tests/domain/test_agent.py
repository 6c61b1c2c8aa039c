"""The rules of an agent, one sentence each."""

import pytest

from domain.agent import (
    Agent,
    AgentDeregistered,
    AgentRegistered,
    AgentReport,
    AgentStatus,
    agent_stream,
    evolve,
)
from domain.errors import OtherAgent, UnknownAgent
from tests.support.scenario import given

HELLO = AgentRegistered(agent_id="ann", agent_type="CAD", instance="ann-1")
AGAIN = AgentRegistered(agent_id="ann", agent_type="CAD", instance="ann-2")
WORN = AgentStatus(agent_id="ann", lifecycle="working", health="degraded", reason="hot")
GOODBYE = AgentDeregistered(agent_id="ann", instance="ann-1")


def test_an_agent_introduces_itself() -> None:
    given().when(HELLO).then(HELLO)


def test_the_same_introduction_again_says_nothing_new() -> None:
    given(HELLO).when(HELLO).then()


def test_another_start_of_an_agent_introduces_itself_anew() -> None:
    given(HELLO).when(AGAIN).then(AGAIN)


def test_an_agent_may_come_back_as_it_was() -> None:
    given(HELLO, GOODBYE).when(HELLO).then(HELLO)
    agent = evolve(evolve(evolve(None, HELLO), GOODBYE), HELLO)
    assert agent == Agent(registration=HELLO)


@pytest.mark.parametrize("report", [WORN, GOODBYE], ids=lambda report: report.type)
def test_an_agent_that_never_registered_is_unknown(report: AgentReport) -> None:
    given().when(report).then_refused(UnknownAgent, "ann", "agent.registered first")


def test_a_change_of_health_is_recorded_once() -> None:
    given(HELLO).when(WORN).then(WORN)
    given(HELLO, WORN).when(WORN).then()
    given(HELLO, WORN).when(WORN.model_copy(update={"reason": "still hot"})).then()


def test_an_agent_that_left_has_no_health() -> None:
    given(HELLO, GOODBYE).when(WORN).then()


def test_an_agent_says_goodbye_once() -> None:
    given(HELLO).when(GOODBYE).then(GOODBYE)
    given(HELLO, GOODBYE).when(GOODBYE).then()


def test_the_goodbye_of_an_earlier_start_does_not_mean_this_one() -> None:
    given(HELLO, AGAIN).when(GOODBYE).then()


def test_somebody_may_say_goodbye_for_whichever_start_it_is() -> None:
    anyone = AgentDeregistered(agent_id="ann")
    given(HELLO, AGAIN).when(anyone).then(anyone.model_copy(update={"instance": "ann-2"}))


@pytest.mark.parametrize("other", [{"agent_type": "SIM"}, {"role": "planning"}])
def test_an_id_stands_for_one_kind_of_agent_as_long_as_it_is_registered(
    other: dict[str, str],
) -> None:
    stranger = AGAIN.model_copy(update=other)
    given(HELLO).when(stranger).then_refused(OtherAgent, "ann", "CAD, execution")
    given(HELLO, GOODBYE).when(stranger).then(stranger)


def test_an_agent_that_left_is_offline() -> None:
    agent = evolve(evolve(evolve(None, HELLO), WORN), GOODBYE)
    assert (agent.lifecycle, agent.health, agent.is_registered) == ("shutdown", "offline", False)


def test_an_agent_has_a_stream_of_its_own() -> None:
    assert agent_stream("ann") == "agent:ann"
