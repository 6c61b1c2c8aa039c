"""Bugs that are put into the product on purpose: a simulation that misses them proves nothing.

Each replaces one function of the real code for as long as it is planted. None of the product knows
of them.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from agents.kit.carrier import Carrier
from agents.kit.ended import Ended
from bus import leases, relay
from bus.follower import Follower
from bus.inbox import Inbox
from bus.leases import LeaseKeeper
from bus.owed import OwedWork
from bus.recorder import Recorder
from bus.states import States
from domain import run_attempts, run_decisions
from domain.run import Run, TaskState
from domain.run_course import Course
from infra.simulation import bugs
from infra.simulation.store import SimulatedStore
from projections.runner import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A bug that can be planted for a while."""

    name: str
    what: str
    expected: frozenset[str]
    """The invariants of which at least one must find it."""

    planted: Callable[[], AbstractContextManager[None]]


def _swap(*swaps: tuple[Any, str, Any]) -> Callable[[], AbstractContextManager[None]]:
    """Return what replaces attributes of modules and classes for a while."""

    @contextmanager
    def planted() -> Generator[None]:
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in swaps]
        for owner, name, bug in swaps:
            setattr(owner, name, bug)
        try:
            yield
        finally:
            for owner, name, good in before:
                setattr(owner, name, good)

    return planted


PLANTS: Final[Sequence[Plant]] = (
    Plant(
        name="ack-before-commit",
        what="the inbox acknowledges reports before they are recorded",
        expected=frozenset({"I11", "I12"}),
        planted=_swap((Inbox, "_settle", bugs.ack_first)),
    ),
    Plant(
        name="ack-before-burial",
        what="the inbox acknowledges what it refuses before it lies with the dead letters",
        expected=frozenset({"I12", "I11"}),
        planted=_swap((Inbox, "_settle", bugs.ack_before_burial)),
    ),
    Plant(
        name="repeats-count",
        what="the rules do not recognise what the record says already",
        expected=frozenset({"I2", "I5", "I6"}),
        planted=_swap((run_decisions, "_is_repeated", bugs.never_repeated)),
    ),
    Plant(
        name="no-epoch-fence",
        what="a report of an earlier attempt counts",
        expected=frozenset({"I8", "I6"}),
        planted=_swap((run_decisions, "_why_ignored", bugs.no_fence)),
    ),
    Plant(
        name="no-holder-fence",
        what="a report counts whoever holds the attempt",
        expected=frozenset({"I8"}),
        planted=_swap((run_decisions, "_why_ignored", bugs.no_holder)),
    ),
    Plant(
        name="end-is-not-final",
        what="a report counts although the task was cancelled",
        expected=frozenset({"I5"}),
        planted=_swap((run_decisions, "_why_ignored", bugs.no_end)),
    ),
    Plant(
        name="fresh-ids",
        what="the relay gives a message another id each time",
        expected=frozenset({"I4"}),
        planted=_swap((relay, "messages_of", bugs.fresh_ids)),
    ),
    Plant(
        name="advance-before-hearing",
        what="followers move their position before what it stands for is done",
        expected=frozenset({"I4", "I16", "I3"}),
        planted=_swap((Follower, "_follow", bugs.advance_first)),
    ),
    Plant(
        name="carried-out-twice",
        what="an agent carries out an attempt again when it is delivered again",
        expected=frozenset({"I7"}),
        planted=_swap(
            (Carrier, "_meet_again", bugs.forget_held), (Ended, "report_of", bugs.nothing_ended)
        ),
    ),
    Plant(
        name="first-delivery-unanswered",
        what="an agent answers only the latest of two deliveries of the same attempt",
        expected=frozenset({"I17"}),
        planted=_swap((Carrier, "_meet_again", bugs.answer_the_last)),
    ),
    Plant(
        name="needs-not-awaited",
        what="a task counts as ready before all that it needs",
        expected=frozenset({"I13"}),
        planted=_swap(
            (TaskState, "is_ready", property(lambda self: self.status in ("pending", "lost")))  # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType]
        ),
    ),
    Plant(
        name="effect-before-claim",
        what="an agent does not wait until its claim of an external effect is granted",
        expected=frozenset({"I7"}),
        planted=_swap((Carrier, "_claim", bugs.claim_nothing)),
    ),
    Plant(
        name="never-rests",
        what="a run that was paused goes on dispatching",
        expected=frozenset({"I6"}),
        planted=_swap((Course, "go_on", bugs.never_rest)),
    ),
    Plant(
        name="room-for-any-number",
        what="a run dispatches however much it has under way",
        expected=frozenset({"I6"}),
        planted=_swap((Run, "has_room", bugs.always_room)),
    ),
    Plant(
        name="position-later",
        what="a view commits its position in a second transaction",
        expected=frozenset({"I9"}),
        planted=_swap((Runner, "_commit", bugs.two_transactions)),
    ),
    Plant(
        name="position-earlier",
        what="a view commits its rows in a second transaction",
        expected=frozenset({"I9"}),
        planted=_swap((Runner, "_commit", bugs.position_first)),
    ),
    Plant(
        name="leases-never-end",
        what="nothing is ever lost with its agent",
        expected=frozenset({"I16"}),
        planted=_swap((leases, "is_lost", bugs.never_lost)),
    ),
    Plant(
        name="leases-by-agents-clocks",
        what="the lease keeper believes the clocks of the agents",
        expected=frozenset({"I16"}),
        planted=_swap((LeaseKeeper, "hear", bugs.by_their_clock)),
    ),
    Plant(
        name="lost-commit-refused",
        what="a commit whose answer was lost is taken for somebody else's",
        expected=frozenset({"I1", "I12"}),
        planted=_swap((Recorder, "_without_lost_commits", bugs.conflict)),
    ),
    Plant(
        name="cancel-lost-in-race",
        what="a cancellation that meets another append is answered and forgotten",
        expected=frozenset({"I1", "I16"}),
        planted=_swap((Recorder, "_without_lost_commits", bugs.lose_cancels)),
    ),
    Plant(
        name="snapshot-before-commit",
        what="snapshots are kept before what they show is recorded",
        expected=frozenset({"I2", "I16", "I18", "I6", "I5"}),
        planted=_swap((Recorder, "_decide_all", bugs.keep_early)),
    ),
    Plant(
        name="stale-refusals",
        what="what leads to no event is answered from memory alone",
        expected=frozenset({"I1", "I11", "I12"}),
        planted=_swap((States, "have_moved", bugs.never_look)),
    ),
    Plant(
        name="owed-never-sent",
        what="work that got lost is never sent again",
        expected=frozenset({"I16"}),
        planted=_swap((OwedWork, "look", bugs.look_away)),
    ),
    Plant(
        name="retry-without-bound",
        what="a task may fail as often as it likes",
        expected=frozenset({"I6"}),
        planted=_swap((run_attempts, "_attempts", bugs.any_number)),
    ),
    Plant(
        name="positions-before-commit",
        what="positions are drawn before the commit, and no lock orders the commits",
        expected=frozenset({"I3", "I4", "I9"}),
        planted=_swap((SimulatedStore, "append", bugs.append_unlocked)),
    ),
)
