"""What the coordinator that leads consists of, and who is given what: each part made once.

In the order in which a message meets them: what is said is recorded (``recording.py``), what is
recorded is relayed and reacted to, what was relayed is watched until it is done, and who does it.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property

from aio_pika import RobustConnection

from bus.breakers import Breakers
from bus.delivering import Delivering
from bus.farewells import Farewells
from bus.follower import Follower, Hear
from bus.health import HealthKeeper
from bus.holders import HoldersCheck
from bus.leases import LeaseKeeper
from bus.moved import MovedWork
from bus.owed import OwedWork
from bus.ports import Loop, SystemClock
from bus.reactions import Reactions
from bus.redriver import Redriver
from bus.relay import Relay
from bus.replanning import Replanner
from bus.signals import Heartbeat
from bus.timekeeper import Timekeeper
from bus.webhooks import WebhookCarrier
from domain.policies import Event
from domain.recorded import Recorded
from infra.audit.checkpoints import CheckpointFile
from infra.audit.sealing import Sealer
from infra.processes.means import Means
from infra.processes.parts import open_kek
from infra.processes.recording import Recording
from infra.store.attempts import OpenAttempts
from infra.store.breakers import BreakerRegistry
from infra.store.parked import ParkedEvents
from infra.store.presence import PresenceTable
from infra.store.redrives import RedriveTable
from infra.store.staff import StaffTable
from infra.store.subscriptions import SubscriptionTable
from projections.agent_types import AgentTypes
from projections.attempts import ATTEMPTS
from projections.ownership import owner_in
from projections.postgres import PostgresViews
from projections.runner import Runner


class Leading:
    """The parts of a coordinator that leads."""

    def __init__(self, means: Means, consuming: RobustConnection) -> None:
        """Take what there is, and the connection over which reports come."""
        self._means = means
        self._settings = means.settings
        self._store = means.store
        self._pool = means.pool
        self._clock = SystemClock()
        self._lease = timedelta(seconds=means.settings.agents.lease)
        recording = Recording(means, consuming)
        self._hearing = recording.loops
        self._recorder = recording.recorder
        self._gate = recording.gate
        self._presence = PresenceTable(means.pool)
        self._attempts = OpenAttempts(means.pool, means.store)
        self._following = open_attempts(means)

    async def prepare(self) -> None:
        """Have what the parts look at, know again what was held back, protect what is not yet.

        Raises:
            Unavailable: The database does not answer.
        """
        await self._following.prepare()
        await self.breakers.recall()
        await self._subscriptions.wrap()

    @property
    def loops(self) -> Sequence[Loop]:
        """Everything that runs while it leads."""
        return (
            *self._hearing,
            *(self.relaying, self.reacting, self.replanner),
            *(self._following, self.owed, self.moved, self.holders),
            *(self.timekeeper, self.breakers),
            *(self.keeper, self.health, self.farewells),
            *(self.redriver, self.delivering, self.sealer),
        )

    @property
    def ears(self) -> Sequence[Callable[[Heartbeat], None]]:
        """Who is told of each heartbeat, unless its agent is suspended."""
        ears = (self.keeper, self.holders, self.farewells, self.health, self.breakers)
        return [self._gate.unless_suspended(each.hear) for each in ears]

    def hear_itself(self) -> None:
        """Take note that what is signalled is heard."""
        self.keeper.hear_itself()
        self.health.hear_itself()

    # -- what is recorded is relayed and reacted to ----------------------------

    @cached_property
    def relay(self) -> Relay:
        """Publishes events and work."""
        means = self._means
        return Relay(means.publisher, means.broker.work, delay_of=self.breakers.delay_of)

    @cached_property
    def relaying(self) -> Follower:
        """Follows the log for the relay."""
        return self._follower("relay", self.relay)

    @cached_property
    def reacting(self) -> Follower:
        """Follows the log for everybody who draws conclusions."""
        return self._follower("reactions", self._react)

    @cached_property
    def replanner(self) -> Replanner:
        """Asks for another plan where one cannot be carried out."""
        patience = timedelta(seconds=self._settings.agents.replan_after)
        return Replanner(StaffTable(self._pool), self._recorder, self._clock, patience=patience)

    @cached_property
    def _reactions(self) -> Reactions:
        return Reactions(self._recorder)

    async def _react(self, events: Sequence[Recorded[Event]]) -> None:
        self.breakers.note(events)
        self.health.note(events)
        self.farewells.note(events)
        self._gate.note(events)
        await self._gate.revoke(events)
        # A plan may ask for a run and be cancelled at once: the run has to be there by then.
        await self.replanner(events)
        await self._reactions(events)

    def _follower(self, name: str, hear: Hear) -> Follower:
        parking = ParkedEvents(self._pool)
        return Follower(
            name, hear, events=self._store.log(), positions=self._store, parking=parking
        )

    # -- what was relayed is watched until it is done --------------------------

    @cached_property
    def owed(self) -> OwedWork:
        """Sends work again that the broker has lost."""
        return OwedWork(
            attempts=self._attempts,
            depths=self._means.depths,
            relay=self.relay,
            clock=self._clock,
            sightings=self.keeper.sightings,
            patience=timedelta(seconds=self._settings.agents.patience),
            holds_back=self.breakers.holds_back,
        )

    @cached_property
    def moved(self) -> MovedWork:
        """Sends work again that was in the hands of who is gone."""
        return MovedWork(
            attempts=self._attempts,
            depths=self._means.depths,
            relay=self.relay,
            clock=self._clock,
            sightings=lambda: self.keeper.sightings(),  # who is made of this one
            holds_back=self.breakers.holds_back,
        )

    @cached_property
    def holders(self) -> HoldersCheck:
        """Tells agents what they hold no more."""
        return HoldersCheck(self._attempts, self._means.publisher, self._clock)

    @cached_property
    def timekeeper(self) -> Timekeeper:
        """Says when a time is over."""
        return Timekeeper(self._attempts, self._recorder, self._clock)

    @cached_property
    def breakers(self) -> Breakers:
        """Hold work back for agents that fail at everything."""
        return Breakers(
            registry=BreakerRegistry(self._pool, self._store),
            recorder=self._recorder,
            clock=self._clock,
            fuse=self._settings.breakers,
        )

    # -- those who do it are watched, too --------------------------------------

    @cached_property
    def keeper(self) -> LeaseKeeper:
        """Keeps leases."""
        return LeaseKeeper(
            attempts=self._attempts,
            presence=self._presence,
            depths=self._means.depths,
            recorder=self._recorder,
            clock=self._clock,
            lease=self._lease,
            is_echoed=True,
            moved=self.moved.watch,
        )

    @cached_property
    def health(self) -> HealthKeeper:
        """Judges how agents are."""
        return HealthKeeper(
            presence=self._presence,
            recorder=self._recorder,
            clock=self._clock,
            lease=self._lease,
            limits=self._settings.health,
            is_echoed=True,
        )

    @cached_property
    def farewells(self) -> Farewells:
        """Tells agents that are deregistered to stop."""
        return Farewells(self._store, self._means.publisher, self._clock)

    # -- what is for others ----------------------------------------------------

    @cached_property
    def redriver(self) -> Redriver:
        """Sends dead letters again."""
        return Redriver(RedriveTable(self._pool), self._means.letters, self._store, self._clock)

    @cached_property
    def _subscriptions(self) -> SubscriptionTable:
        return SubscriptionTable(self._pool, kek=open_kek(self._settings))

    @cached_property
    def delivering(self) -> Delivering:
        """Brings events to those who subscribe."""
        hosts = self._settings.http.webhook_hosts
        return Delivering(
            self._subscriptions,
            {
                "queue": self._means.subscribers,
                "webhook": WebhookCarrier(self._clock, allowed=hosts),
            },
            self._recorder,
            self._clock,
            new_log=self._store.log,
            types=AgentTypes(self._pool).of,
            owner_of=lambda plan_id: owner_in(self._pool, plan_id),
        )

    @cached_property
    def sealer(self) -> Sealer:
        """Seals the log."""
        return Sealer(
            self._pool,
            checkpoints=CheckpointFile(self._settings.checkpoints, self._settings.signing_key),
            clock=self._clock,
            every=self._settings.audit.every,
            seconds=self._settings.audit.seconds,
        )


def open_attempts(means: Means) -> Runner:
    """Return who keeps the view of open attempts."""
    return Runner(
        views=[ATTEMPTS], log=means.store.log(), store=PostgresViews(means.pool), pace=0.25
    )
