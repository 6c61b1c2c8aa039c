"""Both providers' protocols: what a request says in them, and what an answer looks like.

OpenAI: ``POST /v1/chat/completions``. Anthropic: ``POST /v1/messages``. Each plain or streamed.
"""

import json
from collections.abc import Iterator
from typing import cast

from infra.llm_stub.answering import Heard, Json, Said, data_in

NOTE = "scripted by taskloom llm-stub"


def hear_openai(body: Json) -> Heard:
    """Return what a request for a chat completion says."""
    text = "\n".join(_text(message.get("content")) for message in body.get("messages", []))
    tools: list[Json] = body.get("tools") or []
    function: Json = tools[0].get("function", {}) if tools else {}
    most = body.get("max_completion_tokens") or body.get("max_tokens") or 1_000_000
    return Heard(
        provider="openai",
        model=str(body.get("model", "")),
        tool=str(function.get("name", "")),
        schema=function.get("parameters", {}),
        text=text,
        data=data_in(text),
        most_output=int(most),
        is_streamed=bool(body.get("stream")),
    )


def hear_anthropic(body: Json) -> Heard:
    """Return what a request for a message says."""
    said = [body.get("system"), *(message.get("content") for message in body.get("messages", []))]
    text = "\n".join(_text(each) for each in said)
    tools: list[Json] = body.get("tools") or []
    tool: Json = tools[0] if tools else {}
    return Heard(
        provider="anthropic",
        model=str(body.get("model", "")),
        tool=str(tool.get("name", "")),
        schema=tool.get("input_schema", {}),
        text=text,
        data=data_in(text),
        most_output=int(body.get("max_tokens") or 1_000_000),
        is_streamed=bool(body.get("stream")),
    )


def openai_answer(heard: Heard, said: Said, number: int) -> Json:
    """Return a chat completion."""
    message: Json = {"role": "assistant", "content": said.text or None}
    if said.arguments is not None:
        function = {"name": heard.tool, "arguments": said.arguments}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        message["tool_calls"] = [call]
    reason = "length" if said.is_cut_short else ("tool_calls" if said.arguments else "stop")
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": heard.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": said.input_tokens,
            "completion_tokens": said.output_tokens,
            "total_tokens": said.input_tokens + said.output_tokens,
        },
        "system_fingerprint": NOTE,
    }


def openai_stream(heard: Heard, said: Said, number: int) -> Iterator[str]:
    """Return a chat completion in parts."""
    whole = openai_answer(heard, said, number)
    choice = whole["choices"][0]
    part = {name: whole[name] for name in ("id", "created", "model", "system_fingerprint")}
    part["object"] = "chat.completion.chunk"

    def event(delta: Json, reason: str | None = None, **more: object) -> str:
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        return f"data: {json.dumps(part | {'choices': choices} | more)}\n\n"

    yield event({"role": "assistant", "content": said.text})
    for call in choice["message"].get("tool_calls", ()):
        yield event({"tool_calls": [{"index": 0} | call]})
    yield event({}, choice["finish_reason"], usage=whole["usage"])
    yield "data: [DONE]\n\n"


def anthropic_answer(heard: Heard, said: Said, number: int) -> Json:
    """Return a message."""
    content: list[Json] = []
    if said.text:
        content.append({"type": "text", "text": said.text})
    if said.arguments is not None:
        try:
            arguments = json.loads(said.arguments)
        except ValueError:
            arguments = {}
        tool = {"type": "tool_use", "id": f"toolu_{number}", "name": heard.tool}
        content.append(tool | {"input": arguments})
    reason = "max_tokens" if said.is_cut_short else ("tool_use" if said.arguments else "end_turn")
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": heard.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": said.input_tokens, "output_tokens": said.output_tokens},
    }


def anthropic_stream(heard: Heard, said: Said, number: int) -> Iterator[str]:
    """Return a message in parts."""
    whole = anthropic_answer(heard, said, number)
    usage = whole["usage"]
    begun: Json = whole | {
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": usage["input_tokens"], "output_tokens": 1},
    }
    yield _event("message_start", {"message": begun})
    for index, block in enumerate(whole["content"]):
        is_tool = block["type"] == "tool_use"
        nothing: Json = {"input": {}} if is_tool else {"text": ""}
        empty = block | nothing
        yield _event("content_block_start", {"index": index, "content_block": empty})
        delta: Json = (
            {"type": "input_json_delta", "partial_json": said.arguments}
            if is_tool
            else {"type": "text_delta", "text": block["text"]}
        )
        yield _event("content_block_delta", {"index": index, "delta": delta})
        yield _event("content_block_stop", {"index": index})
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    spent = {"output_tokens": usage["output_tokens"]}
    yield _event("message_delta", {"delta": ended, "usage": spent})
    yield _event("message_stop", {})


def error_body(provider: str, status: int, message: str) -> Json:
    """Return how a provider says that something is wrong."""
    kinds = {429: "rate_limit_error", 401: "authentication_error", 503: "overloaded_error"}
    error: Json = {"type": kinds.get(status, "api_error"), "message": message}
    return {"type": "error", "error": error} if provider == "anthropic" else {"error": error}


def _event(type_: str, data: Json) -> str:
    return f"event: {type_}\ndata: {json.dumps({'type': type_} | data)}\n\n"


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = cast("list[object]", content)
        return "\n".join(
            str(cast(Json, part).get("text", "")) for part in parts if isinstance(part, dict)
        )
    return ""
