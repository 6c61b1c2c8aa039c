"""Where Schemathesis is wrong about us: each case by itself, with the reason."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_ALSO_IDS: Final = {
    f"POST /api/v1/{path}"
    for path in ("plans/create", "executions/start", "agents/register", "queue/enqueue")
}
"""What a GET of these asks for is the plan named ``create``, and so on: 404, and not 405."""

_ALSO_REFUSED: Final = {"too-large", "precondition-failed", "head-too-large"}

_AWAY: Final = {"agent-busy", "agent-not-there", "agent-timeout"}
"""What is said where the one agent that is asked to do something does not answer."""

_REMEMBERED: Final = re.compile(
    r"was deleted with `DELETE /api/v1/(plans|agents|keys|dead-letters)/"
)
"""What is not wanted any more is cancelled, deregistered or revoked, and goes on being shown."""

_BEYOND_SCHEMAS: Final[Mapping[str, str]] = {
    "bad-cursor": "only cursors that we have sealed are good",
    "bad-moment": "a time that is written like one need not be one",
    "bad-scopes": "what a key may do depends on who makes it",
    "bad-secret": "which bytes a text in base64 stands for is in no pattern",
    "bad-tag": "Schemathesis draws this header without looking at its pattern",
    "bad-webhook": "where a webhook may point is in no pattern",
    "in-the-future": "only the log knows which position and which moment have come",
    "invalid-unicode": "PostgreSQL has no U+0000, and no schema forbids it in names of free JSON",
    "nothing-in-common": "how to speak is agreed upon by both",
    "number-too-large": "no schema bounds the numbers in free JSON",
    "precondition-failed": "only the log knows which version a stream is at",
    "reserved-topic": "which topics are the system's own depends on what can be reported",
    "schema": "what a report holds depends on its topic",
    "unknown-action": "only the agent knows what it can do",
    "unknown-dependency": "what one task says of another is in no schema",
}
"""Refusals of what is well formed, and which rule they are of: no JSON Schema can say it.

What is refused as ``invalid`` is never among them: that is said of the form alone.
"""

_BEYOND_FORMS: Final[Mapping[str, str]] = {
    "Base64 decoding error": "which texts are base64 is said by a format, which it does not draw",
    "int_type": "to JSON Schema 1.0 is an integer as well",
    "is not a duration": "durations are written as people do, which is in no pattern",
    "and no other rule has any": "what one field says of another is in no schema of ours",
    "time_delta_parsing": "durations are written as people do, which is in no pattern",
}
"""What is wrong with a form that matches its schema: part of the code or the detail of an error."""


def excuse(check: str, operation: str, problem: Mapping[str, Any], message: str) -> str | None:
    """Return why a check is wrong about us, where it is."""
    code = str(problem.get("code", ""))
    match check:
        case "unsupported_method" | "allow_header_conformance" if operation in _ALSO_IDS:
            return "the path of a command is that of a thing as well"
        case "unsupported_method" if code == "idempotency-mismatch":
            return "whether a key is used twice is looked at before the method"
        case "not_a_server_error" if operation.endswith("/invoke") and code in _AWAY:
            return "the agent that is asked does not answer"
        case "negative_data_rejection" if code in _ALSO_REFUSED:
            return "413, 412 and 431 are refusals as well"
        case "use_after_free" if _REMEMBERED.search(message):
            return "what has ended is remembered"
        case "positive_data_acceptance" if code == "invalid":
            return _beyond_form(problem.get("errors", ()))
        case "positive_data_acceptance":
            return _BEYOND_SCHEMAS.get(code)
        case _:
            return None


def _beyond_form(errors: Sequence[Mapping[str, str]]) -> str | None:
    """Return why a form was refused that matches its schema, where each error is one we know."""
    found = [
        next((why for what, why in _BEYOND_FORMS.items() if what in f"{error}"), None)
        for error in errors
    ]
    return "; ".join(sorted({why for why in found if why})) if found and all(found) else None
