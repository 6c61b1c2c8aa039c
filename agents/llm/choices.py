"""Which language models are asked, where, and how long: settings, read by whoever starts us."""

from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
)

from domain.goals import Planner

Kind = Literal["openai", "anthropic", "compatible"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Price(_Part):
    """What a million tokens cost, in US dollars."""

    input: NonNegativeFloat
    output: NonNegativeFloat


class Provider(_Part):
    """One provider; it is asked if it has a key or a URL of its own."""

    key: SecretStr | None = None
    """The API key."""

    key_file: Path | None = None
    """Where the API key is, instead."""

    url: str | None = None
    """Where it listens, if not where it usually does; ``https://host/v1`` for OpenAI's protocol."""

    model: str = Field(default="default", min_length=1, max_length=200)
    """The model that is asked, unless the role says otherwise."""

    price: Price | None = None
    """What it costs; where it is not set, the published price, if one is known."""

    calls_per_minute: PositiveInt | None = None
    """Calls that one process may make in a minute; as many as it likes where it is not set."""

    tokens_per_minute: PositiveInt | None = None
    """Tokens that one process may use in a minute, those of answers included."""

    @property
    def is_used(self) -> bool:
        """Whether it can be asked."""
        return self.key is not None or self.key_file is not None or self.url is not None

    def secret(self) -> str:
        """Return the key, without the line end of its file; a server of one's own needs none."""
        if self.key is not None:
            return self.key.get_secret_value()
        return self.key_file.read_text().strip() if self.key_file is not None else "none"


class OpenAI(Provider):
    """OpenAI itself."""

    model: str = Field(default="gpt-4.1-mini", min_length=1, max_length=200)
    """The model that is asked, unless the role says otherwise."""

    calls_per_minute: PositiveInt | None = 3_500
    """Calls that one process may make in a minute."""

    tokens_per_minute: PositiveInt | None = 90_000
    """Tokens that one process may use in a minute, those of answers included."""


class Anthropic(Provider):
    """Anthropic itself."""

    model: str = Field(default="claude-haiku-4-5", min_length=1, max_length=200)
    """The model that is asked, unless the role says otherwise."""

    calls_per_minute: PositiveInt | None = 50
    """Calls that one process may make in a minute."""

    tokens_per_minute: PositiveInt | None = 100_000
    """Tokens that one process may use in a minute, those of answers included."""


class Role(_Part):
    """What is particular to one use of models."""

    provider: Kind | None = None
    """Who is asked first."""

    model: str | None = None
    """Which model of that provider."""

    temperature: float | None = Field(default=0.2, ge=0, le=2)
    """How much chance there is in its answers; nothing for models that know no temperature."""


class Choices(_Part):
    """Language models for planning. Without a key or a URL the rules plan alone."""

    planner: Planner = "auto"
    """Who plans where a goal does not say: ``auto``, ``rules`` or ``llm``."""

    order: tuple[Kind, ...] = ("openai", "anthropic", "compatible")
    """Who is asked first, and who when that one is of no help."""

    openai: OpenAI = OpenAI()
    anthropic: Anthropic = Anthropic()
    compatible: Provider = Provider()
    """Any server that speaks OpenAI's protocol."""

    decompose: Role = Role()
    """For dividing goals."""

    plan: Role = Role()
    """For planning domains."""

    timeout: PositiveFloat = 60.0
    """Seconds that one call may take."""

    patience: PositiveFloat = 120.0
    """Seconds that one question may take, with all calls and pauses between them."""

    reasks: int = Field(default=2, ge=0, le=5)
    """How often one model is told what is wrong with its answer."""

    most_calls: int = Field(default=8, ge=1, le=50)
    """Calls that one question may take in all."""

    most_at_once: PositiveInt = 100
    """Calls that one process may have under way at a time; more wait for their turn."""

    most_output: int = Field(default=8_000, ge=256, le=200_000)
    """Tokens that one answer may have."""

    most_input: int = Field(default=100_000, ge=1_000)
    """Tokens that one question may have."""

    most_tokens: int | None = Field(default=None, ge=0)
    """Tokens that one attempt at a task may cost, where its plan has no tighter budget."""

    most_cost: float | None = Field(default=None, ge=0)
    """US dollars that one attempt at a task may cost, where its plan has no tighter budget."""

    cache_size: int = Field(default=256, ge=0, le=100_000)
    """Answers that a process remembers, for questions that are the same; 0 remembers none."""

    cache_dir: Path | None = None
    """Where answers are remembered across processes, if anywhere."""

    def role(self, name: str) -> Role:
        """Return what is particular to a use of models."""
        return self.decompose if name == "decompose" else self.plan

    def provider(self, kind: Kind) -> Provider:
        """Return the settings of a provider."""
        return {"openai": self.openai, "anthropic": self.anthropic, "compatible": self.compatible}[
            kind
        ]

    def ranked(self, role: Role) -> list[Kind]:
        """Return the providers that can be asked, the role's own first."""
        wanted: list[Kind] = [role.provider] if role.provider is not None else []
        ranked: dict[Kind, None] = dict.fromkeys([*wanted, *self.order])
        return [kind for kind in ranked if self.provider(kind).is_used]
