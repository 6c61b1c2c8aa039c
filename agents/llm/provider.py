"""Models of OpenAI, of Anthropic, and of every server that speaks OpenAI's protocol.

The libraries are asked for one request each and nothing more: their own repetitions are off, and
redirects are not followed, because a key would go with them. They come with the extra ``llm``.
"""

import json
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx2
from anthropic import AsyncAnthropic
from genai_prices import Usage, calc_price
from openai import AsyncOpenAI
from pydantic_ai import direct
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior, UserError
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models import Model as LibraryModel
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from agents.llm.choices import Kind, Provider
from agents.llm.model import Asked, NoReply, Reply

_MORE_LATER: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_LONGEST_REASON: Final = 500
_LONGEST_PAUSE: Final = 86_400.0


class ProvidedModel:
    """One model of one provider, asked over HTTP."""

    def __init__(self, kind: Kind, provider: Provider, *, model: str, timeout: float) -> None:
        """Take a provider; nothing is sent yet.

        Raises:
            OSError: The file with the key cannot be read.
        """
        self._kind = kind
        self._price = provider.price
        self._secret = provider.secret()
        self._name = model
        self._http = httpx2.AsyncClient(follow_redirects=False, timeout=timeout)
        self._model = self._library_model(provider)

    @property
    def provider(self) -> str:
        """Who offers it."""
        return self._kind

    @property
    def name(self) -> str:
        """What its provider calls it."""
        return self._name

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """Return what tokens cost in US dollars, or None where nobody knows."""
        if self._price is not None:
            price = self._price
            return (input_tokens * price.input + output_tokens * price.output) / 1e6
        if self._kind == "compatible":
            return None
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        try:
            return float(calc_price(usage, self._name, provider_id=self._kind).total_price)
        except (LookupError, ValueError):
            return None

    async def ask(self, asked: Asked) -> Reply:
        """Send one request and return what was answered.

        Raises:
            NoReply: There was no answer.
        """
        tool = ToolDefinition(
            name=asked.tool,
            description="Give the answer.",
            parameters_json_schema=asked.schema,
            strict=False,
            kind="output",
        )
        settings = ModelSettings(max_tokens=asked.most_output, timeout=asked.timeout)
        if asked.temperature is not None:
            settings["temperature"] = asked.temperature
        request = ModelRequest(
            parts=[UserPromptPart(content=asked.data)], instructions=asked.instructions
        )
        try:
            response = await direct.model_request(
                self._model,
                [request],
                model_settings=settings,
                model_request_parameters=ModelRequestParameters(
                    output_mode="tool", output_tools=[tool], allow_text_output=False
                ),
                instrument=False,
            )
        except ModelHTTPError as error:
            raise self._refused(error) from error
        except (ModelAPIError, httpx2.HTTPError) as error:
            raise NoReply(self._said(error), is_doubtful=not _was_unreachable(error)) from error
        except (UnexpectedModelBehavior, ValueError) as error:
            raise NoReply(self._said(error), is_doubtful=True) from error
        except UserError as error:
            raise NoReply(self._said(error), is_lasting=True) from error
        usage = response.usage
        return Reply(
            answer=_answer(response),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
        )

    async def aclose(self) -> None:
        """Close the connections to the provider."""
        await self._http.aclose()

    def _library_model(self, provider: Provider) -> LibraryModel:
        if self._kind == "anthropic":
            anthropic = AsyncAnthropic(
                api_key=self._secret,
                base_url=provider.url or "https://api.anthropic.com",
                max_retries=0,
                http_client=self._http,
            )
            return AnthropicModel(
                self._name, provider=AnthropicProvider(anthropic_client=anthropic)
            )
        openai = AsyncOpenAI(
            api_key=self._secret,
            base_url=provider.url or "https://api.openai.com/v1",
            max_retries=0,
            http_client=self._http,
        )
        return OpenAIChatModel(self._name, provider=OpenAIProvider(openai_client=openai))

    def _refused(self, error: ModelHTTPError) -> NoReply:
        status = error.status_code
        why = f"HTTP {status}: {self._said(error)}"
        if status not in _MORE_LATER and status < 500:
            return NoReply(why, is_lasting=True)
        return NoReply(why, retry_after=_retry_after(error.headers or {}))

    def _said(self, error: Exception) -> str:
        """Return what went wrong, without the key: providers repeat it in their answers."""
        said = str(error) or type(error).__name__
        cause = error.__cause__
        if cause is not None and str(cause) and str(cause) not in said:
            said = f"{said} ({cause})"
        if len(self._secret) > 4:
            said = said.replace(self._secret, "***")
        return "".join(c if c.isprintable() else " " for c in said)[:_LONGEST_REASON]


def _answer(response: ModelResponse) -> object:
    texts: list[str] = []
    for part in response.parts:
        if isinstance(part, ToolCallPart):
            said: Any = part.args
            return _json(said) if isinstance(said, str) else said
        if isinstance(part, TextPart):
            texts.append(part.content)
    return _json("".join(texts))


def _json(text: str) -> object:
    """Return what a text says as JSON, or the text."""
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return text


def _retry_after(headers: dict[str, str]) -> float | None:
    """Return the seconds of a Retry-After, which may be a number or a date."""
    said = headers.get("retry-after", "").strip()
    if not said:
        return None
    with suppress(ValueError):
        return min(max(0.0, float(said)), _LONGEST_PAUSE)
    with suppress(ValueError, TypeError):
        until = parsedate_to_datetime(said)
        return min(max(0.0, (until - datetime.now(UTC)).total_seconds()), _LONGEST_PAUSE)
    return None


def _was_unreachable(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
            return True
        error = error.__cause__
    return False
