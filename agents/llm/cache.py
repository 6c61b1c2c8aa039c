"""Remembers answers to questions that are the same, in this process and, if wanted, in a folder."""

import hashlib
import json
import os
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import cast

from domain.values import JsonObject


def same(*parts: object) -> str:
    """Return the name of a question: the same for the same content, whoever asks."""
    raw = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str).encode()
    return hashlib.sha256(raw).hexdigest()


class Cache:
    """The answers that were good; whoever takes one out judges it again."""

    def __init__(self, *, size: int, folder: Path | None) -> None:
        """Keep so many answers in memory, and all in a folder if one is given."""
        self._size = size
        self._folder = folder
        self._kept: OrderedDict[str, JsonObject] = OrderedDict()

    def get(self, name: str) -> JsonObject | None:
        """Return the answer to a question, or None where it is not remembered."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        if self._folder is not None:
            with suppress(OSError, ValueError):
                found = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
                if isinstance(found, dict):
                    answer = cast(JsonObject, found)
                    self._keep(name, answer)
                    return answer
        return None

    def put(self, name: str, answer: JsonObject) -> None:
        """Remember an answer; a folder that cannot be written to is done without."""
        self._keep(name, answer)
        if self._folder is None:
            return
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = self._folder / f"{name}.{os.getpid()}.part"
            part.write_text(json.dumps(answer, ensure_ascii=False), encoding="utf-8")
            part.replace(self._folder / f"{name}.json")

    def _keep(self, name: str, answer: JsonObject) -> None:
        if not self._size:
            return
        self._kept[name] = answer
        self._kept.move_to_end(name)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
