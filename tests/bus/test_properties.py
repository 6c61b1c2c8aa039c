"""AMQP properties of a report."""

from dataclasses import replace

import pytest

from bus.envelope import CONTENT_TYPE
from bus.properties import Properties, check_agreement, check_properties
from bus.refusals import (
    ForbiddenProperty,
    IdMismatch,
    MissingMessageId,
    RoutingKeyMismatch,
    Unreadable,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from tests.wire.messages import REPORTS

GOOD = Properties(content_type=CONTENT_TYPE, message_id="report-3")
STARTED = REPORTS["report-task.started"]


@pytest.mark.parametrize("content_type", [CONTENT_TYPE, f"{CONTENT_TYPE}; charset=UTF-8"])
def test_a_cloudevent_in_json_passes(content_type: str) -> None:
    assert check_properties(replace(GOOD, content_type=content_type)) == "report-3"


@pytest.mark.proves("A-13")
@pytest.mark.parametrize(
    ("properties", "refusal"),
    [
        (replace(GOOD, content_type=None), UnsupportedMediaType),
        (replace(GOOD, content_type="application/json"), UnsupportedMediaType),
        (replace(GOOD, content_type=f"{CONTENT_TYPE}; charset=latin-1"), UnsupportedMediaType),
        (replace(GOOD, content_encoding="br"), UnsupportedEncoding),
        (replace(GOOD, message_id=None), MissingMessageId),
        (replace(GOOD, reply_to="somewhere"), ForbiddenProperty),
        (replace(GOOD, expiration="0"), ForbiddenProperty),
        (replace(GOOD, expiration=0), ForbiddenProperty),
        (replace(GOOD, headers={"CC": ["task.completed"]}), ForbiddenProperty),
        (replace(GOOD, headers={"BCC": ["task.completed"]}), ForbiddenProperty),
    ],
)
def test_other_properties_are_refused_by_name(
    properties: Properties, refusal: type[Unreadable]
) -> None:
    with pytest.raises(refusal):
        check_properties(properties)


def test_amqp_and_cloudevent_have_to_agree() -> None:
    check_agreement(STARTED, message_id="report-3", routing_key="task.started")
    with pytest.raises(IdMismatch):
        check_agreement(STARTED, message_id="report-4", routing_key="task.started")
    with pytest.raises(RoutingKeyMismatch):
        check_agreement(STARTED, message_id="report-3", routing_key="task.completed")
