"""Subscribing: who wants to hear of what, how it is brought to them, and how far they are."""

from collections.abc import AsyncGenerator, Sequence
from functools import cached_property
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path, Response, WebSocket

from api.access import May
from api.deps import Deps, Ports
from api.errors import (
    LiveUpdatesMissing,
    NotYours,
    SubscriptionOver,
    TooManySubscriptions,
    UnknownSubscription,
)
from api.live.door import Recheck, admit, deps_behind, live_of
from api.live.following import QUIET
from api.live.frames import Frame, heartbeat
from api.live.hub import EVERYTHING, Ending
from api.live.routes import after_of
from api.live.sockets import Batches, serve
from api.subscription_answers import (
    SubscriptionAnswer,
    SubscriptionRequest,
    SubscriptionsAnswer,
    ToWebhook,
    Unsubscribed,
    answer_of,
)
from bus.addresses import address_of
from bus.envelope import encode_recorded
from bus.subscriptions import Subscription, Subscriptions, may_hear
from bus.webhooks import key_of, new_secret
from domain.identity import Caller
from domain.policies import Event
from domain.recorded import Recorded, derived_id
from projections.ownership import owner_in

router = APIRouter(prefix="/messages", tags=["messages"])
sockets = APIRouter()

MOST: Final = 100
"""Subscriptions of one caller."""

MOST_QUEUES: Final = 20
"""Those of them that are brought to queues: a broker has no place for any number of them."""

_PAGE: Final = 200

_Id = Annotated[str, Path(max_length=100, pattern=r"^sub_[A-Za-z0-9-]+$")]
Subscriber = Annotated[Caller, Depends(May("message:subscribe"))]


@router.post("/subscribe", status_code=201)
async def subscribe(
    asked: SubscriptionRequest,
    ports: Ports,
    response: Response,
    caller: Subscriber,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="Asked twice, done once.")
    ] = None,
) -> SubscriptionAnswer:
    """Bring to somebody what happens from now on, as far as it meets topics and filters."""
    there = _kept(ports)
    if caller.role == "agent" and caller.subject != asked.agent_id:
        raise NotYours(caller.subject, asked.agent_id)
    name = f"sub_{ports.new_id()}"
    if idempotency_key is not None:
        name = f"sub_{derived_id(caller.actor, f'subscription/{idempotency_key}')}"
        if (known := await there.find(name)) is not None:
            return answer_of(known)
    theirs = await there.all(owner=caller.actor)
    if len(theirs) >= MOST:
        raise TooManySubscriptions("subscriptions", MOST)
    if (
        asked.delivery.kind == "queue"
        and sum(one.queue is not None for one in theirs) >= MOST_QUEUES
    ):
        raise TooManySubscriptions("subscriptions with a queue", MOST_QUEUES)
    url = secret = None
    if isinstance(asked.delivery, ToWebhook):
        url, secret = asked.delivery.url, asked.delivery.secret or new_secret()
        key_of(secret)
        await address_of(url, allowed=ports.webhook_hosts)
    subscription = Subscription(
        subscription_id=name,
        owner=caller.actor,
        agent_id=asked.agent_id,
        topics=asked.topics,
        filters={str(name): wanted for name, wanted in asked.filters.items()},
        delivery=asked.delivery.kind,
        url=url,
        secret=secret,
        hears_all=caller.may("audit:read"),
        # Agents hear what happens to all plans: it is their work.
        plans_of=None if caller.role == "agent" else caller.only("plan:read"),
        created_at=ports.clock.now(),
        position=await ports.head(),
    )
    await there.add(subscription)
    response.headers["Location"] = f"/api/v1/messages/subscriptions/{name}"
    response.headers["Cache-Control"] = "no-store"
    return answer_of(subscription, secret=secret)


