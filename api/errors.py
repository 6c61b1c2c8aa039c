"""What only the API refuses, or cannot do."""

import math
from collections.abc import Sequence
from datetime import datetime

from domain.errors import Conflict, NotFound, Refused, Unavailable
from domain.identity import Action, Permission


class BadCursor(Refused):
    """A page was asked for with a cursor that we did not give."""

    code = "bad-cursor"

    def __init__(self) -> None:
        super().__init__("the cursor is not one of ours; take next_cursor of the page before")


class BadTag(Refused):
    """What a command was to depend on is no entity tag."""

    code = "bad-tag"

    def __init__(self, tag: str) -> None:
        super().__init__(f"If-Match is one ETag of ours, or a version in quotes, not {tag[:60]!r}")


class BadMoment(Refused):
    """The moment that was asked about is none."""

    code = "bad-moment"

    def __init__(self, moment: str) -> None:
        super().__init__(f"{moment} is neither a position nor a time")


class MomentAhead(Refused):
    """The moment that was asked about has not come yet."""

    code = "in-the-future"

    def __init__(self) -> None:
        super().__init__("the moment that was asked about has not come yet")


class BadHead(Refused):
    """Two servers would understand the head of the request differently."""

    code = "bad-head"


class HeadTooLarge(Refused):
    """Path and headers of the request are too much."""

    code = "head-too-large"


class KeyReused(Conflict):
    """An idempotency key was used before, for something else."""

    code = "idempotency-mismatch"

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r} was used for another request; take a new one")


class NotAllowed(Refused):
    """The caller is known, but may not do this."""

    code = "not-allowed"

    def __init__(self, permission: Permission | Action) -> None:
        super().__init__(f"this needs the permission {permission}, which the caller does not have")


class NotYours(NotAllowed):
    """An agent speaks for another one."""

    def __init__(self, caller: str, agent_id: str) -> None:
        Refused.__init__(self, f"agent {caller} speaks for itself, not for {agent_id}")


class UnknownAgentType(NotFound):
    """No agent of the type has ever registered."""

    code = "unknown-agent-type"

    def __init__(self, agent_type: str) -> None:
        super().__init__(f"no agent of type {agent_type} has ever registered")


class AgentBusy(Unavailable):
    """The agent has no place free for what it is asked."""

    code = "agent-busy"


class UnknownAction(Refused):
    """The agent has no such action."""

    code = "unknown-action"


class ReservedTopic(Refused):
    """Only the system itself speaks of this, or in the form of a report."""

    code = "reserved-topic"

    def __init__(self, topic: str, known: Sequence[str]) -> None:
        super().__init__(
            f"{topic!r} begins as what the system itself says; what can be reported is"
            f" {', '.join(known)}"
        )


class UnknownSubscription(NotFound):
    """There is no such subscription, or it is somebody else's."""

    code = "unknown-subscription"

    def __init__(self, subscription_id: str) -> None:
        super().__init__(f"there is no subscription {subscription_id}")


class TooManySubscriptions(Conflict):
    """Somebody has as many subscriptions as one may have."""

    code = "too-many-subscriptions"

    def __init__(self, what: str, most: int) -> None:
        super().__init__(f"you have {most} {what}; take one back first")


class SubscriptionOver(Conflict):
    """A subscription was disabled: it brings nothing any more."""

    code = "subscription-over"

    def __init__(self, subscription_id: str, why: str) -> None:
        super().__init__(f"the subscription {subscription_id} is disabled: {why}; make another one")


class QuotaSpent(Refused):
    """Somebody has done all that they may do of something in a time: 429."""

    code = "quota-spent"

    def __init__(
        self,
        what: str,
        *,
        limit: int,
        seconds: int,
        current: int,
        reset_at: datetime,
        now: datetime,
    ) -> None:
        self.what = what
        self.limit = limit
        self.seconds = seconds
        self.current = current
        self.reset_at = reset_at
        self.retry_after = max(1, math.ceil((reset_at - now).total_seconds()))
        super().__init__(
            f"{limit} {what} are allowed in {seconds} s; ask again in {self.retry_after} s"
        )


class TooManyFollowed(Refused):
    """Somebody follows as many live updates as one may at a time: 429."""

    code = "too-many-followed"

    def __init__(self, limit: int) -> None:
        super().__init__(f"you follow {limit} live updates already; end one of them first")
        self.limit = limit


class ForeignOrigin(Refused):
    """A page of somebody else's asks in the name of whoever looks at it."""

    code = "foreign-origin"

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"pages of {origin[:200]!r} may not do this here; name it in TASKLOOM_HTTP__ORIGINS"
        )


class UnknownTicket(Refused):
    """The ticket was never given, was used, or is too old."""

    code = "unknown-ticket"

    def __init__(self) -> None:
        super().__init__(
            "the ticket was never given, has been used, or is older than 30 s; ask for another one"
        )


class UnknownEvent(NotFound):
    """No event has this position."""

    code = "unknown-event"

    def __init__(self, position: int) -> None:
        super().__init__(f"there is no event at position {position}")


class UnknownRevision(NotFound):
    """The plan has no such revision."""

    code = "unknown-revision"

    def __init__(self, plan_id: str, revision: int) -> None:
        super().__init__(f"plan {plan_id} has no revision {revision}")


class NotYetThere(Unavailable):
    """The views have not reached the position that was asked for."""

    code = "not-yet-there"

    def __init__(self, wanted: int, reached: int) -> None:
        super().__init__(f"the views are at position {reached}, not yet at {wanted}; ask again")


class DatabaseSilent(Unavailable):
    """The database with the views does not answer."""

    code = "database-unavailable"

    def __init__(self) -> None:
        super().__init__("the database does not answer; ask again")


class LiveUpdatesMissing(Unavailable):
    """This process tells no live updates."""

    code = "live-updates-missing"

    def __init__(self) -> None:
        super().__init__("this process tells no live updates")


class TooManyReaders(Unavailable):
    """Everybody who can be told live updates is being told them."""

    code = "too-many-readers"

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} readers follow live updates here; ask again later")


class ViewsMissing(Unavailable):
    """The views have never been made, or not in the version that this code reads."""

    code = "views-missing"

    def __init__(self) -> None:
        super().__init__(
            "the views are not there yet: the projector and the coordinator make them when they"
            " start; ask again"
        )
