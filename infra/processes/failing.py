"""Makes a process fail on purpose, where that is allowed."""

import structlog

from bus.failpoints import Failpoints, watch
from infra.settings import Settings

log = structlog.get_logger(__name__)


def arm(settings: Settings, *, process: str) -> None:
    """Arm the failpoints that the settings name, if they allow chaos as well.

    Raises:
        UnreadableFailpoint: They are written in no form that is known.
    """
    if settings.fail is None:
        return
    if not settings.chaos:
        log.warning("failpoints.ignored", why="TASKLOOM_CHAOS is not set", fail=settings.fail)
        return
    watch(Failpoints(settings.fail, log=settings.fail_log, process=process))
    log.warning("failpoints.armed", fail=settings.fail)
