"""Every setting there is. Set each with ``TASKLOOM_<NAME>``, nested ones with ``__``.

``TASKLOOM_DB__DSN=postgresql://…`` sets ``db.dsn``. Made once in a composition root and passed
on in parts: no other package imports it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from agents.llm.choices import Choices
from domain.circuits import Fuse
from domain.errors import Refused
from domain.health import Limits

Rate = Annotated[str, Field(pattern=r"^(unlimited|[1-9]\d{0,8}/(second|minute|hour|day))$")]
"""So many requests in a time, as ``100/minute``, or ``unlimited``."""

Quota = Annotated[str, Field(pattern=r"^[1-9]\d{0,8}/(second|minute|hour|day)$")]
"""So many of something in a time, as ``10/hour``."""

Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+)$")]


SHORTEST_SECRET = 32


class NoSigningSecret(Refused):
    """Signatures are asked for, and there is nothing to make keys from."""

    code = "no-signing-secret"

    def __init__(self, why: str) -> None:
        super().__init__(f"TASKLOOM_AMQP__SIGNING_SECRET (or …_FILE) {why}")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _out_of_file(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return settings with one that holds a password, where only the file with it is named."""
    file = said.get(f"{name}_file")
    if not file or said.get(name):
        return said
    try:
        return {**said, name: Path(file).read_text().strip()}
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}_file cannot be read: {error}") from error


class Database(_Part):
    """PostgreSQL, the record."""

    dsn: str | None = None
    """Where it listens; empty starts a private one under ``state_dir``."""

    dsn_file: Path | None = None
    """Where that is written, instead."""

    lock_timeout: PositiveFloat = 1.0
    """Seconds a writer waits for another one: a stalled one must not stop the world."""

    idle_in_transaction_timeout: PositiveFloat = 1.0
    """Seconds after which PostgreSQL ends a transaction whose process stalls."""

    statement_timeout: PositiveFloat = 30.0
    """Seconds after which PostgreSQL ends a statement."""

    connect_timeout: PositiveFloat = 5.0
    """Seconds to wait for a connection."""

    pool_max: PositiveInt = 8
    """Connections of one process."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, said: Mapping[str, Any]) -> Mapping[str, Any]:
        return _out_of_file(said, "dsn")


class Broker(_Part):
    """RabbitMQ, the carrier."""

    url: str | None = None
    """Where it listens; empty starts the embedded broker."""

    url_file: Path | None = None
    """Where that is written, instead."""

    senders: Literal["verify", "require"] = "verify"
    """``verify`` believes a report's ``user_id``, and takes those without one; ``require`` refuses
    them, which is right where each type of agents has a user of its own."""

    signatures: Literal["off", "verify", "require"] = "off"
    """``verify`` refuses what has a wrong signature of an agent, ``require`` what has none."""

    report_rate: PositiveInt = 1_000
    """Reports of one agent a second; what it says beyond waits while others have something to
    say."""

    report_burst: PositiveInt = 5_000
    """Reports that one agent may say at once, beyond that rate."""

    strangers: NonNegativeInt = 32
    """Types of agents that the coordinator makes queues for although no agent has made its own.

    Each has four, and RabbitMQ 3 sets three file handles aside for each."""

    signing_secret: SecretStr | None = None
    """What the keys of agents are made from; 32 characters or more. Another one voids them all."""

    signing_secret_file: Path | None = None
    """Where it is, instead."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, said: Mapping[str, Any]) -> Mapping[str, Any]:
        return _out_of_file(said, "url")

    @property
    def has_secret(self) -> bool:
        """Whether it is said what the keys of agents are made from."""
        return self.signing_secret is not None or self.signing_secret_file is not None

    def secret(self) -> bytes:
        """Return what the keys of agents are made from.

        Raises:
            NoSigningSecret: There is none, or it can be guessed.
        """
        if self.signing_secret is not None:
            found = self.signing_secret.get_secret_value()
        elif self.signing_secret_file is not None:
            found = self.signing_secret_file.read_text().strip()
        else:
            raise NoSigningSecret("is not set")
        if len(found) < SHORTEST_SECRET:
            raise NoSigningSecret(f"has less than {SHORTEST_SECRET} characters")
        return found.encode()


class Rates(_Part):
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


class Plans(_Part):
    """How many plans one may make, by role; all processes count together."""

    user: tuple[Quota, ...] = ("10/hour", "50/day")
    """A person's plans."""

    admin: tuple[Quota, ...] = ()
    """Those of who runs this; as many as they like."""

    system: tuple[Quota, ...] = ()
    """Another service's."""


class Followed(_Part):
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


class Http(_Part):
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


