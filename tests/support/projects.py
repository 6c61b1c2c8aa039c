"""Small projects, drawn and read."""

from hypothesis import strategies as st

from domain.scheduling.network import Activity


@st.composite
def projects(
    draw: st.DrawFn, most: int = 6, *, longest: int = 5, resources: int = 2
) -> tuple[tuple[Activity, ...], tuple[int, ...]]:
    """Draw activities, in any order of id, and the capacities that they share."""
    capacities = tuple(draw(st.lists(st.integers(1, 4), max_size=resources)))
    names = draw(st.permutations([f"a{number}" for number in range(draw(st.integers(1, most)))]))
    activities = [
        Activity(
            id=name,
            duration=draw(st.integers(0, longest)),
            needs=tuple(draw(st.lists(st.sampled_from(names[:place]), unique=True, max_size=3)))
            if place
            else (),
            demand=tuple(draw(st.integers(0, capacity)) for capacity in capacities),
        )
        for place, name in enumerate(names)
    ]
    return tuple(draw(st.permutations(activities))), capacities
