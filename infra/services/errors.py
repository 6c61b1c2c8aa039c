"""Why a server that we start ourselves is not there."""


class ServiceUnavailable(Exception):
    """A server we depend on cannot be started or does not answer."""

    code = "service-unavailable"

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service}: {reason}")
        self.service = service
        self.reason = reason
