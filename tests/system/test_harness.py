"""The chaos harness: a short run breaks everything once, and its judge condemns what it should.

The long ones are run by hand: ``taskloom chaos run --kills 300 --tasks 50000``.
"""

from pathlib import Path

import pytest

from infra.chaos import evidence
from infra.chaos.faults.catalogue import FAULTS
from infra.chaos.nemesis import Quotas
from infra.chaos.points import CRASH_POINTS
from infra.chaos.report import as_json, judged, page
from infra.chaos.run import Plan, plan_of, run
from infra.chaos.selftest import find_all
from infra.chaos.verdict import hits, judge, lacking

pytestmark = [pytest.mark.system, pytest.mark.node, pytest.mark.timeout(900)]

BROKEN = ("crash", "F-K3", "F-B1a", "F-P4a", "F-P4b", "F-P6", "F-M1", "F-M4", "F-T1", "F-W5")

PATIENT = {"TASKLOOM_AGENTS__LEASE": "3", "TASKLOOM_AGENTS__HEARTBEAT": "0.6"}
"""Leases that slow cores can keep: what is to be seen is that nothing is lost, not how soon."""


async def test_whatever_is_broken_nothing_is_lost_and_every_crime_is_noticed(
    tmp_path: Path,
) -> None:
    quotas = Quotas(kills=len(CRASH_POINTS), hits=1, restarts=2, only=BROKEN)
    said: list[str] = []
    plan = Plan(seed="1", tasks=800, minutes=9, quotas=quotas, env=PATIENT)
    await run(tmp_path, plan, tell=said.append)
    found = evidence.load(tmp_path)
    violations = {rule: some for rule, some in judge(found).items() if some}
    assert not violations, (violations, said)
    assert not lacking(found), said
    assert set(hits(found)) == {point.id for point in CRASH_POINTS}
    assert [one for one in find_all(found) if not one.is_found] == []
    one = judged("short", found)
    assert all(f"| {id_} |" in page([one]) for id_ in FAULTS)
    assert as_json([one])["runs"][0]["counts"]["tasks accepted"] >= 800
    assert plan_of(tmp_path, minutes=1).quotas == Quotas(
        kills=quotas.kills, hits=1, restarts=2, only=sorted(BROKEN)
    )
