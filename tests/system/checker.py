"""Fails a test where the record breaks a rule."""

from infra.chaos.checker import Findings, check


def require(dsn: str) -> Findings:
    """Fail where a rule is broken."""
    found = check(dsn)
    assert found.runs, "nothing ran"
    shown = "\n".join(found.violations[:20])
    assert not found.violations, f"{len(found.violations)} violations:\n{shown}"
    return found
