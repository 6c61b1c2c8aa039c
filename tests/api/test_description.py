"""The description of the API is whole, stable, and its examples are good for something."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api import description
from api.access import OPEN
from api.examples import BODIES, PATHS
from tests.api.conftest import System, app_alone
from tests.support.broken_promises import broken

RELEASED = Path(description.__file__).with_name("openapi.json")
"""What the last release has promised; `taskloom schema openapi` writes the next."""


def described() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(json.dumps(app_alone().openapi()))
    return schema


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described()["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_description_is_openapi_3_1() -> None:
    schema = described()
    assert schema["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(schema).validate()
    assert set(schema["components"]["securitySchemes"]) == {"bearer", "apiKey"}


def test_operations_have_names_of_their_own_and_say_what_they_do() -> None:
    names = Counter(operation["operationId"] for *_, operation in operations())
    assert max(names.values()) == 1
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
    for *_, operation in operations():
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]


def test_every_tag_says_what_is_under_it() -> None:
    for tag in described()["tags"]:
        assert not tag["description"].startswith("About "), tag["name"]


def test_every_body_and_every_path_has_an_example() -> None:
    with_body = {op["operationId"] for *_, op in operations() if "requestBody" in op}
    assert with_body == set(BODIES)
    in_paths = {
        parameter["name"]
        for *_, operation in operations()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "path"
    }
    assert in_paths <= set(PATHS)


def test_bounds_of_integers_are_integers() -> None:
    said = json.dumps(described())
    assert '"exclusiveMaximum": 9223372036854775808' in said
    assert "e+" not in said  # such a float is more than what it bounds


def test_names_that_have_a_pattern_all_have_it() -> None:
    limits = described()["components"]["schemas"]["RunOptions"]["properties"]["limits"]
    assert limits["patternProperties"]
    assert limits["additionalProperties"] is False


def test_a_parameter_is_left_out_and_never_null() -> None:
    for method, path, operation in operations():
        for parameter in operation.get("parameters", ()):
            assert "null" not in json.dumps(parameter["schema"]), (method, path, parameter)


def test_refusals_share_one_form() -> None:
    for *_, operation in operations():
        content = operation["responses"]["4XX"]["content"]["application/problem+json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}


async def test_every_example_is_understood(system: System) -> None:
    """It may speak of a plan that is not there; what it says is never invalid."""
    for method, path, operation in operations():
        name = operation["operationId"]
        if name not in BODIES:
            continue
        url = re.sub(r"{(\w+)}", lambda found: str(PATHS[found[1]]), path)
        answer = await system.http.request(method, url, json=BODIES[name])
        assert answer.status_code < 500 or answer.status_code in (503, 504), (name, answer.text)
        assert answer.status_code not in (400, 415), (name, answer.text)
        if answer.status_code == 422:
            assert answer.json()["code"] != "invalid", (name, answer.text)


async def test_a_plan_is_made_and_started_by_the_examples(system: System) -> None:
    made = await system.http.post("/api/v1/plans/create", json=BODIES["create_plan"])
    assert made.status_code == 201
    start = BODIES["start_execution"] | {"plan_id": made.json()["plan_id"]}
    begun = await system.http.post("/api/v1/executions/start", json=start)
    assert begun.status_code == 201, begun.text
    agent = await system.http.post("/api/v1/agents/register", json=BODIES["register_agent"])
    assert agent.status_code == 201, agent.text


async def test_who_does_not_wait_and_who_only_asks_are_answered_as_described(
    system: System,
) -> None:
    answers = described()["paths"]
    made = await system.http.post(
        "/api/v1/plans/create?wait=0", json={"goal": {"title": "A chair"}}
    )
    assert str(made.status_code) == "202"
    assert "202" in answers["/api/v1/plans/create"]["post"]["responses"]

    ready = await system.http.post("/api/v1/plans/create", json=BODIES["create_plan"])
    asked = {"plan_id": ready.json()["plan_id"], "options": {"dry_run": True}}
    dry = await system.http.post("/api/v1/executions/start", json=asked)
    assert str(dry.status_code) == "200"
    assert "200" in answers["/api/v1/executions/start"]["post"]["responses"]


def test_generators_of_clients_find_what_they_know() -> None:
    """Times are times, fields speak, and a choice of objects has no object for its default."""
    schemas = described()["components"]["schemas"]
    assert schemas["PlanAnswer"]["properties"]["created_at"]["format"] == "date-time"
    delivery = schemas["SubscriptionRequest"]["properties"]["delivery"]
    assert delivery["discriminator"]["propertyName"] == "kind"
    assert "default" not in delivery
    assert schemas["ToQueue"]["required"] == ["kind"]
    assert delivery["description"] == "Left out, they are brought to a queue."
    assert schemas["Edge"]["properties"]["type"]["description"].startswith("``data`` where")
    assert schemas["Goal"]["properties"]["context"]["description"]
    duration = schemas["Task"]["properties"]["duration"]["description"]
    assert duration.startswith("How long it is estimated to take. As people write it")
    export = described()["paths"]["/api/v1/dead-letters/export"]["get"]["responses"]["200"]
    assert set(export["content"]) == {"application/x-ndjson"}


def test_nothing_is_taken_away_from_those_who_rely_on_it() -> None:
    assert broken(json.loads(RELEASED.read_text()), described()) == []


def test_what_is_taken_away_is_noticed() -> None:
    old, new = described(), described()
    del new["paths"]["/api/v1/plans"]
    schemas = new["components"]["schemas"]
    del schemas["PlanAnswer"]["properties"]["metrics"]
    schemas["ExecutionRequest"]["required"] = ["plan_id", "execution_mode"]
    schemas["Reviewed"]["properties"]["revision"]["type"] = "string"
    found = "; ".join(broken(old, new))
    assert "GET /api/v1/plans is gone" in found
    assert "GET /api/v1/plans/{plan_id} 200.metrics is not told any more" in found
    assert "POST /api/v1/executions/start body.execution_mode is needed now" in found
    assert "POST /api/v1/plans/{plan_id}/approve 200.revision is string, not integer" in found


async def test_the_description_is_served_as_it_is(front: httpx2.AsyncClient) -> None:
    served = await front.get("/api/v1/openapi.json")
    assert served.json() == described()


@pytest.mark.parametrize("scheme", ["bearer", "apiKey"])
def test_what_anybody_may_ask_needs_no_credentials(scheme: str) -> None:
    assert {scheme: []} in described()["security"]
    for _, path, operation in operations():
        assert (operation.get("security") == []) == (path in OPEN)
