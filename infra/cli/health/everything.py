"""Looks at everything, in the order in which one part needs the other."""

import os
from datetime import timedelta

from domain.errors import Unavailable
from infra.cli.health.database import look_at_database
from infra.cli.health.findings import Finding, fail, ok, warn
from infra.cli.health.flow import look_at_flow
from infra.cli.health.messages import look_at_broker
from infra.cli.health.waiting import look_at_waiting
from infra.cli.health.work import look_at_work
from infra.cli.reading import record
from infra.cli.target import database
from infra.migrations import pending
from infra.processes import address
from infra.services.binaries import choose
from infra.settings import Settings, misspelt


async def look(settings: Settings) -> list[Finding]:
    """Return what is found, whatever fails on the way."""
    running = address.read(settings.state_dir)
    findings = [
        warn("settings", f"{name} sets nothing", f"did you mean {meant}?")
        for name, meant in misspelt(os.environ).items()
    ]
    url = settings.amqp.url or (running.amqp_url if running else None)
    lease = timedelta(seconds=settings.agents.lease)
    findings += [_stack(settings, running), _binaries(settings)]
    try:
        async with database(settings) as dsn:
            findings += await look_at_database(dsn)
            if not pending(dsn):
                async with record(settings, dsn=dsn) as opened:
                    findings += await look_at_work(opened)
                    findings += await look_at_flow(opened)
                    findings += await look_at_waiting(opened, lease=lease, url=url)
    except Unavailable as error:
        findings.append(fail("database", str(error), "start it, or correct TASKLOOM_DB__DSN"))
    except Exception as error:
        if not type(error).__module__.startswith("psycopg"):
            raise
        first = str(error).strip().partition("\n")[0]
        findings.append(fail("database", first, "start it, or correct TASKLOOM_DB__DSN"))
    if url is None:
        findings.append(warn("broker", "none is set and no stack runs", "`taskloom up` embeds one"))
    else:
        findings += await look_at_broker(url)
    return findings


def _stack(settings: Settings, running: address.Address | None) -> Finding:
    if running is None:
        return ok("stack", f"none runs from {settings.state_dir}")
    return ok("stack", f"process {running.owner} runs it; API {running.api_url}")


def _binaries(settings: Settings) -> Finding:
    if settings.db.dsn is not None:
        return ok("embedded parts", "not needed: TASKLOOM_DB__DSN is set")
    found = choose()
    if found is None:
        return fail(
            "embedded parts",
            "no PostgreSQL to start",
            "install PostgreSQL, or set TASKLOOM_DB__DSN to a server",
        )
    return ok("embedded parts", found.source)
