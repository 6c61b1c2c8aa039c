"""Whatever users and agents say stays words in what a browser shows of it (S-11).

The browser belongs to an admin, opens what we serve, and would run any script that got through.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import httpx2
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse

from api import pictures
from api.app import create_app
from domain.run_events import TaskFailed, TaskStarted
from tests.api.conftest import System, an_admin, known_by
from tests.api.test_executions import attempt, started
from tests.attacks.conftest import Villain
from tests.support.browser import Browser
from tests.support.listening import serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

API: Final = "/api/v1"
_EMBEDDED: Final = """<!doctype html><title>Ours</title><div id="inline"></div>
<img src="PICTURE"><object data="PICTURE"></object>
<embed src="PICTURE"><iframe src="PICTURE"></iframe>
<script>
fetch("PICTURE").then((answer) => answer.text()).then((text) => {
  document.getElementById("inline").innerHTML = text.slice(text.indexOf("<svg"));
  const parsed = new DOMParser().parseFromString(text, "image/svg+xml");
  document.body.append(document.importNode(parsed.documentElement, true));
  document.body.dataset.shown = parsed.documentElement.nodeName;
});
</script>"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is served of words that are a script wherever they are not only words."""

    host: str
    app: FastAPI
    plan_id: str
    run_id: str

    @property
    def pictures(self) -> list[str]:
        return [f"{API}/visualizations/{self.plan_id}{kind}" for kind in (".svg", "/gantt.svg")]

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"


@pytest.fixture
async def shown(system: System, villain: Villain) -> AsyncIterator[Shown]:
    words = villain.words
    assert len(words) < 200
    graph = {"tasks": [{"id": "t0", "name": words, "agent": "SIM", "params": {words: words}}]}
    asked = {"goal": {"title": words, "description": words, "context": {words: words}}}
    created = await system.http.post(f"{API}/plans/create", json=asked | {"task_graph": graph})
    assert created.status_code == 201, created.text
    plan_id = created.json()["plan_id"]
    run_id, _ = await started(system, plan_id)
    await system.say(TaskStarted(**attempt(run_id, "t0")))
    failed = TaskFailed(**attempt(run_id, "t0"), error_class="business", reason=words)
    position = (await system.say(failed)).position
    await system.http.get(f"{API}/executions/{run_id}", params={"min_position": position})
    app = create_app(known_by(system, an_admin))
    async with serving(app) as host:
        yield Shown(host, app, plan_id, run_id)


@pytest.mark.proves("S-11a")
async def test_what_users_and_agents_say_is_no_script_wherever_it_is_opened(
    shown: Shown, villain: Villain, browser: Browser
) -> None:
    words = "%3Cscript%3E" + villain.script.replace("'", "%27") + "%3C/script%3E"
    said = [
        f"{API}/plans/{shown.plan_id}",
        f"{API}/executions/{shown.run_id}/logs",
        f"{API}/executions/{shown.run_id}/tasks/t0",
        f"{API}/plans?q={words}&limit=0",
        f"{API}/{words}",
    ]
    for path in [*shown.pictures, *said]:
        dom = await browser.open(shown.url(path))
        assert len(dom) > 100, path
        assert not villain.has_stolen, path
        assert "<script>" not in dom.lower(), path


@pytest.mark.proves("S-11b")
async def test_the_words_in_a_picture_stay_words_without_its_headers_too(
    shown: Shown, villain: Villain, browser: Browser
) -> None:
    """Somebody may put a picture into a page of theirs, or serve a copy of it."""
    async with httpx2.AsyncClient() as http:
        for number, path in enumerate(shown.pictures):
            drawn = (await http.get(shown.url(path))).text
            assert "&lt;script&gt;" in drawn
            villain.pages[f"/{number}.svg"] = Response(drawn, media_type=pictures.SVG)
            page = _EMBEDDED.replace("PICTURE", f"/{number}.svg")
            villain.pages[f"/{number}.html"] = HTMLResponse(page)
            for kind in ("svg", "html"):
                dom = await browser.open(f"{villain.origin}/{number}.{kind}")
                assert f"/{number}.svg" in villain.asked
                assert (kind == "svg") != ('data-shown="svg"' in dom)
                assert not villain.has_stolen, (path, kind)


def a_script(villain: Villain) -> str:
    """Return a picture that is a script, as there would be if words were not kept words."""
    space = 'xmlns="http://www.w3.org/2000/svg"'
    return f'<svg {space} onload="{villain.script}"><script>{villain.script}</script></svg>'


@pytest.mark.proves("S-11c")
async def test_the_headers_of_a_picture_stop_a_script_that_got_in(
    shown: Shown, villain: Villain, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "draw_graph", lambda *_: a_script(villain))
    await browser.open(shown.url(shown.pictures[0]))
    assert not villain.has_stolen


async def test_without_escaping_and_headers_the_script_would_run(
    shown: Shown, villain: Villain, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tests above hold back is a script: it runs where nothing does."""
    monkeypatch.setattr(pictures, "draw_graph", lambda *_: a_script(villain))
    monkeypatch.setattr(pictures, "_HEADERS", {"Content-Security-Policy": "img-src *"})
    await browser.open(shown.url(shown.pictures[0]))
    assert villain.has_stolen


@pytest.mark.proves("S-11d")
async def test_the_page_that_explains_the_api_explains_no_other_and_runs_what_is_ours_alone(
    shown: Shown, villain: Villain, browser: Browser
) -> None:
    villain.pages["/openapi.json"] = Response("{}", media_type="application/json")
    there = f"{villain.origin}/openapi.json"
    dom = await browser.open(shown.url(f"{API}/docs?url={there}&configUrl={there}"))
    assert len(re.findall(r'class="opblock ', dom)) > 25, "it shows what it is for"
    assert villain.asked == []