@router.get("/subscriptions")
async def show_subscriptions(ports: Ports, caller: Subscriber) -> SubscriptionsAnswer:
    """Show one's own subscriptions, or everybody's to an admin, the oldest first."""
    found = await _kept(ports).all(owner=None if caller.role == "admin" else caller.actor)
    return SubscriptionsAnswer(subscriptions=[answer_of(each) for each in found], total=len(found))


@router.get("/subscriptions/{subscription_id}")
async def show_subscription(
    subscription_id: _Id, ports: Ports, caller: Subscriber
) -> SubscriptionAnswer:
    """Show how far a subscription is, and what went wrong last."""
    return answer_of(await _own(ports, caller, subscription_id))


@router.delete("/subscribe/{subscription_id}")
async def unsubscribe(subscription_id: _Id, ports: Ports, caller: Subscriber) -> Unsubscribed:
    """Bring nothing any more; the queue of the subscription is deleted with what it holds."""
    await _own(ports, caller, subscription_id)
    await _kept(ports).remove(subscription_id)
    return Unsubscribed(subscription_id=subscription_id)


@sockets.websocket("/ws/subscriptions/{subscription_id}")
async def follow_subscription(websocket: WebSocket, subscription_id: str) -> None:
    """Tell the events of a subscription, each as a CloudEvent."""
    ports = deps_behind(websocket)
    caller: Caller | None = None

    async def admitted() -> Recheck:
        nonlocal caller
        recheck = await admit(websocket, "message:subscribe")
        caller = recheck.caller
        return recheck

    async def batches() -> Batches:
        assert caller is not None  # noqa: S101 # nobody comes here who was not let in
        subscription = await _own(ports, caller, subscription_id[:100])
        if subscription.state == "disabled":
            raise SubscriptionOver(subscription.subscription_id, subscription.last_error or "")
        after = after_of(websocket)
        return _batches(ports, subscription, subscription.position if after is None else after)

    await serve(websocket, admitted, batches)


class EventFrame(Frame):
    """An event whole, as other systems read it."""

    def __init__(self, recorded: Recorded[Event]) -> None:
        super().__init__({"type": recorded.type}, position=recorded.position)
        self._recorded = recorded

    @cached_property
    def text(self) -> str:
        """The CloudEvent as JSON."""
        return encode_recorded(self._recorded).decode()


async def _batches(
    ports: Deps, subscription: Subscription, after: int
) -> AsyncGenerator[Sequence[Frame]]:
    """Tell what a subscription wants to hear after a position, at the reader's pace; for ever."""
    hub = live_of(ports).hub
    async with hub.watching(EVERYTHING) as watcher:
        while True:
            watcher.take()
            events = await ports.log.read_all(after=after, limit=_PAGE)
            if events:
                after = events[-1].position
                yield [EventFrame(each) for each in await _wanted(ports, subscription, events)]
            else:
                await watcher.wait(QUIET)
                if hub.position <= after:
                    yield [heartbeat(after, ports.clock.now())]
            if hub.is_ending:
                raise Ending


async def _wanted(
    ports: Deps, subscription: Subscription, events: Sequence[Recorded[Event]]
) -> Sequence[Recorded[Event]]:
    types = await live_of(ports).places.types.of(events)
    return [
        recorded
        for recorded in events
        if subscription.matches(
            recorded, types.get((recorded.stream, str(getattr(recorded.event, "task_id", ""))))
        )
        and await may_hear(subscription, recorded, lambda plan_id: owner_in(ports.views, plan_id))
    ]


def _kept(ports: Deps) -> Subscriptions:
    if ports.subscriptions is None:
        raise LiveUpdatesMissing
    return ports.subscriptions


async def _own(ports: Deps, caller: Caller, subscription_id: str) -> Subscription:
    """Return a subscription of the caller.

    Raises:
        UnknownSubscription: There is none, or it is somebody else's.
    """
    found = await _kept(ports).find(subscription_id)
    if found is None or (found.owner != caller.actor and caller.role != "admin"):
        raise UnknownSubscription(subscription_id)
    return found
