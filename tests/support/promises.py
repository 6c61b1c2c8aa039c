"""Which test proves which promise: `python -m tests.support.promises` writes the pages that say so.

The promises are lists of one line each. A test says what it proves:
`@pytest.mark.proves("D0-API-07a", "S-4")`.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"


class Row(NamedTuple):
    """One promise: of what, and what is promised."""

    id: str
    about: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A list of promises, and the page that says what proves them."""

    inventory: Path
    page: Path
    head: str
    """What stands above the table, with the names of its columns."""

    is_code: bool = False
    """Whether what a promise is about is written as code."""

    def rows(self) -> Sequence[Row]:
        """Return the promises, in their order."""
        lines = self.inventory.read_text().splitlines()
        return [Row(*line.split(" | ", 2)) for line in lines if line]

    def text(self) -> str:
        """Return the page."""
        known = proofs()
        lines: list[str] = []
        for row in self.rows():
            about = f"`{row.about}`" if self.is_code else row.about
            tests = [f"`{test.removeprefix('tests/')}`" for test in known.get(row.id, ())]
            lines.append(f"| {row.id} | {about} | {row.what} | {'<br>'.join(tests)} |\n")
        return self.head + "".join(lines)


CONTRACT: Final = Page(
    inventory=TESTS / "api" / "contract" / "inventory.txt",
    page=ROOT / "api" / "CONTRACT.md",
    is_code=True,
    head="""# The contract, and what proves it

Each row is a promise of the specification about the API (`D0-API`: over HTTP, `D0-WS`: live),
and the tests that prove it. Paths are under `/api/v1`; WebSockets are at the root as well.
`python -m tests.support.promises` writes this page from `tests/api/contract/inventory.txt` and
the marks of the tests; a test fails where it is out of date, or where a row has no test.

| id | route | what | proved by |
|---|---|---|---|
""",
)
ATTACKS: Final = Page(
    inventory=TESTS / "attacks" / "inventory.txt",
    page=ROOT / "infra" / "ATTACKS.md",
    head="""# Attacks, and what proves that they fail

Each row is something that somebody may try, what comes of it, and the tests that try it: `S`
attacks, `H` bad input over HTTP, `A` bad input over AMQP, `B` what the broker itself refuses.
`python -m tests.support.promises` writes this page from `tests/attacks/inventory.txt` and the marks
of the tests; a test fails where it is out of date, or where a row has no test.

| id | who tries what | what comes of it | proved by |
|---|---|---|---|
""",
)
PAGES: Final = (CONTRACT, ATTACKS)


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


if __name__ == "__main__":
    for each in PAGES:
        each.page.write_text(each.text())
