"""Logs: JSON lines for machines, colours for a person at a terminal; always on stderr."""

import logging
import os
import sys
from collections.abc import Sequence

import orjson
import structlog
from structlog.typing import Processor

QUIET = dict.fromkeys(("aio_pika", "aiormq", "httpx2", "uvicorn.access"), "WARNING")
"""Libraries that speak of every message or request, and the least level that is kept of them."""


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
        structlog.dev.ConsoleRenderer(
            colors="NO_COLOR" not in os.environ,
            # The other one shows what variables hold: passwords, tokens, what users wrote.
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]


def _for_machines() -> Sequence[Processor]:
    def as_json(fields: object, **_: object) -> str:
        return orjson.dumps(fields, default=repr).decode()

    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=as_json),
    ]
