"""Agents come and go: they register, agree how to speak, and are deregistered."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, Field

from api.access import May
from api.asked import Asked
from api.deps import Deps, Ports
from api.durations import Moment
from api.errors import NotYours
from api.reading import POSITION, snapshot
from api.tags import IfMatch
from bus.protocol import Offer, Signing, Terms, agree, signing_with
from domain.agent import AgentDeregistered, AgentRegistered, Capacity
from domain.errors import TooHeavy
from domain.identity import Caller
from domain.recorded import derived_id
from domain.values import AgentId, AgentType, JsonObject, Name, Role
from domain.weights import weight
from projections.agents import AGENTS, read_agent

router = APIRouter(prefix="/agents", tags=["agents"])

AGENT_TOKEN = timedelta(minutes=15)
"""How long an agent may show its token; registering again gives the next one."""

LARGEST_METADATA = 64 * 1024
"""Bytes of JSON that an agent may say of itself."""

_Key = Annotated[
    str | None, Header(min_length=1, max_length=200, description="Asked twice, done once.")
]


class RegistrationRequest(Asked):
    """What an agent is."""

    agent_id: AgentId
    agent_type: AgentType
    role: Role = "execution"
    capabilities: Annotated[tuple[Name, ...], Field(max_length=200)] = ()
    capacity: Capacity = Capacity()
    metadata: JsonObject = Field(default_factory=dict)
    """Whatever else is to be shown of it. ``actions``: what it can be asked, where it says so."""

    instance: Name | None = None
    """Which start of it this is, as its heartbeats say; left out, each registration is another."""

    protocol: Offer = Offer()
    """How it can speak."""


class RegisteredAnswer(BaseModel):
    """An agent is registered."""

    agent_id: str
    status: Literal["registered"] = "registered"
    registered_at: Moment
    token: str
    """Identifies it for a quarter of an hour; registering again gives the next one."""

    agent_type: str
    role: Role
    instance: str
    """Which start of it is registered: its heartbeats have to say the same."""

    protocol: Terms
    signing: Signing | None = None
    """The key that it signs with from now on, where it has offered to."""


class DeregisteredAnswer(BaseModel):
    """An agent is not registered any more."""

    agent_id: str
    status: Literal["deregistered"] = "deregistered"
    message: str


@router.post("/register", status_code=201)
async def register_agent(
    asked: RegistrationRequest,
    ports: Ports,
    response: Response,
    caller: Annotated[Caller, Depends(May("agent:register"))],
    idempotency_key: _Key = None,
) -> RegisteredAnswer:
    """Register an agent, and agree with it how to speak over AMQP.

    An agent that can sign (`"protocol": {"signatures": ["hmac-sha256"]}`) is handed a key, once.
    Registering again gives another one, also with the same `Idempotency-Key`; the one before counts
    for a minute more.
    """
    if caller.role == "agent" and caller.subject != asked.agent_id:
        raise NotYours(caller.subject, asked.agent_id)
    if (has := weight(asked.metadata)) > LARGEST_METADATA:
        raise TooHeavy("the metadata is too much", has, LARGEST_METADATA)
    terms = agree(
        asked.protocol,
        asked.agent_id,
        asked.agent_type,
        asked.role,
        heartbeat=ports.heartbeat.total_seconds(),
        lease=ports.lease.total_seconds(),
        signatures=ports.signatures,
    )
    named = f"{caller.actor}/{idempotency_key}" if idempotency_key else ports.new_id()
    start = derived_id(named, asked.agent_id)
    instance = asked.instance or start
    registered = AgentRegistered(
        agent_id=asked.agent_id,
        agent_type=asked.agent_type,
        role=asked.role,
        capabilities=asked.capabilities,
        capacity=asked.capacity,
        metadata=asked.metadata,
        encodings=("gzip",) if terms.encoding == "gzip" else (),
        instance=instance,
    )
    outcome = await ports.say(
        registered, actor=caller.actor, report_id=derived_id(start, registered.type)
    )
    if outcome.events:
        registered_at, position = outcome.events[0].at, outcome.position
    else:  # it was registered before, as it is
        async with snapshot(ports, AGENTS) as read:
            known = await read_agent(read.connection, asked.agent_id)
        registered_at = known.row.registered_at if known else ports.clock.now()
        position = read.position
    response.headers["Location"] = f"/api/v1/agents/{asked.agent_id}"
    response.headers[POSITION] = str(position)
    response.headers["Cache-Control"] = "no-store"
    signing = await _signing(ports, asked, outcome.version, caller)
    return RegisteredAnswer(
        agent_id=asked.agent_id,
        registered_at=registered_at,
        token=await _token(ports, asked.agent_id, instance, caller),
        agent_type=asked.agent_type,
        role=asked.role,
        instance=instance,
        protocol=terms,
        signing=signing,
    )


@router.delete("/{agent_id}")
async def deregister_agent(
    agent_id: Annotated[AgentId, Path()],
    ports: Ports,
    response: Response,
    caller: Annotated[Caller, Depends(May("agent:manage"))],
    reason: Annotated[str, Query(max_length=500, description="Why, for the record.")] = "",
    at_version: IfMatch = None,
) -> DeregisteredAnswer:
    """Deregister an agent: it is told to take no more work, and has to register again to do so."""
    goodbye = AgentDeregistered(agent_id=agent_id, reason=reason)
    outcome = await ports.say(
        goodbye,
        actor=caller.actor,
        report_id=derived_id(ports.new_id(), agent_id),
        at_version=at_version,
    )
    await ports.identity.accounts.revoke_subject(f"agents/{agent_id}", now=ports.clock.now())
    if ports.agent_keys is not None:
        because = f"deregistered by {caller.actor}"
        await ports.agent_keys.revoke(agent_id, because=because, before=outcome.version)
    await ports.identity.auditor.note("agent.revoked", agent_id, actor=caller.actor, detail=reason)
    message = "Agent was not registered any more"
    if outcome.events:
        message = "Agent deregistered successfully"
        response.headers[POSITION] = str(outcome.position)
    return DeregisteredAnswer(agent_id=agent_id, message=message)


async def _signing(
    ports: Deps, asked: RegistrationRequest, version: int, caller: Caller
) -> Signing | None:
    """Hand out a key, where one was asked for and signatures are looked at."""
    if not asked.protocol.signatures or ports.agent_keys is None:
        return None
    key = await ports.agent_keys.replace(asked.agent_id, by=caller.actor, since=version)
    await ports.identity.auditor.note(
        "agent.token-issued", asked.agent_id, actor=caller.actor, detail=f"with {key.key_id}"
    )
    return signing_with(key)


async def _token(ports: Deps, agent_id: str, instance: str, caller: Caller) -> str:
    """Issue the token of one start of an agent; it renews it by registering again."""
    await ports.identity.auditor.note("agent.token-issued", agent_id, actor=caller.actor)
    return ports.identity.tokens.issue(
        "agent+jwt",
        agent_id,
        instance,
        token_id=ports.new_id(),
        now=ports.clock.now(),
        lifetime=AGENT_TOKEN,
    )
