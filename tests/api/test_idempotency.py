"""A key stands for one question of one caller, whatever is asked."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from api.app import create_app
from tests.api.conftest import System
from tests.api.test_every_answer import client, trusting
from tests.api.test_executions import a_plan, started
from tests.api.test_plans import GOAL, GRAPH

CREATE = "/api/v1/plans/create"
ASKED: dict[str, Any] = {"goal": GOAL, "task_graph": GRAPH}
KEY = {"Idempotency-Key": "k1"}
OTHER_KEY = {"Idempotency-Key": "k2"}


def is_mismatch(answer: httpx2.Response) -> bool:
    is_refused = answer.status_code == 409
    return is_refused and answer.json()["code"] == "idempotency-mismatch"


@pytest.mark.proves("H-15")
async def test_a_key_is_good_for_one_body_and_one_path(system: System) -> None:
    plan_id = await a_plan(system)
    run_id, _ = await started(system, plan_id)
    base = f"/api/v1/executions/{run_id}"
    paused = await system.http.post(f"{base}/pause", json={"reason": "lunch"}, headers=KEY)
    assert paused.status_code == 200
    again = await system.http.post(f"{base}/pause", content=b'{ "reason" : "lunch" }',
                                   headers=KEY | {"Content-Type": "application/json"})  # fmt: skip
    assert again.json() == paused.json()
    other_body = await system.http.post(f"{base}/pause", json={"reason": "tea"}, headers=KEY)
    assert is_mismatch(other_body)
    for path in (f"{base}/resume", f"{base}/cancel", "/api/v1/executions/exec_1/pause"):
        other_path = await system.http.post(path, json={"reason": "lunch"}, headers=KEY)
        assert is_mismatch(other_path), path
    other_method = await system.http.delete(f"/api/v1/plans/{plan_id}", headers=OTHER_KEY)
    assert other_method.status_code == 200
    answer = await system.http.post(f"/api/v1/plans/{plan_id}", headers=OTHER_KEY)
    assert is_mismatch(answer), "another method is another question"
    answer = await system.http.delete(f"/api/v1/plans/{plan_id}?reason=tea", headers=OTHER_KEY)
    assert is_mismatch(answer), "another query is another question"


async def test_who_waits_longer_asks_the_same(system: System) -> None:
    first = await system.http.post(f"{CREATE}?wait=0", json=ASKED, headers=KEY)
    again = await system.http.post(f"{CREATE}?wait=1", json=ASKED, headers=KEY)
    assert again.json()["plan_id"] == first.json()["plan_id"]


async def test_what_was_refused_frees_its_key(system: System) -> None:
    refused = await system.http.post(CREATE, json=ASKED | {"colour": "red"}, headers=KEY)
    assert refused.status_code == 422
    created = await system.http.post(CREATE, json=ASKED, headers=KEY)
    assert created.status_code == 201
    assert is_mismatch(await system.http.post(CREATE, json={"goal": GOAL}, headers=KEY))


@pytest.mark.proves("S-23")
async def test_the_keys_of_one_caller_are_none_of_anothers(system: System) -> None:
    app = create_app(replace(system.deps, identity=trusting(system.deps.identity)))
    async with client(app) as http:
        ann, bob = ({"X-Who": who} | KEY for who in ("admin/ann", "admin/bob"))
        first = await http.post(CREATE, json=ASKED, headers=ann)
        other = ASKED | {"goal": GOAL | {"title": "A rug"}}
        assert is_mismatch(await http.post(CREATE, json=other, headers=ann))
        assert not is_mismatch(await http.post(CREATE, json=other, headers=bob))
        again = await http.post(CREATE, json=ASKED, headers=ann)
    assert again.json()["plan_id"] == first.json()["plan_id"]
