"""Checks the signatures of agents, by keys that it remembers for two seconds at most."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from bus.ports import Clock
from bus.refusals import BadSignature, MissingSignature, ReplacedKey
from bus.signing import KEY_ID, SIGNATURE, Said, SigningKey, canonical, is_signed

Strictness = Literal["off", "verify", "require"]

BELIEVED: Final = timedelta(seconds=2)
"""How long a revoked key may go on counting."""

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
    """Says who has signed something, and refuses what is not signed as it should be."""

    def __init__(self, keys: Keys, clock: Clock, *, strictness: Strictness) -> None:
        """Take the keys; ``require`` refuses what agents have not signed, ``verify`` takes it."""
        self._keys = keys
        self._clock = clock
        self._strictness = strictness
        self._known: dict[str, tuple[KnownKey | None, datetime]] = {}

    def has_at_hand(self, key_id: str) -> bool:
        """Tell whether a key was looked up so lately that it need not be again."""
        _, at = self._known.get(key_id, (None, None))
        return at is not None and self._clock.now() - at < BELIEVED

    async def look_up(self, key_ids: Iterable[str]) -> None:
        """Have keys at hand, with one question for all of them.

        Raises:
            Unavailable: The database does not answer.
        """
        now = self._clock.now()
        unknown = sorted(key_id for key_id in {*key_ids} - {""} if not self.has_at_hand(key_id))
        if not unknown:
            return
        found = await self._keys.known(unknown)
        if len(self._known) > _MOST:
            self._known.clear()
        self._known |= {key_id: (found.get(key_id), now) for key_id in unknown}

    def signer_of(self, said: Said) -> str:
        """Return the agent whose key has signed something: nobody, where nobody needs to.

        Raises:
            BadSignature: The signature is not that of the agent that it speaks for.
            MissingSignature: There is none, and there has to be one.
            ReplacedKey: It was right before the agent was handed another key.
        """
        agent_id, key_id = said.agent_id, said.key_id
        if agent_id is None:
            return ""
        if not key_id or not said.signature:
            if self._strictness == "require":
                raise MissingSignature(f"{KEY_ID} and {SIGNATURE} have to be set: agents sign here")
            return ""
        known, _ = self._known.get(key_id, (None, None))
        if known is None or (known.is_revoked and not known.is_replaced):
            raise BadSignature(f"the key {key_id} {'is revoked' if known else 'is unknown here'}")
        if known.agent_id != agent_id:
            raise BadSignature(f"the key {key_id} is another agent's than {agent_id}'s")
        if not is_signed(known.key, canonical(said), said.signature):
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
