"""Owed work: whatever a queue has lost is sent again, all of it, and nothing else."""

import pytest

from bus.breakers import DETOUR
from bus.owed import REFUSED_PAUSE
from infra.store.store import DatabaseUnavailable
from tests.support.owed import PAGE, Scene, a_scene, positions


@pytest.fixture
def scene() -> Scene:
    return a_scene()


async def test_work_that_a_breaker_holds_back_is_owed_only_after_its_detour() -> None:
    scene = a_scene(is_held_back=True)
    scene.world.dispatch(2, is_lost=True)  # not in the queue it is due in
    await scene.look(times=DETOUR + 3)
    assert scene.world.sent == []
    await scene.look(times=3)
    assert positions(scene) == [1, 2]
    scene.world.queue.clear()  # on the detour again
    await scene.look(times=DETOUR)
    assert positions(scene) == [1, 2]


async def test_work_that_waits_in_its_queue_is_left_alone(scene: Scene) -> None:
    scene.world.dispatch(35)
    await scene.look(times=20)
    assert scene.world.sent == []


@pytest.mark.proves("S-13b")
async def test_all_of_a_queue_that_was_emptied_is_sent_again_once(scene: Scene) -> None:
    scene.world.dispatch(35)
    await scene.look(times=5)
    scene.world.queue.clear()
    await scene.look(times=2)
    assert positions(scene) == list(range(1, 36))
    await scene.look(times=20)
    assert len(scene.world.sent) == 35


async def test_what_was_dispatched_just_before_the_loss_follows_when_it_is_late(
    scene: Scene,
) -> None:
    scene.world.dispatch(5)
    await scene.look(times=5)
    scene.world.dispatch(3)
    await scene.look()
    scene.world.queue.clear()
    await scene.look()
    scene.world.dispatch(2)
    await scene.look()
    assert positions(scene) == [1, 2, 3, 4, 5]
    await scene.look(times=5)
    assert positions(scene) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_what_agents_have_in_hand_is_not_sent_again(scene: Scene) -> None:
    scene.world.dispatch(12)
    await scene.look(times=5)
    scene.world.queue.clear()
    await scene.look()
    scene.world.name(3, 4)
    await scene.look()
    assert positions(scene) == [1, 2, *range(5, 13)]


async def test_nothing_is_sent_while_reports_of_what_began_may_be_under_way(scene: Scene) -> None:
    scene.world.dispatch(5, is_lost=True)
    scene.world.backlog = 1
    await scene.look(times=10)
    assert scene.world.sent == []
    scene.world.backlog = 0
    await scene.look(times=2)
    assert len(scene.world.sent) == 5


async def test_nothing_is_sent_while_the_view_lags_behind(scene: Scene) -> None:
    scene.world.dispatch(5, is_lost=True)
    scene.world.is_followed = False
    await scene.look(times=10)
    assert scene.world.sent == []


async def test_what_is_not_published_yet_is_the_relays_to_send(scene: Scene) -> None:
    scene.world.dispatch(5, is_lost=True)
    scene.world.log = 2
    await scene.look(times=10)
    assert positions(scene) == [1, 2]


async def test_an_outage_in_the_middle_costs_no_page(scene: Scene) -> None:
    scene.world.dispatch(35, is_lost=True)
    await scene.look(times=3)
    scene.world.pages_until_an_outage = 2
    with pytest.raises(DatabaseUnavailable):
        await scene.look(times=10)
    assert len(scene.world.sent) == 20
    scene.world.pages_until_an_outage = 100
    await scene.look()
    assert positions(scene) == list(range(1, 36))


async def test_a_queue_that_lacks_more_than_agents_can_have_in_hand_has_lost_something(
    scene: Scene,
) -> None:
    scene.world.consumers = 1
    scene.world.dispatch(300)
    await scene.look(times=5)
    del scene.world.queue[:95]  # they may be in hand
    await scene.look(times=5)
    assert scene.world.sent == []
    del scene.world.queue[:100]
    await scene.look(times=3)
    assert positions(scene) == list(range(1, 301))
    await scene.look(times=10)
    assert len(scene.world.sent) == 300


async def test_work_that_no_queue_takes_is_tried_again_now_and_then_until_one_does(
    scene: Scene,
) -> None:
    scene.world.has_no_queue = True
    scene.world.dispatch(35, is_lost=True)
    await scene.look(times=30)
    pages = len(scene.world.sent) // PAGE
    assert positions(scene) == [*range(1, PAGE + 1)] * pages
    assert 2 <= pages <= 30 / REFUSED_PAUSE.total_seconds()
    scene.world.has_no_queue = False
    scene.world.sent.clear()
    await scene.look(times=12)
    assert positions(scene) == list(range(1, 36))


async def test_what_a_queue_has_taken_is_not_sent_again_when_it_is_full(scene: Scene) -> None:
    scene.world.places = 20
    scene.world.dispatch(35, is_lost=True)
    await scene.look(times=40)
    assert positions(scene) == list(range(1, 21))
    scene.world.places = 100
    await scene.look(times=12)
    assert positions(scene) == list(range(1, 36))


async def test_what_the_relay_had_to_leave_is_sent_however_busy_its_queue_is(scene: Scene) -> None:
    scene.world.consumers = 1
    scene.world.dispatch(3, is_lost=True)
    scene.world.dispatch(2)
    await scene.look(times=6)
    assert scene.world.sent == []
    scene.world.was_left = True
    await scene.look(times=3)
    assert {1, 2, 3} <= {*positions(scene)}
    await scene.look(times=20)
    assert len(scene.world.sent) == 5


async def test_what_cannot_wait_in_a_retry_queue_is_not_missed_there(scene: Scene) -> None:
    scene.world.dispatch(8, delay=8)
    scene.world.dispatch(1, delay=8, is_lost=True)
    scene.world.lacking = ("NOOP", "CAD")
    await scene.look(times=6)
    assert scene.world.sent == []
    scene.world.lacking = ()
    await scene.look()
    assert len(scene.world.sent) == 9


async def test_what_gets_lost_again_is_sent_again(scene: Scene) -> None:
    scene.world.dispatch(5, is_lost=True)
    await scene.look(times=6)
    scene.world.queue.clear()
    await scene.look(times=6)
    assert positions(scene) == [1, 2, 3, 4, 5] * 2


async def test_work_that_waits_for_its_retry_is_left_alone(scene: Scene) -> None:
    scene.world.dispatch(8, delay=8)
    await scene.look(times=7)
    assert scene.world.sent == []


async def test_what_a_retry_queue_has_lost_waits_for_the_rest_of_its_delay(scene: Scene) -> None:
    scene.world.dispatch(15, delay=16)
    await scene.look(times=3)
    scene.world.retry.clear()
    await scene.look(times=9)
    assert scene.world.sent == [(position, 8) for position in range(1, 16)]


async def test_a_lost_retry_that_is_almost_due_is_sent_at_once(scene: Scene) -> None:
    scene.world.dispatch(delay=4)
    await scene.look(times=2)
    scene.clock.pass_by(0.4)
    scene.world.retry.clear()
    await scene.look()
    assert scene.world.sent == [(1, 0)]
