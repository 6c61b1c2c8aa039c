"""The settings that say where PostgreSQL and RabbitMQ are, and how they are used."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)

from domain.errors import Refused

SHORTEST_SECRET = 32


class NoSigningSecret(Refused):
    """Signatures are asked for, and there is nothing to make keys from."""

    code = "no-signing-secret"

    def __init__(self, why: str) -> None:
        super().__init__(f"TASKLOOM_AMQP__SIGNING_SECRET (or …_FILE) {why}")


class Part(BaseModel):
    """Some of the settings, under one name."""

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


class Database(Part):
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


class Broker(Part):
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
