"""The smaller tables: who was there, what is dead, what may kill its reader."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from bus.dead_letter_keeper import DeadLetter
from bus.signals import Heartbeat
from infra.simulation.database import Database
from infra.simulation.store import SimulatedStore


class SimulatedPresence:
    """What heartbeats said last."""

    def __init__(self, store: SimulatedStore, database: Database) -> None:
        self._store = store
        self._database = database

    async def seen(self, heartbeats: Sequence[Heartbeat], at: datetime) -> None:
        """Keep the latest heartbeats."""
        del at
        await self._store.call()
        self._database.presence.update({one.agent_id: one for one in heartbeats})

    async def agents(self) -> Sequence[str]:
        """Return the ids of the agents that were ever seen and have not said goodbye."""
        await self._store.call()
        return sorted(
            one.agent_id for one in self._database.presence.values() if one.lifecycle != "shutdown"
        )


class SimulatedLetters:
    """The table of the dead letters."""

    def __init__(self, store: SimulatedStore, database: Database) -> None:
        self._store = store
        self._database = database

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters; those that are there already are passed over."""
        await self._store.call()
        known = {letter.fingerprint for letter in self._database.letters}
        self._database.letters += [one for one in letters if one.fingerprint not in known]


class SimulatedLedger:
    """What was being read when its reader died, and how often."""

    def __init__(self, store: SimulatedStore, database: Database) -> None:
        self._store = store
        self._database = database

    async def entries(self, fingerprints: Sequence[str]) -> Mapping[str, int]:
        """Return how often messages were entered, of those that were."""
        await self._store.call()
        known = self._database.suspects
        return {name: known[name] for name in fingerprints if name in known}

    async def enter(self, fingerprints: Sequence[str]) -> None:
        """Enter messages that are about to be read."""
        await self._store.call()
        for name in fingerprints:
            self._database.suspects[name] = self._database.suspects.get(name, 0) + 1

    async def clear(self, fingerprints: Sequence[str]) -> None:
        """Forget messages that are answered."""
        await self._store.call()
        for name in fingerprints:
            self._database.suspects.pop(name, None)
