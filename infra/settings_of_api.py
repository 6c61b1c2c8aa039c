"""The settings of the API: where it serves, and what it lets whom do how often."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, IPvAnyNetwork, PositiveInt

from infra.settings_of_servers import Part

Rate = Annotated[str, Field(pattern=r"^(unlimited|[1-9]\d{0,8}/(second|minute|hour|day))$")]
"""So many requests in a time, as ``100/minute``, or ``unlimited``."""

Quota = Annotated[str, Field(pattern=r"^[1-9]\d{0,8}/(second|minute|hour|day)$")]
"""So many of something in a time, as ``10/hour``."""

Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+)$")]


class Rates(Part):
    """How often one may ask, by role."""

    user: Rate = "100/minute"
    """A person's requests."""

    admin: Rate = "unlimited"
    """Those of who runs this."""

    system: Rate = "6000/minute"
    """Another service's."""

    agent: Rate = "6000/minute"
    """An agent's."""

    nobody: Rate = "60/minute"
    """Those of an address that does not say who asks."""


class Plans(Part):
    """How many plans one may make, by role; all processes count together."""

    user: tuple[Quota, ...] = ("10/hour", "50/day")
    """A person's plans."""

    admin: tuple[Quota, ...] = ()
    """Those of who runs this; as many as they like."""

    system: tuple[Quota, ...] = ()
    """Another service's."""


class Followed(Part):
    """How many live updates one may follow at a time, by role; each process counts for itself."""

    user: PositiveInt | Literal["unlimited"] = 5
    """A person's WebSockets and streams of events."""

    admin: PositiveInt | Literal["unlimited"] = "unlimited"
    """Those of who runs this."""

    system: PositiveInt | Literal["unlimited"] = "unlimited"
    """Another service's."""

    agent: PositiveInt | Literal["unlimited"] = "unlimited"
    """An agent's."""

    def numbers(self) -> Mapping[str, int]:
        """Return what is limited, and to how many."""
        said: Mapping[str, int | str] = self.model_dump()
        return {role: most for role, most in said.items() if isinstance(most, int)}


class Http(Part):
    """The API."""

    host: str = "127.0.0.1"
    """The address it binds."""

    port: int = Field(default=8000, ge=0, le=65_535)
    """The port it binds; 0 takes a free one."""

    certificate: Path | None = None
    """The certificate (PEM, with its chain) to serve TLS with; empty serves plain HTTP."""

    private_key: Path | None = None
    """The key of the certificate, in PEM."""

    docs: bool = True
    """Whether ``/api/v1/docs`` and the description of the API are served."""

    rates: Rates = Rates()
    """How often one may ask, by role; each process counts for itself."""

    plans: Plans = Plans()
    """How many plans one may make, by role: ``["10/hour", "50/day"]``."""

    followed: Followed = Followed()
    """How many live updates one may follow at a time, by role; each process counts for itself."""

    origins: tuple[Origin, ...] = ()
    """Origins whose web pages may ask: ``["https://console.example"]``."""

    webhook_hosts: tuple[str, ...] = ()
    """Hosts inside that webhooks may be brought to: ``["erp.internal", "127.0.0.1:9000"]``."""

    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Networks of proxies whose word for a client's address is taken."""
