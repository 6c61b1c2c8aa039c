"""What README.md says of the API is so."""

import re
from http import HTTPStatus
from pathlib import Path

import httpx2
from fastapi import APIRouter, FastAPI

from api import app as apps
from api import errors as api_errors
from api.access import undeclared
from api.problems import status_of
from bus import asking, letters, refusals
from domain import errors
from domain.errors import TaskloomError

README = Path(apps.__file__).with_name("README.md").read_text()


async def test_the_endpoints_are_those_of_the_table(front: httpx2.AsyncClient) -> None:
    listed = set(
        re.findall(r"^\| (GET|POST|PUT|PATCH|DELETE) \| `([^`]+)` \|", README, re.MULTILINE)
    )
    schema = (await front.get("/api/v1/openapi.json")).json()
    there = {
        (method.upper(), path) for path, methods in schema["paths"].items() for method in methods
    }
    assert listed == there


async def test_the_description_tells_the_form_of_refusals(front: httpx2.AsyncClient) -> None:
    schema = (await front.get("/api/v1/openapi.json")).json()
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["4XX"]["content"]


async def test_a_path_that_is_not_there_is_told_where_to_look(front: httpx2.AsyncClient) -> None:
    answer = await front.get("/")
    assert answer.status_code == 404
    assert "/api/v1/docs" in answer.json()["detail"]


def test_every_refusal_has_its_place_in_the_table() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.+) \|$", README, re.MULTILINE)
    listed = {code: int(status) for status, codes in rows for code in re.findall("`(.+?)`", codes)}
    for module in (errors, api_errors, letters, asking):
        for name, kind in vars(module).items():
            if isinstance(kind, type) and issubclass(kind, TaskloomError):
                if kind is TaskloomError or kind.__module__ != module.__name__:
                    continue
                assert kind.code in listed, name
                assert status_of(_empty(kind)) == HTTPStatus(listed[kind.code]), name


def _empty(kind: type[TaskloomError]) -> TaskloomError:
    return kind.__new__(kind)


def test_the_codes_of_refused_bodies_are_where_they_are_answered() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.+) \|$", README, re.MULTILINE)
    listed = {code: int(status) for status, codes in rows for code in re.findall("`(.+?)`", codes)}
    for kind in (
        refusals.MalformedJson,
        refusals.DuplicateKey,
        refusals.TooLarge,
        refusals.TooDeep,
        refusals.NonFiniteNumber,
        refusals.NumberTooLarge,
        refusals.InvalidUnicode,
        refusals.UnsupportedMediaType,
    ):
        assert status_of(_empty(kind)) == HTTPStatus(listed[kind.code])


def test_a_route_that_says_nothing_about_who_may_use_it_is_noticed() -> None:
    app = FastAPI()
    part = APIRouter(prefix="/part")

    @part.get("/open")
    async def forgotten() -> None: ...

    outer = APIRouter(prefix="/api/v1")
    outer.include_router(part)
    app.include_router(outer)
    assert list(undeclared(app)) == ["GET /api/v1/part/open"]
