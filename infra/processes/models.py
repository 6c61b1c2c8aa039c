"""Language models as this process may ask them."""

from contextlib import suppress
from importlib import import_module

from agents.llm.choices import Choices, Kind, Provider
from agents.llm.model import Model
from agents.llm.panel import Panel


def panel_of(choices: Choices) -> Panel | None:
    """Return what asks models, or None where no provider is set up."""
    kinds: tuple[Kind, ...] = ("openai", "anthropic", "compatible")
    if not any(choices.provider(kind).is_used for kind in kinds):
        return None
    with suppress(ImportError):  # whoever asks is told; to import it takes longer than a lease
        import_module("agents.llm.provider")
    return Panel(choices, make=make_model)


def make_model(kind: Kind, provider: Provider, name: str, timeout: float) -> Model:
    """Return a model that is asked over HTTP.

    Raises:
        ImportError: The extra ``llm`` is not installed.
    """
    try:
        from agents.llm.provider import ProvidedModel
    except ImportError as error:
        raise ImportError("install the extra `llm`: pip install -e '.[llm]'") from error
    return ProvidedModel(kind, provider, model=name, timeout=timeout)