class Identity(_Part):
    """Who may use the API."""

    signing_key: Path | None = None
    """The Ed25519 key, in PEM, that tokens are signed with; made under ``state_dir`` when empty."""

    earlier_keys: tuple[Path, ...] = ()
    """Keys that signed before: their tokens still count until they expire."""

    logins: PositiveInt = 5
    """Attempts of one account to log in, a minute."""

    attempts: PositiveInt = 60
    """Attempts from one address with wrong passwords, tokens or keys, a minute."""


class Agents(_Part):
    """Agents and the leases they hold."""

    concurrency: PositiveInt = 16
    """How many tasks one agent carries out at a time."""

    heartbeat: PositiveFloat = 0.3
    """Seconds between two heartbeats."""

    lease: PositiveFloat = 1.2
    """Seconds without a heartbeat after which an agent's attempts are lost."""

    patience: PositiveFloat = 3.0
    """Seconds that dispatched work may be out of everybody's sight before it is sent again."""

    replan_after: PositiveFloat = 10.0
    """Seconds that work waits for a type of agents of whom nobody is there, before a plan around
    it is asked for."""

    hung_after: PositiveFloat = 10.0
    """Seconds without a heartbeat after which the local stack starts an agent again."""

    key: SecretStr | None = None
    """What this agent signs with, as ``taskloom agent-key issue`` has printed it."""

    key_file: Path | None = None
    """Where that is, instead."""

    compress: bool = False
    """Whether this agent sends large reports as gzip."""

    grace: PositiveFloat = 10.0
    """Seconds a stopping process gives to what it has under way."""


class Keys(_Part):
    """What wraps the keys with which the personal parts of the log are encrypted."""

    kek: SecretStr | None = None
    """32 bytes in base64, the same for every process that has to do with the record."""

    kek_file: Path | None = None
    """Where they are, instead; empty makes them in ``keys/kek`` in the state folder."""


class Audit(_Part):
    """Seals over the log, and what is said of them outside of the database."""

    checkpoints: Path | None = None
    """Where signed checkpoints are appended; empty is ``audit/checkpoints.jsonl`` in the state
    folder. Keep it where whoever has the database cannot reach it."""

    key_file: Path | None = None
    """The Ed25519 key in PEM that signs them; empty makes one in ``audit/`` in the state folder."""

    every: PositiveInt = 1_000
    """Events after which a checkpoint is due."""

    seconds: PositiveFloat = 60.0
    """Seconds after which a checkpoint is due, if anything was sealed since the last."""


class Settings(BaseSettings):
    """All of them, from the environment and ``.env``."""

    model_config = SettingsConfigDict(
        env_prefix="TASKLOOM_",
        env_nested_delimiter="__",
        env_file=".env",
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    db: Database = Database()
    amqp: Broker = Broker()
    http: Http = Http()
    agents: Agents = Agents()
    audit: Audit = Audit()
    identity: Identity = Identity()
    keys: Keys = Keys()
    health: Limits = Limits()
    """What is expected of an agent; ``TASKLOOM_HEALTH__FAULTS__DEGRADED`` is one of its bounds."""

    breakers: Fuse = Fuse()
    """When new work for an agent type is held back."""

    llm: Choices = Choices()
    """Language models for planning; agents/README.md lists what can be set."""

    token: SecretStr | None = None
    """The key or token that verbs show the API; of the stack that runs here when empty."""

    state_dir: Path = Path(".taskloom")
    """Where private servers and logs are kept."""

    log_level: str = "INFO"
    """The least level that is logged."""

    development: bool = False
    """Whether secrets that everybody knows will do beyond this machine, because nothing is to be
    protected."""

    chaos: bool = False
    """Whether processes may be made to fail on purpose; never where the work is real."""

    fail: str | None = None
    """Where and how, as ``bus/failpoints.py`` reads it; without ``chaos`` it does nothing."""

    fail_log: Path | None = None
    """Where each failure on purpose is written down."""

    @property
    def checkpoints(self) -> Path:
        """Where signed checkpoints are appended."""
        return self.audit.checkpoints or self.state_dir / "audit" / "checkpoints.jsonl"

    @property
    def signing_key(self) -> Path:
        """Where the key is that signs them."""
        return self.audit.key_file or self.state_dir / "audit" / "signing.key"


def misspelt(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return variables that set nothing for want of an underscore, with the names that would."""
    parts: Mapping[str, type[BaseModel]] = {
        "db": Database,
        "amqp": Broker,
        "http": Http,
        "agents": Agents,
        "audit": Audit,
        "identity": Identity,
        "keys": Keys,
        "health": Limits,
        "breakers": Fuse,
        "llm": Choices,
    }
    meant = {
        f"TASKLOOM_{part}_{name}".upper(): f"TASKLOOM_{part}__{name}".upper()
        for part, model in parts.items()
        for name in model.model_fields
    }
    return {name: meant[name] for name in environment if name in meant}
