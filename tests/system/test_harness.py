"""The chaos harness: a short run loses nothing, and its judge condemns what it should.

The long ones are run by hand: ``taskloom chaos run --kills 300 --tasks 50000``.
"""

from pathlib import Path

import pytest

from infra.chaos import evidence
from infra.chaos.faults.catalogue import FAULTS
from infra.chaos.nemesis import Quotas
from infra.chaos.report import as_json, judged, page
from infra.chaos.run import Plan, plan_of, run
from infra.chaos.selftest import find_all
from infra.chaos.verdict import judge, lacking

pytestmark = [pytest.mark.system, pytest.mark.node, pytest.mark.timeout(600)]

BROKEN = ("F-K1", "F-K3", "F-B1a", "F-P4a", "F-M4")
"""A few of each kind: the rest, and every crash point, takes longer than a suite may."""

PATIENT = {"TASKLOOM_AGENTS__LEASE": "3", "TASKLOOM_AGENTS__HEARTBEAT": "0.6"}
"""Leases that slow cores can keep: what is to be seen is that nothing is lost, not how soon."""


async def test_whatever_is_broken_nothing_is_lost_and_every_crime_is_noticed(
    tmp_path: Path,
) -> None:
    quotas = Quotas(kills=2, hits=1, restarts=1, only=BROKEN)
    said: list[str] = []
    plan = Plan(seed="1", tasks=300, minutes=5, quotas=quotas, env=PATIENT)
    await run(tmp_path, plan, tell=said.append)
    found = evidence.load(tmp_path)
    violations = {rule: some for rule, some in judge(found).items() if some}
    assert not violations, (violations, said)
    assert not lacking(found), said
    # The one that it cannot find here: this run is too short to hit any crash point.
    missed = [one.plant for one in find_all(found) if not one.is_found]
    assert missed == ["no crash point is hit"]
    one = judged("short", found)
    assert all(f"| {id_} |" in page([one]) for id_ in FAULTS)
    assert as_json([one])["runs"][0]["counts"]["tasks accepted"] >= 300
    assert plan_of(tmp_path, minutes=1).quotas == Quotas(
        kills=quotas.kills, hits=1, restarts=1, only=sorted(BROKEN)
    )
