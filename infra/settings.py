"""Every setting there is. Set each with ``TASKLOOM_<NAME>``, nested ones with ``__``.

``TASKLOOM_DB__DSN=postgresql://…`` sets ``db.dsn``. Made once in a composition root and passed
on in parts: no other package imports it.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from agents.llm.choices import Choices
from domain.circuits import Fuse
from domain.health import Limits
from infra.settings_of_api import Http
from infra.settings_of_servers import Broker, Database, Part


class Identity(Part):
    """Who may use the API."""

    signing_key: Path | None = None
    """The Ed25519 key, in PEM, that tokens are signed with; made under ``state_dir`` when empty."""

    earlier_keys: tuple[Path, ...] = ()
    """Keys that signed before: their tokens still count until they expire."""

    logins: PositiveInt = 5
    """Attempts of one account to log in, a minute."""

    attempts: PositiveInt = 60
    """Attempts from one address with wrong passwords, tokens or keys, a minute."""


class Agents(Part):
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


class Keys(Part):
    """What wraps the keys with which the personal parts of the log are encrypted."""

    kek: SecretStr | None = None
    """32 bytes in base64, the same for every process that has to do with the record."""

    kek_file: Path | None = None
    """Where they are, instead; empty makes them in ``keys/kek`` in the state folder."""


class Audit(Part):
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
