"""What an agent remembers of its attempts is bounded."""

from agents.kit.ended import Ended
from bus.messages import Message


def report(size: int) -> Message:
    return Message(exchange="x", key="k", body=b"x" * size, message_id="m", type="t")


def test_the_oldest_is_forgotten_first_by_number_and_by_size() -> None:
    ended = Ended(most=2, most_bytes=10)
    for epoch, size in ((1, 1), (2, 1), (3, 1)):
        ended.remember(("run", "task", epoch), report(size))
    assert ended.report_of(("run", "task", 1)) is None
    assert ended.report_of(("run", "task", 2)) is not None
    ended.remember(("run", "task", 4), report(10))
    assert ended.report_of(("run", "task", 3)) is None
    assert ended.report_of(("run", "task", 4)) == report(10)
