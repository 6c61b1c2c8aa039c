"""What the stub makes of a request: the form that is asked for, the data, and an answer to it."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import Any, cast

from infra.llm_stub.scenario import Rule

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One request, whichever protocol it came in."""

    provider: str
    model: str
    tool: str
    """The form that is asked for; empty where any text will do."""

    schema: Json
    text: str
    """Everything that was said, instructions included."""

    data: Json
    most_output: int
    is_streamed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer, whichever protocol it goes out in."""

    arguments: str | None
    """The form, filled; or None, and a text instead."""

    text: str
    input_tokens: int
    output_tokens: int
    is_cut_short: bool
    """Whether it had to end before its end, by the tokens that it may have."""


def said(heard: Heard, rule: Rule) -> Said:
    """Return the answer to a request."""
    arguments: str | None = None
    text = ""
    match rule.fault:
        case "text":
            text = "I would rather talk about it."
        case "malformed":
            arguments = '{"tasks": [{"key": "a", '
        case "cycle":
            arguments = json.dumps(_in_circle(heard))
        case "obey":
            arguments = json.dumps(_obeyed(heard))
        case _:
            answer = rule.answer if rule.answer is not None else _as_asked(heard)
            if heard.tool:
                arguments = json.dumps(answer)
            else:
                text = json.dumps(answer) if rule.answer is not None else "This is a stub."
    length = tokens_of(arguments if arguments is not None else text)
    length = length if rule.tokens is None else rule.tokens
    is_cut_short = rule.tokens is None and length > heard.most_output
    if is_cut_short:
        length = heard.most_output
        arguments = None if arguments is None else arguments[: length * 4]
        text = text[: length * 4]
    return Said(
        arguments=arguments,
        text=text,
        input_tokens=tokens_of(heard.text) + tokens_of(json.dumps(heard.schema)),
        output_tokens=length,
        is_cut_short=is_cut_short,
    )


def tokens_of(text: str) -> int:
    """Return how many tokens a text counts as here: one for four bytes."""
    return ceil(len(text.encode()) / 4)


def data_in(text: str) -> Json:
    """Return the first block of data in a text, or nothing."""
    for found in re.finditer(r"<(data-[0-9a-f]+)>\n(.*?)\n</\1>", text, re.DOTALL):
        with suppress(ValueError):
            block = json.loads(found[2])
            if isinstance(block, dict):
                return cast(Json, block)
    return {}


def _as_asked(heard: Heard) -> Json:
    """Return the draft that came with the data, or the least that the form allows."""
    data = heard.data
    if heard.tool == "plan" and "draft" in data:
        return {"tasks": data["draft"], "notes": ["A stub has returned the draft."]}
    if heard.tool == "decompose" and "domains" in data:
        goals = [{"domain": name, "title": f"Plan {name}"} for name in data["domains"]]
        return {"sub_goals": goals}
    filled = least(heard.schema, heard.schema.get("$defs", {}))
    return cast(Json, filled) if isinstance(filled, dict) else {}


def _in_circle(heard: Heard) -> Json:
    answer = _as_asked(heard)
    tasks = answer.get("tasks", [])
    if len(tasks) > 1:
        tasks[0] = tasks[0] | {"after": [tasks[-1]["key"]]}
        tasks[-1] = tasks[-1] | {"after": [tasks[0]["key"]]}
    return answer


def _obeyed(heard: Heard) -> Json:
    """Return what the data orders, laid over the answer that was asked for."""
    answer = _as_asked(heard)
    decoder = json.JSONDecoder()
    for text in _texts(heard.data):
        _, marker, order = text.partition("OBEY:")
        if marker:
            with suppress(ValueError):
                ordered, _ = decoder.raw_decode(order.strip())
                if isinstance(ordered, dict):
                    return _laid_over(answer, cast(Json, ordered))
    return answer


def _laid_over(answer: Json, ordered: Json) -> Json:
    more = ordered.pop("more_tasks", None)
    every = ordered.pop("every_task", None)
    tasks: list[Json] = answer.get("tasks", [])
    if every is not None:
        tasks = [task | every for task in tasks]
    if more is not None:
        tasks = [*tasks, *more]
    if tasks:
        answer = answer | {"tasks": tasks}
    return answer | ordered


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in cast(Json, value).values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in cast("list[object]", value) for text in _texts(each)]
    return []


def least(schema: Json, defs: Json) -> object:
    """Return the least value that a JSON schema allows, as far as this reads schemas."""
    if "$ref" in schema:
        return least(defs.get(str(schema["$ref"]).rpartition("/")[2], {}), defs)
    for choice in ("const", "default"):
        if choice in schema:
            return schema[choice]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return least(schema["anyOf"][0], defs)
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {name: least(fields.get(name, {}), defs) for name in schema.get("required", [])}
        case "array":
            return [least(schema.get("items", {}), defs)] * int(schema.get("minItems", 0))
        case "string":
            return "x" * max(1, int(schema.get("minLength", 1)))
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return False
        case _:
            return None
