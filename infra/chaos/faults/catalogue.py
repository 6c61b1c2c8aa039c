"""Every fault there is, by its id."""

from collections.abc import Mapping
from typing import Final

from infra.chaos.faults.fault import Fault
from infra.chaos.faults.messages import MESSAGES
from infra.chaos.faults.network import NETWORK
from infra.chaos.faults.outages import OUTAGES
from infra.chaos.faults.processes import PROCESSES
from infra.chaos.faults.servers import SERVERS

FAULTS: Final[Mapping[str, Fault]] = {
    fault.id: fault for fault in (*PROCESSES, *SERVERS, *NETWORK, *MESSAGES, *OUTAGES)
}
