"""What goes away says so, in every answer and in the description."""

from datetime import UTC, datetime

import httpx2
import pytest
from fastapi import FastAPI, Response

from api.deprecation import deprecated
from api.description import describe
from api.errors import UnknownEvent
from api.problems import PROBLEMS, answer_problems
from api.requests import NamedRequests
from tests.api.conftest import app_alone

OLD = "/old/{number}"


@pytest.fixture
def app() -> FastAPI:
    """Return an app of our own: nothing of the real one is deprecated."""
    made = FastAPI(responses=PROBLEMS)
    goes = deprecated(
        since=datetime(2026, 1, 1, tzinfo=UTC),
        sunset=datetime(2026, 7, 1, 12, tzinfo=UTC),
        link="https://taskloom.example/changes",
    )

    @made.get(OLD, dependencies=[goes])
    async def old(number: int, response: Response) -> None:
        """Answer as ever."""
        response.headers["Link"] = '</old/2>; rel="next"'
        if not number:
            raise UnknownEvent(number)

    @made.get("/new")
    async def new() -> None:
        """Answer as ever."""

    del old, new
    answer_problems(made)
    made.add_middleware(NamedRequests, deps=app_alone().state.deps)
    describe(made)
    return made


@pytest.mark.parametrize(("number", "status"), [("1", 200), ("0", 404), ("x", 422)])
async def test_every_answer_of_a_deprecated_route_says_so(
    app: FastAPI, number: str, status: int
) -> None:
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://taskloom"
    ) as http:
        answer = await http.get(OLD.format(number=number))
        assert answer.status_code == status
        assert answer.headers["deprecation"] == "@1767225600"
        assert answer.headers["sunset"] == "Wed, 01 Jul 2026 12:00:00 GMT"
        link = '<https://taskloom.example/changes>; rel="deprecation"; type="text/html"'
        assert answer.headers.get_list("link")[-1] == link
        assert (status == 200) == ('</old/2>; rel="next"' in answer.headers.get_list("link"))
        assert "deprecation" not in (await http.get("/new")).headers


def test_the_description_says_what_is_deprecated(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    assert paths[OLD]["get"]["deprecated"] is True
    assert "deprecated" not in paths["/new"]["get"]


def test_nothing_is_deprecated_today() -> None:
    operations = [one for path in app_alone().openapi()["paths"].values() for one in path.values()]
    assert operations
    assert not [one for one in operations if one.get("deprecated")]
