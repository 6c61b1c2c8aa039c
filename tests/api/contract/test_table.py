"""Every promise has a test, and the page that says which is up to date."""

import re
from collections import Counter

import httpx2

from tests.api.contract.table import TABLE, page, proofs, rows

PREFIX = "/api/v1"


def test_every_promise_is_proved_and_nothing_else() -> None:
    known = [row.id for row in rows()]
    assert [name for name, times in Counter(known).items() if times > 1] == []
    proved = proofs()
    assert [name for name in known if name not in proved] == []
    assert sorted(set(proved) - set(known)) == []


def test_the_page_is_up_to_date() -> None:
    assert TABLE.read_text() == page(), "run python -m tests.api.contract.table"


async def test_every_route_of_the_contract_is_described(front: httpx2.AsyncClient) -> None:
    schema = (await front.get(f"{PREFIX}/openapi.json")).json()
    there = {
        f"{method.upper()} {re.sub('{.*?}', '{}', path.removeprefix(PREFIX))}"
        for path, methods in schema["paths"].items()
        for method in methods
    }
    asked = {re.sub("{.*?}", "{}", row.route) for row in rows() if row.route[:3] != "WS "}
    assert sorted(asked - there) == []
