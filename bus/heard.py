"""What one delivery says, or why it says nothing that can be heard."""

from dataclasses import dataclass

from bus.encodings import inflate
from bus.envelope import decode_report
from bus.failpoints import reach
from bus.messages import Delivery
from bus.properties import PLAIN, check_agreement, check_properties
from bus.signing import Said
from domain.deciders import PUBLIC_REPORTS
from domain.errors import Refused, TaskloomError
from domain.policies import AnyReport
from domain.recorded import Report


@dataclass(slots=True)
class Heard:
    """A delivery, and the report it holds or the reason why not."""

    delivery: Delivery
    report: Report[AnyReport] | None
    refusal: TaskloomError | None = None
    signer: str = ""
    """The agent whose signature it has, if that was checked."""

    is_held: bool = False
    """Whether it waits until others have had their say."""

    position: int = 0
    """The last event it led to."""

    @property
    def encoding(self) -> str | None:
        """How the body is compressed, if it is."""
        encoding = self.delivery.properties.content_encoding
        return None if encoding in PLAIN else encoding

    @property
    def said(self) -> Said | None:
        """What a signature would be of, if it says anything."""
        if self.report is None:
            return None
        return Said(
            message_id=self.report.id,
            body=self.report.body,
            sent=self.delivery.body,
            headers=self.delivery.properties.headers,
        )

    def refuse(self, refusal: Refused) -> None:
        """Take note that what it says is not accepted."""
        self.report, self.refusal = None, refusal

    def hold(self) -> None:
        """Take note that what it says is heard another time."""
        self.report, self.is_held = None, True


def hear(delivery: Delivery) -> Heard:
    """Return the report that a delivery holds, or why it holds none."""
    reach("inbox.hear", delivery.body)
    heard = Heard(delivery, None)
    try:
        message_id = check_properties(delivery.properties)
        body = delivery.body if heard.encoding is None else inflate(delivery.body)
        report = decode_report(body, PUBLIC_REPORTS)
        check_agreement(report, message_id=message_id, routing_key=delivery.key)
    except Refused as refusal:
        heard.refusal = refusal
    else:
        heard.report = report  # type: ignore[assignment] # the registry holds reports only
    return heard
