"""The prompts, each a file with its version in its name, and the form in which data goes with them.

A prompt is never changed: a new version is a new file, so that the record says what was asked.
"""

import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Final

from domain.values import JsonObject

CURRENT: Final = {"decompose": "decompose/1", "plan": "plan/1"}


@cache
def prompt(name: str) -> str:
    """Return a prompt by its name and version, as ``plan/1``."""
    what, _, version = name.partition("/")
    text = files(__name__).joinpath(f"{what}.{version}.md").read_text(encoding="utf-8")
    return text.strip()


def data_block(data: JsonObject) -> str:
    """Return data as it is handed to a model: one block that nothing inside can close.

    The block's name depends on its content, and no ``<`` is left in it.
    """
    raw = json.dumps(data, ensure_ascii=False, sort_keys=True)
    raw = raw.replace("<", "\\u003c").replace(">", "\\u003e")
    name = f"data-{hashlib.sha256(raw.encode()).hexdigest()[:12]}"
    return f"<{name}>\n{raw}\n</{name}>"
