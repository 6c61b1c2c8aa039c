"""SVG, written safely: every word of a user is escaped, and nothing in a picture can act."""

from bisect import bisect_right
from collections.abc import Iterable
from html import escape
from itertools import accumulate
from typing import Final
from unicodedata import east_asian_width

from domain.values import TaskStatus

MARKS: Final[dict[TaskStatus, str]] = {
    "pending": "○",
    "dispatched": "◔",
    "started": "◑",
    "completed": "✓",
    "failed": "✗",
    "lost": "?",
    "skipped": "»",
    "cancelled": "⊘",
}
"""Each status has a mark and a word beside its colour."""

_STRIPES: Final[dict[TaskStatus, str]] = {
    "pending": "M0 7h40M0 15h40",
    "dispatched": "M0 1h40M0 15h40",
    "started": "M0 8h40M0 10h40M0 12h40M0 14h40M0 16h40",
    "completed": "",
    "failed": "M0 2h40M0 6h40M0 10h40M0 14h40",
    "lost": "M0 8h40",
    "skipped": "M0 4h40M0 12h40",
    "cancelled": "M0 1h40M0 8h40M0 15h40",
}
"""Where a bar that is too narrow for its mark is cut across, in the 16 pixels of its height."""

_STYLE: Final = """
svg{--paper:#ffffff;--ink:#1c2733;--soft:#5b6b7b;--line:#9aa8b5;--box:#f3f6f9;--critical:#b3261e;
--pending:#5b6b7b;--dispatched:#7a5af8;--started:#0b6bcb;--completed:#1a7f37;--failed:#b3261e;
--lost:#9a6700;--skipped:#6e7781;--cancelled:#6e7781}
@media (prefers-color-scheme:dark){svg{--paper:#0f151b;--ink:#e6edf3;--soft:#9fb0c0;--line:#516171;
--box:#18212b;--critical:#ff8a80;--pending:#9fb0c0;--dispatched:#b6a4ff;--started:#6cb6ff;
--completed:#57d07c;--failed:#ff8a80;--lost:#e3b341;--skipped:#8b98a5;--cancelled:#8b98a5}}
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--ink)}
.paper{fill:var(--paper)}.soft{fill:var(--soft);font-size:11px}.title{font-size:17px;font-weight:600}
.box{fill:var(--box);stroke:var(--line)}.edge{fill:none;stroke:var(--line);stroke-width:1.2}
.edge:hover{stroke:var(--ink);stroke-width:3}
.grid{stroke:var(--line);stroke-width:.5;stroke-dasharray:2 3}.lane{fill:var(--box);opacity:.55}
.critical{stroke:var(--critical);stroke-width:2.6}.mark{font-weight:700}
.cut{stroke:var(--paper);stroke-width:1.6}.name{font-weight:600}.on{fill:var(--paper);font-size:11px}
"""


def document(*, title: str, description: str, width: int, height: int, body: Iterable[str]) -> str:
    """Return a whole picture, with words for whoever cannot see it."""
    statuses = "".join(
        f".s-{name}{{fill:var(--{name})}}.b-{name}{{stroke:var(--{name})}}" for name in MARKS
    )
    return "".join(
        (
            '<?xml version="1.0" encoding="UTF-8"?>\n',
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}" role="img" aria-labelledby="title desc">\n',
            f'<title id="title">{said(title)}</title>\n',
            f'<desc id="desc">{said(description)}</desc>\n',
            f"<style>{_STYLE}{statuses}</style>\n",
            '<rect class="paper" width="100%" height="100%"/>\n',
            *body,
            "</svg>\n",
        )
    )


def striped(status: TaskStatus) -> str:
    """Return what a narrow bar is filled with: cut across, for those who do not see its colour."""
    return f"url(#n-{status})"


def stripes() -> str:
    """Return the definitions that ``striped`` refers to: one tile is one bar, 16 pixels high."""
    cuts = "".join(
        f'<pattern id="n-{name}" width="1" height="1">'
        f'<rect class="s-{name}" width="40" height="16"/><path class="cut" d="{where}"/></pattern>'
        for name, where in _STRIPES.items()
    )
    return f"<defs>{cuts}</defs>\n"


def said(text: str) -> str:
    """Return a text as it may stand in a picture: no markup, and nothing XML forbids."""
    legal = "".join(
        each if each in "\t\n" or ("\x20" <= each <= "\ud7ff") or "\ue000" <= each <= "\ufffd"
        or each >= "\U00010000" else "\ufffd"
        for each in text
    )  # fmt: skip
    return escape(legal, quote=True)


def label(x: float, y: float, text: str, *, css: str = "", anchor: str = "start") -> str:
    """Return a line of text."""
    kind = f' class="{css}"' if css else ""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}"{kind}{where}>{said(text)}</text>\n'


def shortened(text: str, most: int) -> str:
    """Return a text that is no longer than so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def fitted(text: str, width: float) -> str:
    """Return a text that is no wider than so many pixels in the bold type of names.

    Fonts differ between machines: each letter counts as much as it takes in a wide one.
    """
    text = " ".join(text.split())
    ends = list(accumulate(_width(each) for each in text))
    if not ends or ends[-1] <= width:
        return text
    return f"{text[: bisect_right(ends, width - _width('…'))]}…"


def _width(letter: str) -> float:
    if east_asian_width(letter) in "WF":
        return 14
    return 10 if letter.isupper() or letter in "mw_@%&…" else 7.6


def span(seconds: float) -> str:
    """Return a duration in few characters: ``45 s``, ``2.5 h``, ``1,200 d``."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= size * (2 if unit == "d" else 1):
            amount = seconds / size
            # Three digits would be written as 1e+03 from a thousand days on.
            return f"{amount:,.0f} {unit}" if amount >= 999.5 else f"{amount:.3g} {unit}"
    return f"{seconds * 1_000:.0f} ms" if seconds else "0 s"
