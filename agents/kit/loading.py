"""Finds an agent by the name of its module, or by its file."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from agents.agent import Agent
from domain.errors import Refused


class NoSuchAgent(Refused):
    """There is no agent under this name."""

    code = "no-such-agent"


def load(reference: str) -> Agent:
    """Return the ``AGENT`` of a module such as ``agents.workers.cad``, or of a ``.py`` file.

    Raises:
        NoSuchAgent: There is no such module or file, or it has no ``AGENT``.
    """
    module = _from_file(Path(reference)) if reference.endswith(".py") else _from_module(reference)
    agent = getattr(module, "AGENT", None)
    if not isinstance(agent, Agent):
        raise NoSuchAgent(f"{reference} has no AGENT = Agent(…)")
    return agent


def _from_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and needs one that is not
        raise NoSuchAgent(f"there is no module {name}") from error


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"taskloom_agent_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise NoSuchAgent(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pydantic look their module up there
    spec.loader.exec_module(module)
    return module
