"""The coordinator: records what is said, relays what is recorded, and keeps the leases.

Any number of them may run. One leads and works; the others wait for its lead to be free. The lead
only avoids waste: two at once would be slower, not wrong.
"""

from contextlib import AsyncExitStack

import structlog

from bus.connect import connect
from bus.depths import BrokerDepths
from bus.ears import Ears
from bus.heartbeats import Believing
from bus.lost import insist
from bus.publishing import Publisher
from bus.subscriber_queues import QueueCarrier
from bus.together import end_if_told, run_together
from domain.errors import Unavailable
from infra.processes.declaring import Declaring
from infra.processes.leading import Leading, open_attempts
from infra.processes.means import Means
from infra.processes.parts import open_pool, open_signatures, open_store, required
from infra.settings import Settings

log = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Coordinate until cancelled.

    Whatever takes time is ready before the lead is: connections, queues, and ears for heartbeats.
    """
    async with AsyncExitStack() as stack:
        url = required(settings.amqp.url, "TASKLOOM_AMQP__URL")
        store = await stack.enter_async_context(open_store(settings))
        pool = await stack.enter_async_context(open_pool(settings))
        publishing = await stack.enter_async_context(await connect(url, name="coordinator.publish"))
        hearing = await stack.enter_async_context(await connect(url, name="coordinator.hear"))
        looking = await stack.enter_async_context(await connect(url, name="coordinator.look"))
        depths = BrokerDepths(looking)
        broker = Declaring(publishing, depths=depths, strangers=settings.amqp.strangers)
        await insist(broker.everything)

        async def publisher() -> Publisher:
            return await stack.enter_async_context(Publisher(publishing))

        means = Means(
            settings=settings,
            store=store,
            pool=pool,
            broker=broker,
            publisher=await publisher(),
            letters=await publisher(),
            holding=await publisher(),
            subscribers=QueueCarrier(publishing, await publisher()),
            depths=depths,
        )
        # With a channel of its own: a word to oneself must not wait behind a thousand events.
        believing = Believing(
            requires_user=settings.amqp.senders == "require",
            signatures=open_signatures(settings, pool),
        )
        ears = Ears(await publisher(), believing=believing)
        await ears.open(hearing)
        await _prepare(means)
        end_if_told()
        log.info("coordinator.ready")
        await store.lead("coordinator", lambda: _lead(means, ears))


async def _prepare(means: Means) -> None:
    """Have the tables of a view ready, if the database answers: who leads needs them only."""
    try:
        await open_attempts(means).prepare()
    except Unavailable as error:
        log.info("coordinator.tables_wait", why=str(error))


async def _lead(means: Means, ears: Ears) -> None:
    url = required(means.settings.amqp.url, "TASKLOOM_AMQP__URL")
    async with await connect(url, name="coordinator.consume") as consuming:
        leading = Leading(means, consuming)
        await leading.prepare()
        log.info("coordinator.leads")
        loops = [*leading.loops, means.broker, ears]
        with ears.listening(*leading.ears, echo=leading.hear_itself):
            await run_together(*(loop.run() for loop in loops))
