"""Why a server that we start ourselves is not there."""

from domain.errors import Unavailable


class ServiceUnavailable(Unavailable):
    """A server we depend on cannot be started or does not answer."""

    code = "service-unavailable"

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service}: {reason}")
        self.service = service
        self.reason = reason
