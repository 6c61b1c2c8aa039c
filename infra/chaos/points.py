"""The crash points: where kill -9 hurts most, and which place in the code each one is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["api", "coordinator", "projector", "agent"]
"""What sort of process passes a place."""

Need = Literal["nothing", "a command", "a lost lease"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashPoint:
    """One of them."""

    id: str
    kind: Kind
    place: str
    """The name of the failpoint, with a condition where several pass it."""

    about: str
    need: Need = "nothing"
    """What has to happen for the place to be passed, beside the work that goes on anyway."""

    passages: int
    """Of so many passages, one is chosen to die at."""

    @property
    def name(self) -> str:
        """The name of the failpoint alone."""
        return self.place.partition("~")[0]

    def armed(self, nth: int) -> str:
        """Return what makes a process die at its n-th passage."""
        name, _, text = self.place.partition("~")
        return f"{name}=kill@{nth}" + (f"~{text}" if text else "")


def _point(
    id_: str, kind: Kind, place: str, about: str, *, need: Need = "nothing", passages: int = 20
) -> CrashPoint:
    often = passages if need == "nothing" else 1
    return CrashPoint(id=id_, kind=kind, place=place, about=about, need=need, passages=often)


CRASH_POINTS: Final[Sequence[CrashPoint]] = (
    _point(
        "F-A1", "api", "recorder.before_append", "before the append", need="a command", passages=2
    ),
    _point(
        "F-A2", "api", "store.before_commit", "inside the transaction", need="a command", passages=2
    ),
    _point(
        "F-A3", "api", "recorder.after_append", "after the commit", need="a command", passages=2
    ),
    _point(
        "F-A4", "api", "api.before_response", "before the response", need="a command", passages=2
    ),
    _point("F-R1", "coordinator", "relay.after_read", "relay has read a batch"),
    _point("F-R2", "coordinator", "publisher.before_confirm", "published, confirm unread"),
    _point("F-R3", "coordinator", "follower.before_advance~relay", "confirmed, position not moved"),
    _point("F-R4", "coordinator", "store.in_advance~relay", "inside the move of the position"),
    _point("F-G1", "agent", "carrier.after_delivery", "work delivered, start not reported"),
    _point("F-G2", "agent", "carrier.before_effect", "start reported, effect not begun"),
    _point("F-G3", "agent", "effect.begun", "in the effect"),
    _point("F-G4", "agent", "carrier.after_effect", "effect done, end not reported"),
    _point("F-G5", "agent", "publisher.before_confirm", "report published, confirm unread"),
    _point("F-G6", "agent", "carrier.before_ack", "start confirmed, work not acknowledged"),
    _point("F-C1", "coordinator", "inbox.after_receive", "reports received"),
    _point("F-C2", "coordinator", "store.before_commit", "inside the transaction"),
    _point("F-C3", "coordinator", "inbox.before_ack", "recorded, not acknowledged"),
    _point("F-C4", "coordinator", "inbox.after_ack", "one group acknowledged, others not"),
    _point(
        "F-C5",
        "coordinator",
        "leases.before_record",
        "lease judged lost, not recorded",
        need="a lost lease",
    ),
    _point("F-P1", "projector", "view.before_commit", "views folded, not committed"),
    _point("F-P2", "projector", "view.after_commit", "views committed, nobody told"),
    _point("F-P3", "coordinator", "snapshot.before_commit", "snapshot half written", passages=1),
)
