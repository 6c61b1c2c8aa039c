"""The page on agents tells the truth: its table is what the agents can do, its example runs."""

import inspect
import re
from pathlib import Path

import pytest

from agents.agent import Agent, CannotBeDone
from agents.kit.loading import load
from tests.agents.carrying import PLANNERS, WORKERS, work

README = Path(__file__).parents[2] / "agents" / "README.md"


def table(agents: list[Agent]) -> str:
    """Return the rows of all actions: agent, role, action, the first line of its docstring."""
    rows = ["| agent | role | action | what it does |", "|---|---|---|---|"]
    for agent in agents:
        for action, carry in agent.actions.items():
            first = (inspect.getdoc(carry) or "").partition("\n\n")[0].replace("\n", " ")
            rows.append(f"| {agent.type} | {agent.role} | `{action}` | {first} |")
    return "\n".join(rows)


def test_the_table_of_actions_is_what_the_agents_can_do() -> None:
    text = README.read_text()
    found = re.search(r"<!-- actions -->\n(.*?)\n<!-- end of actions -->", text, flags=re.DOTALL)
    assert found is not None
    assert found[1] == table([*PLANNERS.values(), *WORKERS.values()])


@pytest.fixture
def example(tmp_path: Path) -> Agent:
    found = re.search(r"```python\n# my_agent\.py\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert found is not None
    file = tmp_path / "my_agent.py"
    file.write_text(found[1])
    return load(str(file))


async def test_the_example_greets(example: Agent) -> None:
    assert example.type == "GREETER"
    found = await example.carries("greet")(work("greet", {"name": "Ada"}))
    assert found == {"greeting": "Hello, Ada!"}


async def test_the_example_refuses_nobody(example: Agent) -> None:
    with pytest.raises(CannotBeDone, match="whom to greet"):
        await example.carries("greet")(work("greet", {}))
