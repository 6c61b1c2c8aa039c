"""Which test proves which promise: `python -m tests.api.contract.table` writes api/CONTRACT.md.

The promises are in `inventory.txt`, by the ids of the inventory of requirements. A test says what
it proves: `@pytest.mark.proves("D0-API-07a")`.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
TESTS = ROOT / "tests"
TABLE = ROOT / "api" / "CONTRACT.md"

_HEAD = """# The contract, and what proves it

Each row is a promise of the specification about the API (`D0-API`: over HTTP, `D0-WS`: live),
and the tests that prove it. Paths are under `/api/v1`; WebSockets are at the root as well.
`python -m tests.api.contract.table` writes this page from `tests/api/contract/inventory.txt` and
the marks of the tests; a test fails where it is out of date, or where a row has no test.

| id | route | what | proved by |
|---|---|---|---|
"""


class Row(NamedTuple):
    """One promise."""

    id: str
    route: str
    what: str


def rows() -> Sequence[Row]:
    """Return the promises, in their order."""
    lines = Path(__file__).with_name("inventory.txt").read_text().splitlines()
    return [Row(*line.split(" | ", 2)) for line in lines if line]


def proofs() -> Mapping[str, Sequence[str]]:
    """Return the tests that say that they prove a promise, by its id."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        if "mark.proves(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for name in _proved(node):
                    found[name].append(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def _proved(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for mark in test.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.proves":
            for argument in mark.args:
                yield ast.literal_eval(argument)


def page() -> str:
    """Return the page that says what proves what."""
    known = proofs()
    lines: list[str] = []
    for row in rows():
        tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in known.get(row.id, ()))
        lines.append(f"| {row.id} | `{row.route}` | {row.what} | {tests} |\n")
    return _HEAD + "".join(lines)


if __name__ == "__main__":
    TABLE.write_text(page())
