"""Checks the signatures of reports, by keys that it remembers for two seconds at most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from bus.heard import Heard
from bus.ports import Clock
from bus.refusals import BadSignature, MissingSignature, ReplacedKey
from bus.signing import KEY_ID, SIGNATURE, SigningKey, canonical, is_signed

Strictness = Literal["off", "verify", "require"]

BELIEVED: Final = timedelta(seconds=2)
"""How long a revoked key may go on counting."""

_LONGEST: Final = 100
_MOST: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key that was issued."""

    agent_id: str
    key: SigningKey
    is_revoked: bool
    is_replaced: bool = False
    """Whether it is revoked only because its agent has another one."""


class Keys(Protocol):
    """The keys that were issued."""

    async def known(self, key_ids: Sequence[str]) -> Mapping[str, KnownKey]:
        """Return the keys of some ids that were ever issued.

        Raises:
            Unavailable: The database does not answer.
        """
        ...

    async def revoke(self, agent_id: str, *, because: str, before: int | None = None) -> int:
        """Let no key of an agent count any more, and return how many did.

        Those stay that were issued at version ``before`` of its stream, or later.

        Raises:
            Unavailable: The database does not answer.
        """
        ...


class HandedOut(Keys, Protocol):
    """Keys, and who hands them out."""

    async def replace(self, agent_id: str, *, by: str, since: int) -> SigningKey:
        """Return a new key for an agent; those it has count for a little longer.

        ``since`` is the version of its stream.

        Raises:
            Unavailable: The database does not answer; asking again gives another key.
        """
        ...


class Signatures:
    """Says who has signed a report, and refuses what is not signed as it should be."""

    def __init__(self, keys: Keys, clock: Clock, *, strictness: Strictness) -> None:
        """Take the keys; ``require`` refuses what agents have not signed, ``verify`` takes it."""
        self._keys = keys
        self._clock = clock
        self._strictness = strictness
        self._known: dict[str, tuple[KnownKey | None, datetime]] = {}

    async def look_up(self, group: Sequence[Heard]) -> None:
        """Have the keys of a group at hand, with one question for all of them.

        Raises:
            Unavailable: The database does not answer.
        """
        now = self._clock.now()
        wanted = {key_id for heard in group if (key_id := _told(heard, KEY_ID))}
        unknown = sorted(
            key_id
            for key_id in wanted
            if key_id not in self._known or now - self._known[key_id][1] >= BELIEVED
        )
        if not unknown:
            return
        if len(self._known) > _MOST:
            self._known.clear()
        found = await self._keys.known(unknown)
        self._known |= {key_id: (found.get(key_id), now) for key_id in unknown}

    def signer_of(self, heard: Heard) -> str:
        """Return the agent whose key has signed a report: nobody, where nobody needs to.

        Raises:
            BadSignature: The signature is not that of the agent that the report speaks for.
            MissingSignature: There is none, and there has to be one.
            ReplacedKey: It was right before the agent was handed another key.
        """
        report = heard.report
        agent_id = getattr(report.body, "agent_id", None) if report is not None else None
        if report is None or agent_id is None:
            return ""
        key_id, signature = _told(heard, KEY_ID), _told(heard, SIGNATURE)
        if not key_id or not signature:
            if self._strictness == "require":
                raise MissingSignature(f"{KEY_ID} and {SIGNATURE} have to be set: agents sign here")
            return ""
        known, _ = self._known.get(key_id, (None, None))
        if known is None or (known.is_revoked and not known.is_replaced):
            raise BadSignature(f"the key {key_id} {'is revoked' if known else 'is unknown here'}")
        if known.agent_id != agent_id:
            raise BadSignature(f"the key {key_id} is another agent's than {agent_id}'s")
        signed = canonical(message_id=report.id, body=report.body, sent=heard.delivery.body)
        if not is_signed(known.key, signed, signature):
            raise BadSignature(f"the signature by {key_id} is not that of this message")
        if known.is_revoked:
            raise ReplacedKey(f"{agent_id} has registered again since it was handed {key_id}")
        return known.agent_id

    async def revoke(self, agent_id: str, *, because: str, before: int | None = None) -> None:
        """Let no key of an agent count any more, from now on here, and in two seconds elsewhere.

        Those stay that were issued at version ``before`` of its stream, or later.

        Raises:
            Unavailable: The database does not answer.
        """
        await self._keys.revoke(agent_id, because=because, before=before)
        self._known = {
            key_id: entry
            for key_id, entry in self._known.items()
            if entry[0] is None or entry[0].agent_id != agent_id
        }


def _told(heard: Heard, header: str) -> str:
    value = (heard.delivery.properties.headers or {}).get(header)
    return value if isinstance(value, str) and len(value) <= _LONGEST else ""
