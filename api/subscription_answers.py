"""What is asked of publishing and subscribing, and what is answered."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from api.asked import Asked
from api.durations import Moment
from bus.subscriptions import Delivery, Filter, State, Subscription
from domain.messages import MessageId, Topic
from domain.values import AgentId, JsonObject, Name, Priority, Value

Pattern = Annotated[
    str,
    StringConstraints(
        max_length=200, pattern=r"^([a-z0-9_-]{1,64}|[*#])(\.([a-z0-9_-]{1,64}|[*#])){0,9}$"
    ),
]
"""A topic, where `*` stands for one word and `#` for any number of them."""

Url = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=r"^[!-~]+$")]


class Publication(Asked):
    """Something to publish."""

    topic: Topic
    payload: JsonObject
    priority: Priority = "normal"
    message_id: MessageId | None = None
    """The same again means the same message; drawn where it is left out."""

    correlation_id: Name | None = None


class Published(BaseModel):
    """What became of a message."""

    message_id: str
    topic: str
    published_at: Moment
    subscribers_notified: int
    """How many subscriptions it is brought to, as things stand."""

    position: int | None
    """Where the log has what it has led to; null where it led to nothing new."""


class ToQueue(Value):
    """Brought to a queue of its own."""

    kind: Literal["queue"]


class ToWebhook(Value):
    """Posted to a URL."""

    kind: Literal["webhook"]
    url: Url
    secret: Annotated[str, StringConstraints(max_length=200)] | None = None


class ToSocket(Value):
    """Read at a WebSocket of its own."""

    kind: Literal["websocket"]


class SubscriptionRequest(Asked):
    """Who wants to hear of what, and how."""

    agent_id: AgentId
    topics: Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=50)]
    filters: dict[Filter, Name] = Field(default_factory=dict[Filter, Name])
    """All of them have to be so."""

    delivery: Annotated[ToQueue | ToWebhook | ToSocket, Field(discriminator="kind")] = ToQueue(
        kind="queue"
    )
    """Left out, they are brought to a queue."""


class DeliveryAnswer(BaseModel):
    """How events are brought."""

    kind: Delivery
    queue: str | None = None
    url: str | None = None
    websocket_url: str | None = None
    secret: str | None = None
    """Told once, when the subscription is made."""


class SubscriptionAnswer(BaseModel):
    """A subscription, and how far it is."""

    subscription_id: str
    agent_id: str
    topics: Sequence[str]
    filters: Mapping[str, str]
    created_at: Moment
    delivery: DeliveryAnswer
    status: State
    position: int
    """The last event that was brought, or passed over."""

    delivered: int
    failures: int
    """Attempts that have failed since one that did not."""

    failing_since: Moment | None
    last_error: str | None


class SubscriptionsAnswer(BaseModel):
    """Subscriptions, the oldest first."""

    subscriptions: Sequence[SubscriptionAnswer]
    total: int


class Unsubscribed(BaseModel):
    """A subscription that is over."""

    subscription_id: str
    status: Literal["unsubscribed"] = "unsubscribed"


def answer_of(subscription: Subscription, *, secret: str | None = None) -> SubscriptionAnswer:
    """Return a subscription as it is shown."""
    name = subscription.subscription_id
    is_socket = subscription.delivery == "websocket"
    return SubscriptionAnswer(
        subscription_id=name,
        agent_id=subscription.agent_id,
        topics=subscription.topics,
        filters=subscription.filters,
        created_at=subscription.created_at,
        delivery=DeliveryAnswer(
            kind=subscription.delivery,
            queue=subscription.queue,
            url=subscription.url,
            websocket_url=f"/ws/subscriptions/{name}" if is_socket else None,
            secret=secret,
        ),
        status=subscription.state,
        position=subscription.position,
        delivered=subscription.delivered,
        failures=subscription.failures,
        failing_since=subscription.failing_since,
        last_error=subscription.last_error,
    )
