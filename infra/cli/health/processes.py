"""Looks whether a process of ours is up, for the health check of its container.

Ours is what runs in the folder we are in: somebody else may run another stack on the same machine.
"""

from pathlib import Path

import psutil

from infra.cli.client import answers
from infra.cli.health.findings import Finding, fail, ok
from infra.settings import Settings

VERBS = frozenset({"serve", "agent", "up", "demo"})


async def look_for_processes(settings: Settings) -> list[Finding]:
    """Return what is found: every process of ours."""
    asked = ["pid", "cmdline", "status", "cwd", "environ"]
    here = str(Path.cwd())
    found = [one for one in psutil.process_iter(asked) if one.info["cwd"] == here and _is_ours(one)]
    if not found:
        advice = "the container's command has ended, or never was `taskloom serve` or `agent`"
        return [fail("process", "none of ours runs here", advice)]
    findings: list[Finding] = []
    for one in found:
        words = " ".join(one.info["cmdline"][1:])
        if one.info["status"] in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
            findings.append(fail("process", f"{words} is {one.info['status']}", "start it again"))
        elif "api" in one.info["cmdline"]:
            theirs: dict[str, str] = one.info["environ"] or {}
            port = theirs.get("TASKLOOM_HTTP__PORT") or str(settings.http.port)
            url = f"http://127.0.0.1:{port}/livez"
            is_well = await answers(url)
            advice = "it hangs: start it again"
            findings.append(
                ok("api", f"{url} answers") if is_well else fail("api", f"{url} is silent", advice)
            )
        else:
            findings.append(ok("process", words))
    return findings


def _is_ours(process: psutil.Process) -> bool:
    words: list[str] = process.info["cmdline"] or []
    is_command = any(word.endswith(("taskloom", "infra.cli")) for word in words[:4])
    return is_command and bool(VERBS & set(words))
