"""Prometheus is told what the JSON tells, and how each route answers."""

from collections.abc import Mapping

import httpx2
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from api.app import create_app
from domain.identity import PERMISSIONS, Caller
from tests.api.conftest import System, known_by
from tests.api.test_executions import a_plan, started
from tests.api.test_metrics import META, register, work

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def values_of(answer: httpx2.Response) -> Mapping[tuple[str, str], float]:
    """Return each sample by its name and its labels, as they are written."""
    read = openmetrics if "openmetrics" in answer.headers["content-type"] else plain
    told: dict[tuple[str, str], float] = {}
    for family in read(answer.text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            told[sample.name, labels] = sample.value
    return told


@pytest.mark.parametrize("accept", ["", "text/plain", OPENMETRICS])
async def test_what_is_told_is_what_the_json_tells(system: System, accept: str) -> None:
    await register(system, META, "META")
    run_id, _ = await started(system, await a_plan(system))
    position = await work(system, run_id, "task_001", META)
    asked = {"min_position": position}
    answer = await system.http.get("/metrics", params=asked, headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    assert ("openmetrics" in answer.headers["content-type"]) == (accept == OPENMETRICS)
    told = values_of(answer)
    metrics = (await system.http.get("/api/v1/metrics", params=asked)).json()
    assert told["taskloom_plans_total", ""] == metrics["system"]["total_plans"] == 1
    for status in ("pending", "in_progress", "completed", "failed"):
        assert told["taskloom_tasks", f"status={status}"] == metrics["tasks"][status]
    assert told["taskloom_tasks", "status=completed"] == 1
    assert told["taskloom_agents", "status=registered"] == 1
    assert told["taskloom_task_success_ratio", ""] == 1
    queues = (await system.http.get("/api/v1/queue/status", params=asked)).json()["queues"]
    for queue in queues:
        kind, role = f"agent_type={queue['agent_type']}", f"role={queue['role']}"
        assert told["taskloom_queue_places", f"{kind},{role}"] == queue["places"]
        for lane in queue["lanes"]:
            where = f"{kind},priority={lane['priority']},{role}"
            assert told["taskloom_queue_pending_tasks", where] == lane["pending_tasks"]
    assert told["taskloom_log_position", ""] >= position
    assert ("taskloom_view_lag_events", "view=tasks") in told
    assert told["taskloom_dead_letters", ""] == 0


async def test_what_nobody_knows_is_left_out(system: System) -> None:
    told = values_of(await system.http.get("/metrics"))
    assert ("taskloom_plans_total", "") in told
    assert ("taskloom_task_success_ratio", "") not in told
    assert ("taskloom_average_duration_seconds", "of=planning") not in told


async def test_answers_are_counted_by_route_and_never_by_what_a_stranger_asks(
    system: System,
) -> None:
    before = values_of(await system.http.get("/metrics"))
    for _ in range(3):
        await system.http.get("/api/v1/plans/plan_00000000000000000000000000")
    for path in ("/etc/passwd", "/api/v1/nothing/here"):
        await system.http.get(path)
    await system.http.request("BREW", "/api/v1/plans")
    after = values_of(await system.http.get("/metrics"))

    def more(labels: str) -> float:
        counted = ("taskloom_http_request_duration_seconds_count", labels)
        return after.get(counted, 0) - before.get(counted, 0)

    assert more("method=GET,route=/api/v1/plans/{plan_id},status=404") == 3
    assert more("method=GET,route=none,status=404") == 2
    assert more("method=GET,route=/metrics,status=200") == 1
    assert not any("passwd" in labels or "BREW" in labels for _, labels in after)
    assert ("process_resident_memory_bytes", "") in after


async def test_only_who_may_see_metrics_is_told(system: System) -> None:
    async def ann(_: object) -> Caller:
        return Caller(subject="ann", role="user", permissions=PERMISSIONS["user"])

    app = create_app(known_by(system, ann))
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://taskloom") as http:
        assert (await http.get("/metrics")).status_code == 403
