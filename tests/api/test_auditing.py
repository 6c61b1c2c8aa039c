"""Denials are in the trail, as far as nobody drowns it; the log says what is left out."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from structlog.testing import capture_logs

from api.identity.auditing import MOST_DENIALS, NOBODY, Auditor
from bus.recorder import Outcome
from domain.audit import AuditNoted
from domain.policies import AnyReport
from domain.recorded import Report


@dataclass
class Trail:
    """What was noted, by a clock that is set by hand."""

    time: datetime = datetime(2026, 1, 20, 12, tzinfo=UTC)
    noted: list[AuditNoted] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    async def record(self, report: Report[AnyReport]) -> Outcome:
        assert isinstance(report.body, AuditNoted)
        self.noted.append(report.body)
        return Outcome(stream=report.stream, version=1, position=len(self.noted))

    def auditor(self) -> Auditor:
        numbers = count()
        return Auditor(self.record, self, lambda: f"{next(numbers)}")


async def test_one_who_is_noisy_hides_nobody_else_and_the_log_says_how_much_is_left_out() -> None:
    trail = Trail()
    auditor = trail.auditor()

    async def forge(address: str, times: int = 1) -> None:
        for _ in range(times):
            await auditor.note(
                "identity.forged", "?", actor=NOBODY, outcome="refused", address=address
            )

    with capture_logs() as logs:
        await forge("192.0.2.7", MOST_DENIALS + 25)
        await forge("192.0.2.8")
        assert [act.address for act in trail.noted].count("192.0.2.7") == MOST_DENIALS
        assert trail.noted[-1].address == "192.0.2.8"
        assert [line["event"] for line in logs] == ["audit.too_many"]
        trail.time += timedelta(minutes=1)
        await forge("192.0.2.7")
    assert trail.noted[-1].address == "192.0.2.7"
    assert logs[-1] | {"log_level": ""} == {
        "event": "audit.left_out", "who": "nobody at 192.0.2.7", "denials": 25, "log_level": "",
    }  # fmt: skip


async def test_what_is_done_is_noted_however_much_was_refused() -> None:
    trail = Trail()
    auditor = trail.auditor()
    for _ in range(MOST_DENIALS + 5):
        await auditor.note("access.denied", "x", actor="users/ann", outcome="refused")
    await auditor.note("login", "x", actor="users/ann")
    assert trail.noted[-1].act == "login"
    assert len(trail.noted) == MOST_DENIALS + 1
