"""How a coordinator that leads hears what is said, and records it: who is given what."""

from functools import cached_property

from aio_pika import RobustConnection

from bus.consuming import Consumer
from bus.dead_letter_keeper import DeadLetterKeeper
from bus.dead_letters import DeadLetters
from bus.gate import Gate
from bus.held import HeldReports, Holding
from bus.inbox import Inbox
from bus.ports import Loop, SystemClock
from bus.recorder import Recorder
from bus.shares import Shares
from bus.topology import DEAD, HELD, REPORTS
from infra.processes.means import Means
from infra.processes.parts import open_signatures
from infra.store.dead_letters import DeadLetterTable
from infra.store.redrives import RedriveTable
from infra.store.suspects import SuspectTable

PREFETCH = 2_000
"""Reports that may be unanswered: four groups."""


class Recording:
    """From reports to events."""

    def __init__(self, means: Means, consuming: RobustConnection) -> None:
        """Take what there is, and the connection over which reports come."""
        self._means = means
        self._settings = means.settings
        self._store = means.store
        self._pool = means.pool
        self._consuming = consuming
        self._clock = SystemClock()
        self._rank = int(self._clock.now().timestamp())

    @property
    def loops(self) -> tuple[Loop, ...]:
        """What runs while it leads."""
        return (self.recorder, self.inbox, self.held, self.dead)

    @cached_property
    def recorder(self) -> Recorder:
        """Decides and appends."""
        recorder = Recorder(self._store, self._clock)
        self._store.when_forgotten(recorder.forget)
        return recorder

    @cached_property
    def gate(self) -> Gate:
        """Knows who may say what."""
        return Gate(
            self._store,
            self.recorder,
            self._clock,
            requires_user=self._settings.amqp.senders == "require",
            signatures=open_signatures(self._settings, self._pool),
        )

    @cached_property
    def shares(self) -> Shares:
        """Knows who says too much."""
        amqp = self._settings.amqp
        return Shares(self._clock, rate=amqp.report_rate, burst=amqp.report_burst)

    @cached_property
    def inbox(self) -> Inbox:
        """Hears reports."""
        return self._inbox(
            self._consumer(REPORTS, prefetch=PREFETCH),
            holding=Holding(self.shares, self._means.holding),
        )

    @cached_property
    def held(self) -> Inbox:
        """Hears the reports of those who say too much, when nobody else says anything."""
        return self._inbox(
            HeldReports(
                self._consumer(HELD, prefetch=200),
                self._clock,
                rate=self.shares.rate,
                is_idle=self.inbox.is_idle,
            )
        )

    def _inbox(self, source: Consumer | HeldReports, *, holding: Holding | None = None) -> Inbox:
        return Inbox(
            source,
            self.recorder,
            DeadLetters(self._means.publisher, self._clock),
            ledger=SuspectTable(self._pool),
            redriven=RedriveTable(self._pool),
            gate=self.gate,
            holding=holding,
        )

    @cached_property
    def dead(self) -> DeadLetterKeeper:
        """Puts dead letters away."""
        consumer = self._consumer(DEAD, prefetch=100)
        return DeadLetterKeeper(consumer, DeadLetterTable(self._pool), self._clock)

    def _consumer(self, queue: str, *, prefetch: int) -> Consumer:
        """Return a consumer that is given messages before those of earlier leaders.

        A leader that stands still has not left its queues; it must not get half of what comes.
        """
        everything = self._means.broker.everything
        return Consumer(
            self._consuming, queue, prefetch=prefetch, declare=everything, rank=self._rank
        )
