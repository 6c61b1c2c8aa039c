"""The services do their work with the least rights, each logged in as itself."""

from pathlib import Path

import psycopg
import pytest

from tests.support.roles import as_role, guarded
from tests.system.graphs import layered
from tests.system.processes import running

__all__ = ["guarded"]

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

SERVICES = {"coordinator": "tl_coordinator", "projector": "tl_projector", "api": "tl_api"}


@pytest.mark.proves("B-08")
def test_a_plan_is_carried_out_by_services_with_the_least_rights(
    tmp_path: Path, guarded: str, vhost_url: str
) -> None:
    dsns = {name: as_role(guarded, role) for name, role in SERVICES.items()}
    agents = {"noop_001": "agents.workers.noop"}
    with running(tmp_path, guarded, vhost_url, agents=agents, dsns=dsns) as stack:
        plan_id = stack.submit(layered(6, width=2))
        stack.until_completed(plan_id, seconds=200)
        assert stack.ask(f"/plans/{plan_id}")["status"] == "completed"
        with psycopg.connect(guarded) as connection:
            stack.until(
                lambda: (
                    connection.execute(
                        "select coalesce(max(last_position), 0)"
                        " >= (select max(notification_id) from events) from seals"
                    ).fetchone()
                    == (True,)
                ),
                "the log is sealed",
            )
        assert "permission denied" not in stack.words(lines=10_000)
        stack.taskloom("audit", "verify")
