"""The gate before the record: who sent a report, and whether they may say it.

What is proven comes from the broker (``senders.py``) or from a signature. An agent of one type
speaks for agents of that type only, and whoever has offended too often is not heard for a while.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog

from bus.envelope import agent_actor
from bus.heard import Heard
from bus.ports import Clock, Streams
from bus.recorder import Recorder
from bus.refusals import (
    BadSignature,
    IdentityMismatch,
    MissingSignature,
    MissingUserId,
    ReplacedKey,
    Suspended,
    UnsupportedEncoding,
)
from bus.senders import Sender as User
from bus.senders import kind_name, sender_of
from bus.signals import Heartbeat
from bus.signatures import Signatures
from bus.suspects import fingerprint
from bus.telling import saying, tell
from domain.agent import Agent, AgentDeregistered, AgentRegistered, agent_stream
from domain.policies import AnyReport, Event
from domain.recorded import Recorded, Report
from domain.sender import (
    TOLERATED,
    Sender,
    SenderOffended,
    SenderReleased,
    SenderSuspended,
    evolve,
    sender_stream,
)
from domain.vouched import ForeignAgent

log = structlog.get_logger(__name__)

ACTOR: Final = "taskloom.gate"
OFFENCES: Final = frozenset({IdentityMismatch.code, ForeignAgent.code, BadSignature.code})
"""Refusals that no mistake leads to: they are recorded, and the third suspends."""

_REFUSALS: Final = (
    BadSignature,
    IdentityMismatch,
    MissingSignature,
    MissingUserId,
    ReplacedKey,
    Suspended,
    UnsupportedEncoding,
)
_REMEMBERED: Final = 10_000
_UNKNOWN: Final = "unknown"


class Gate:
    """Knows who may say what, from the record and from what it has heard since."""

    def __init__(
        self,
        streams: Streams,
        recorder: Recorder,
        clock: Clock,
        *,
        requires_user: bool = False,
        signatures: Signatures | None = None,
    ) -> None:
        """Take where agents and senders are recorded.

        ``requires_user`` refuses whatever does not say which user of the broker sent it. Without
        ``signatures``, none is looked at.
        """
        self._signatures = signatures
        self._streams = streams
        self._recorder = recorder
        self._clock = clock
        self._requires_user = requires_user
        self._agents: OrderedDict[str, AgentRegistered | None] = OrderedDict()
        self._senders: OrderedDict[str, Sender | None] = OrderedDict()

    async def check(self, group: Sequence[Heard]) -> None:
        """Refuse what is not for its senders to say, and tell the record who is vouched for.

        Raises:
            Unavailable: The database does not answer; checking again does no harm.
        """
        if self._signatures is not None:
            said = [said for heard in group if (said := heard.said)]
            await self._signatures.look_up(each.key_id for each in said)
        for heard in group:
            if heard.report is None:
                continue
            user = sender_of(heard.delivery.properties)
            try:
                await self._check(heard, heard.report, user)
            except _REFUSALS as refusal:
                heard.refuse(refusal)
            else:
                if user.kind:
                    heard.report = replace(heard.report, vouched=user.kind)

    async def tell(self, group: Sequence[Heard]) -> None:
        """Record the offences in a group.

        Raises:
            Unavailable: Some may not be recorded; telling them again does no harm.
        """
        now = self._clock.now()
        by_sender: dict[str, list[Report[AnyReport]]] = {}
        for heard in group:
            refusal = heard.refusal
            if refusal is None or refusal.code not in OFFENCES:
                continue
            user = sender_of(heard.delivery.properties)
            name = agent_actor(heard.signer) if heard.signer else user.user or _UNKNOWN
            message_id = (heard.delivery.properties.message_id or "").replace("\0", "")
            offended = SenderOffended(
                sender=name,
                reason=refusal.code,
                detail=str(refusal)[:1_000],
                message_id=message_id,
                fingerprint=fingerprint(heard.delivery)[:32],
                at=now,
                may_suspend=bool(user.kind or heard.signer),
            )
            stream = sender_stream(name)
            purpose = f"{offended.fingerprint}/{now.isoformat()}"
            report = saying(offended, stream, purpose=purpose, now=now, actor=ACTOR)
            by_sender.setdefault(name, []).append(report)
        reports = [one for said in by_sender.values() for one in said[:TOLERATED]]
        if reports:
            self.note(await tell(self._recorder, reports))

    def note(self, events: Sequence[Recorded[Event]]) -> None:
        """Hear what is recorded, by whomever."""
        for recorded in events:
            match recorded.event:
                case AgentRegistered() as event:
                    self._remember(self._agents, event.agent_id, event)
                case AgentDeregistered() as event:
                    self._remember(self._agents, event.agent_id, None)
                case SenderSuspended() | SenderReleased() as event:
                    log.error(event.type, sender=event.sender)
                    self._remember(self._senders, event.sender, evolve(None, event))
                case _:
                    pass

    async def revoke(self, events: Sequence[Recorded[Event]]) -> None:
        """Revoke the keys of agents that somebody else has deregistered; goodbyes revoke nothing.

        What an agent was handed since, because it has registered again, goes on counting.

        Raises:
            Unavailable: Some may not be revoked; doing it again does no harm.
        """
        if self._signatures is None:
            return
        for recorded in events:
            event = recorded.event
            if isinstance(event, AgentDeregistered) and recorded.actor != agent_actor(
                event.agent_id
            ):
                because = f"deregistered by {recorded.actor}"
                await self._signatures.revoke(
                    event.agent_id, because=because, before=recorded.version
                )

    def unless_suspended(self, hear: Callable[[Heartbeat], None]) -> Callable[[Heartbeat], None]:
        """Return an ear that is deaf to who is suspended: their leases end, and others work."""

        def hear_others(heartbeat: Heartbeat) -> None:
            user = f"agent.{kind_name(heartbeat.role, heartbeat.agent_type)}"
            signer = agent_actor(heartbeat.agent_id)
            if not (self._is_suspended(user) or self._is_suspended(signer)):
                hear(heartbeat)

        return hear_others

    async def _check(self, heard: Heard, report: Report[AnyReport], user: User) -> None:
        if self._requires_user and not user.user:
            raise MissingUserId("the user_id is not set; it has to be the user of the connection")
        agent_id: str | None = getattr(report.body, "agent_id", None)
        if user.kind:
            await self._refuse_suspended(user.user)
            await self._check_kind(report, user, agent_id)
        if self._signatures is not None and (said := heard.said):
            heard.signer = self._signatures.signer_of(said)
        if heard.signer:
            await self._refuse_suspended(agent_actor(heard.signer))
        if heard.encoding is not None:
            agent = None if agent_id is None else await self._agent(agent_id)
            if agent is None or heard.encoding not in agent.encodings:
                raise UnsupportedEncoding(
                    f"the content_encoding is {heard.encoding!r}, but its sender did not say so"
                    " in its registration"
                )
        if isinstance(body := report.body, AgentRegistered):
            known = await self._agent(body.agent_id)
            if known is None or (known.role, known.agent_type) == (body.role, body.agent_type):
                self._remember(self._agents, body.agent_id, body)  # its next report comes soon

    async def _check_kind(
        self, report: Report[AnyReport], user: User, agent_id: str | None
    ) -> None:
        if agent_id is None:
            raise IdentityMismatch(f"{user.user} speaks for agents, and for nobody else")
        registered = await self._agent(agent_id)
        if isinstance(report.body, AgentRegistered):
            _refuse_another(user, report.body)
        if registered is not None:
            _refuse_another(user, registered)

    async def _refuse_suspended(self, name: str) -> None:
        sender = await self._sender(name)
        if sender is not None and sender.is_suspended(self._clock.now()):
            raise Suspended(f"{name} is suspended until {sender.until:%H:%M:%S} UTC")

    async def _agent(self, agent_id: str) -> AgentRegistered | None:
        if agent_id not in self._agents:
            state, _ = await self._streams.load(agent_stream(agent_id))
            is_there = isinstance(state, Agent) and state.is_registered
            self._remember(self._agents, agent_id, state.registration if is_there else None)
        return self._agents[agent_id]

    async def _sender(self, name: str) -> Sender | None:
        if name not in self._senders:
            state, _ = await self._streams.load(sender_stream(name))
            self._remember(self._senders, name, state)
        return self._senders[name]

    def _is_suspended(self, name: str) -> bool:
        sender = self._senders.get(name)
        return sender is not None and sender.is_suspended(self._clock.now())

    @staticmethod
    def _remember(known: OrderedDict[str, Any], name: str, what: object) -> None:
        known[name] = what
        known.move_to_end(name)
        if len(known) > _REMEMBERED:
            known.popitem(last=False)


def _refuse_another(user: User, agent: AgentRegistered) -> None:
    kind = kind_name(agent.role, agent.agent_type)
    if kind != user.kind:
        raise IdentityMismatch(
            f"{agent.agent_id} is registered as {kind}; {user.user} speaks for {user.kind} only"
        )
