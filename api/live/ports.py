"""What live updates need of the world."""

from dataclasses import dataclass, field

from api.live.feeds import Places
from api.live.hub import Hub
from api.live.seats import Seats
from api.live.tickets import Tickets


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The parts of live updates; the hub has to run."""

    hub: Hub
    places: Places
    tickets: Tickets
    seats: Seats = field(default_factory=Seats)
