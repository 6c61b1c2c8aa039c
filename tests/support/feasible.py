"""Is it a schedule at all? Checked event by event, without any of the code that made it."""

from collections.abc import Mapping, Sequence

from domain.scheduling.network import Activity


def faults_of(
    activities: Sequence[Activity], capacities: Sequence[int], starts: Mapping[str, float]
) -> list[str]:
    """Return what is wrong with a schedule; nothing, if it can be carried out."""
    by_id = {each.id: each for each in activities}
    if starts.keys() != by_id.keys():
        return [f"not the same activities: {sorted(starts.keys() ^ by_id.keys())}"]
    ends = {name: start + by_id[name].duration for name, start in starts.items()}
    early = [name for name, start in starts.items() if start < 0]
    faults = [f"{name} starts before the beginning" for name in early]
    faults += [
        f"{each.id} starts before {need} has ended"
        for each in activities
        for need in each.needs
        if ends[need] > starts[each.id]
    ]
    for resource, capacity in enumerate(capacities):
        held, moves = 0, list[tuple[float, int]]()
        for each in activities:
            if each.duration and resource < len(each.demand):
                moves.append((starts[each.id], each.demand[resource]))
                moves.append((ends[each.id], -each.demand[resource]))
        for moment, amount in sorted(moves):  # of one moment, what is given back comes first
            held += amount
            if held > capacity:
                faults.append(f"at {moment} {held} of resource {resource} are held, of {capacity}")
    return faults


def shortest(activities: Sequence[Activity], capacities: Sequence[int]) -> float:
    """Return the least makespan there is, by trying every order of placing activities.

    Some shortest schedule starts everything at the beginning, or when something ends, and as early
    as that allows.
    """
    best = sum(each.duration for each in activities)
    waiting: list[dict[str, float]] = [{}]
    while waiting:
        starts = waiting.pop()
        ends = {
            each.id: starts[each.id] + each.duration for each in activities if each.id in starts
        }
        if len(starts) == len(activities):
            best = min(best, max(ends.values(), default=0))
        placed = [each for each in activities if each.id in starts]
        for each in activities:
            if each.id not in starts and all(need in starts for need in each.needs):
                earliest = max((ends[need] for need in each.needs), default=0)
                moments = sorted({earliest, *(end for end in ends.values() if end > earliest)})
                tried = (starts | {each.id: moment} for moment in moments)
                waiting.append(
                    next(now for now in tried if not faults_of([*placed, each], capacities, now))
                )
    return best
