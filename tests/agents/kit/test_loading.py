"""Finding an agent by module or file."""

from pathlib import Path

import pytest

from agents.kit.loading import NoSuchAgent, load

GREETER = """
from agents.agent import Agent, Work

async def greet(work: Work):
    return {"greeting": f"hello {work.params['name']}"}

AGENT = Agent(type="GREETER", actions={"greet": greet})
"""


def test_an_agent_is_found_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "my_agent.py"
    path.write_text(GREETER)
    assert load(str(path)).type == "GREETER"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("agents.workers.nobody", "no module agents.workers.nobody"),
        ("nowhere.at.all", "no module nowhere.at.all"),
        ("agents.agent", "has no AGENT"),
        ("nowhere.py", "no file nowhere.py"),
    ],
)
def test_what_is_no_agent_is_refused(reference: str, says: str) -> None:
    with pytest.raises(NoSuchAgent, match=says):
        load(reference)


def test_an_agent_whose_own_import_fails_says_so(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import not_installed_here")
    with pytest.raises(ModuleNotFoundError, match="not_installed_here"):
        load(str(path))
