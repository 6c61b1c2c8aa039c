"""Random task graphs for hypothesis."""

from datetime import timedelta

from hypothesis import strategies as st

from domain.tasks import Task
from tests.support.making import task


@st.composite
def acyclic(draw: st.DrawFn, most: int = 9, *, longest: int = 9) -> tuple[Task, ...]:
    """Draw a graph whose tasks need only tasks that were drawn before them, in any order of id."""
    names = draw(st.permutations([f"t{number}" for number in range(draw(st.integers(1, most)))]))
    tasks = [
        task(
            name,
            *(draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else ()),
            duration=timedelta(seconds=draw(st.integers(0, longest))),
        )
        for place, name in enumerate(names)
    ]
    return tuple(draw(st.permutations(tasks)))


@st.composite
def any_graph(draw: st.DrawFn, most: int = 7) -> tuple[Task, ...]:
    """Draw a graph that may go in circles."""
    names = [f"t{number}" for number in range(draw(st.integers(1, most)))]
    return tuple(
        task(name, *draw(st.lists(st.sampled_from(names), unique=True, max_size=3)))
        for name in names
    )
