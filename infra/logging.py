"""Logs: JSON lines for machines, colours for a person at a terminal; always on stderr."""

import logging
import os
import re
import sys
from collections.abc import Sequence
from io import StringIO
from typing import Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, ExcInfo, Processor

QUIET = dict.fromkeys(("aio_pika", "aiormq", "httpx2", "uvicorn.access"), "WARNING")
"""Libraries that speak of every message or request, and the least level that is kept of them."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys instead of showing them."""


def configure(level: str = "INFO") -> None:
    """Send everything that is logged, by us or by a library, to stderr in one form."""
    is_for_people = sys.stderr.isatty()
    shared: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_for_people() if is_for_people else _for_machines()),
            ],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[out], force=True)
    for library, least in QUIET.items():
        logging.getLogger(library).setLevel(least)


def _for_people() -> Sequence[Processor]:
    return [
        _legible,
        structlog.dev.ConsoleRenderer(
            colors="NO_COLOR" not in os.environ, exception_formatter=_legible_traceback
        ),
    ]


def _legible(_: object, __: str, fields: EventDict) -> EventDict:
    """Keep what somebody else wrote from moving the cursor, or looking like a line of ours."""
    return {**fields, "event": _CONTROL.sub(_escaped, str(fields["event"]))}


def _legible_traceback(out: TextIO, error: ExcInfo) -> None:
    # The usual one shows what variables hold: passwords, tokens, what users wrote.
    told = StringIO()
    structlog.dev.plain_traceback(told, error)
    # Indented: the message of an error may hold what looks like the next line of the log.
    lines = told.getvalue().rstrip("\n").split("\n")
    out.write("\n".join(f"  {_CONTROL.sub(_escaped, line)}" for line in lines))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _for_machines() -> Sequence[Processor]:
    def as_json(fields: object, **_: object) -> str:
        return orjson.dumps(fields, default=repr).decode()

    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=as_json),
    ]
