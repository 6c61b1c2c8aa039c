"""A log tells that an attempt has failed and where it came from, never what it says: that may be
personal, and a log does not forget."""

from agents.agent import CannotBeDone, TryAgain
from agents.kit.outcome import traced


def raised(error: Exception) -> Exception:
    try:
        raise error  # noqa: TRY301 # it is the test's
    except Exception as caught:
        return caught


def test_what_an_agent_says_on_purpose_is_told_by_its_kind() -> None:
    assert traced(raised(CannotBeDone("Ada is ill"))) == {"error": "CannotBeDone"}
    assert traced(raised(TryAgain("Ada is ill"))) == {"error": "TryAgain"}


def test_what_nobody_foresaw_is_told_by_where_it_came_from() -> None:
    told = traced(raised(KeyError("Ada is ill")))
    assert told["error"] == "KeyError"
    assert "test_logs.py" in told["trace"]
    assert "Ada" not in repr(told)
