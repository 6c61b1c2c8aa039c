"""What an agent in any language has to know to take part, and what both sides choose of it."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field

from bus.envelope import CONTENT_TYPE
from bus.orders import order_key
from bus.signals import HEARTBEAT
from bus.signatures import Strictness
from bus.signing import KEY_ID, SIGNATURE, SIGNED_LINES, SigningKey
from bus.strict_json import MAX_BYTES
from bus.topology import EVENTS, REPORTS, SIGNALS, WORK, work_queues
from domain.errors import Refused
from domain.values import AgentId, AgentType, Name, Role, Value

T = TypeVar("T")

VERSIONS: Final[Sequence[int]] = (1,)
"""The versions of the protocol that are spoken here, the preferred one first."""

ENCODINGS: Final[Sequence[Literal["gzip", "identity"]]] = ("gzip", "identity")
"""The content encodings that reports may have, the preferred one first."""

SIGNATURES: Final[Sequence[Literal["hmac-sha256"]]] = ("hmac-sha256",)
"""The ways to sign that are understood, the preferred one first."""

Version = Annotated[int, Field(ge=1, le=1_000_000)]


class NothingInCommon(Refused):
    """An agent speaks in no way that is understood here."""

    code = "nothing-in-common"


class Offer(Value):
    """How an agent can speak."""

    versions: Annotated[tuple[Version, ...], Field(min_length=1, max_length=100)] = (1,)
    encodings: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)] = ("identity",)
    signatures: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    """How it can sign its reports and heartbeats; it is handed a key where it says so."""


class Terms(Value):
    """How an agent and the system speak with each other over AMQP."""

    version: int
    encoding: Literal["gzip", "identity"]
    """How reports may be compressed; what is not compressed is understood as well."""

    content_type: str = CONTENT_TYPE
    """Of reports and events: CloudEvents 1.0 in JSON."""

    signatures: Strictness
    """Whether what agents say has to be signed: ``require``, or only if it is, rightly."""

    max_message_bytes: int = MAX_BYTES
    heartbeat_seconds: float
    """A heartbeat at least as often."""

    lease_seconds: float
    """Who is silent for longer has lost what it had in hand."""

    reports_exchange: str = REPORTS
    """Say here what happened, under its type."""

    signals_exchange: str = SIGNALS
    heartbeat_key: str = HEARTBEAT
    """Send heartbeats to ``signals_exchange`` under this key."""

    order_key: str
    """Hear on ``signals_exchange`` under this key what to let go of."""

    events_exchange: str = EVENTS
    """Follow here what was recorded, by its type."""

    work_exchange: str = WORK
    work_queues: tuple[str, ...]
    """Take work from these, the more urgent first."""


class Signing(Value):
    """What an agent signs with, and how. It is told once; nobody keeps it."""

    scheme: Literal["hmac-sha256"] = SIGNATURES[0]
    key_id: str
    secret: str
    """The key of the HMAC, in Base64."""

    lines: tuple[str, ...] = SIGNED_LINES
    """What is signed, joined by line feeds."""

    signature_header: str = SIGNATURE
    """The header of the message that says the signature, in hexadecimal."""

    key_id_header: str = KEY_ID


def signing_with(key: SigningKey) -> Signing:
    """Return what an agent is told of its key."""
    return Signing(key_id=key.key_id, secret=key.encoded)


def agree(
    offer: Offer,
    agent_id: AgentId,
    agent_type: AgentType,
    role: Role,
    *,
    heartbeat: float,
    lease: float,
    signatures: Strictness = "off",
) -> Terms:
    """Return how both speak, as we prefer it among what the agent offers.

    Raises:
        NothingInCommon: Nothing of what it offers is understood here.
    """
    if offer.signatures:
        _chosen("signature", SIGNATURES, offer.signatures)
    return Terms(
        version=_chosen("version", VERSIONS, offer.versions),
        encoding=_chosen("encoding", ENCODINGS, offer.encodings),
        signatures=signatures,
        heartbeat_seconds=heartbeat,
        lease_seconds=lease,
        order_key=order_key(agent_id),
        work_queues=tuple(queue.name for queue in work_queues(role, agent_type)),
    )


def _chosen(what: str, ours: Sequence[T], theirs: Sequence[object]) -> T:
    for each in ours:
        if each in theirs:
            return each
    raise NothingInCommon(
        f"no {what} of the protocol is common: the agent offers {_listed(theirs)};"
        f" here {_listed(ours)} is understood"
    )


def _listed(names: Sequence[object]) -> str:
    return ", ".join(map(str, names[:10]))
