"""A process fails on purpose only where that is allowed."""

from collections.abc import Generator

import pytest

from bus.failpoints import Tripped, reach, watch
from infra.processes.failing import arm
from infra.settings import Settings


@pytest.fixture(autouse=True)
def nobody_watches_afterwards() -> Generator[None]:
    yield
    watch(None)


def test_failpoints_are_armed_where_chaos_is_allowed() -> None:
    arm(Settings(fail="a.place=raise", chaos=True), process="test")
    with pytest.raises(Tripped):
        reach("a.place")


def test_failpoints_are_ignored_where_chaos_is_not_allowed() -> None:
    arm(Settings(fail="a.place=raise"), process="test")
    reach("a.place")
