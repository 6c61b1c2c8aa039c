"""The contract is about routes that there are."""

import re

import httpx2

from tests.support.promises import CONTRACT

PREFIX = "/api/v1"


async def test_every_route_of_the_contract_is_described(front: httpx2.AsyncClient) -> None:
    schema = (await front.get(f"{PREFIX}/openapi.json")).json()
    there = {
        f"{method.upper()} {re.sub('{.*?}', '{}', path.removeprefix(PREFIX))}"
        for path, methods in schema["paths"].items()
        for method in methods
    }
    asked = {re.sub("{.*?}", "{}", row.about) for row in CONTRACT.rows() if row.about[:3] != "WS "}
    assert sorted(asked - there) == []
