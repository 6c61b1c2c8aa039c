"""What a newer description of the API takes away from those who rely on an older one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def broken(old: Schema, new: Schema) -> Sequence[str]:
    """Return every promise of the old description that the new one does not keep."""
    return list(_of_paths(old, new))


def _of_paths(old: Schema, new: Schema) -> Iterator[str]:
    for path, methods in old["paths"].items():
        for method, was in methods.items():
            name = f"{method.upper()} {path}"
            now = new["paths"].get(path, {}).get(method)
            if now is None:
                yield f"{name} is gone"
                continue
            if was["operationId"] != now["operationId"]:
                yield f"{name} is called {now['operationId']}, not {was['operationId']}"
            yield from _of_parameters(name, was, now)
            yield from _of_body(name, old, was, new, now)
            yield from _of_answers(name, old, was, new, now)


def _of_parameters(name: str, was: Schema, now: Schema) -> Iterator[str]:
    before = {(each["in"], each["name"]): each for each in was.get("parameters", ())}
    after = {(each["in"], each["name"]): each for each in now.get("parameters", ())}
    for place in before.keys() - after.keys():
        yield f"{name} does not take {place[1]} any more"
    for place, each in after.items():
        if each.get("required") and not before.get(place, {}).get("required"):
            yield f"{name} needs {place[1]} now"


def _of_body(name: str, old: Schema, was: Schema, new: Schema, now: Schema) -> Iterator[str]:
    before, after = _json(was.get("requestBody")), _json(now.get("requestBody"))
    if before is None:
        if now.get("requestBody", {}).get("required"):
            yield f"{name} needs a body now"
        return
    if after is None:
        yield f"{name} does not take a body any more"
        return
    yield from _narrower(f"{name} body", (old, before), (new, after), seen=frozenset())


def _of_answers(name: str, old: Schema, was: Schema, new: Schema, now: Schema) -> Iterator[str]:
    for status, answer in was["responses"].items():
        if status not in now["responses"]:
            yield f"{name} does not answer {status} any more"
            continue
        before, after = _json(answer), _json(now["responses"][status])
        if before is not None and after is not None:
            yield from _poorer(f"{name} {status}", (old, before), (new, after), seen=frozenset())


def _json(part: Schema | None) -> Schema | None:
    content: Schema = (part or {}).get("content", {})
    found: Schema | None = content.get("application/json", {}).get("schema")
    return found


def _resolved(document: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    kinds = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return _resolved(document, kinds[0]) if len(kinds) == 1 else schema


def _narrower(
    where: str, old: tuple[Schema, Schema], new: tuple[Schema, Schema], *, seen: frozenset[str]
) -> Iterator[str]:
    """Yield what could be asked before, and cannot now."""
    was, now = _resolved(*old), _resolved(*new)
    if was.get("title", where) in seen:
        return
    seen |= {was.get("title", where)}
    if "type" in now and was.get("type", now["type"]) != now["type"]:
        yield f"{where} is {now['type']}, not {was['type']}"
    for gone in set(was.get("enum", ())) - set(now.get("enum", was.get("enum", ()))):
        yield f"{where} may not be {gone!r} any more"
    for needed in set(now.get("required", ())) - set(was.get("required", ())):
        yield f"{where}.{needed} is needed now"
    for name, part in was.get("properties", {}).items():
        if name not in now.get("properties", {}):
            if now.get("additionalProperties") is False:
                yield f"{where}.{name} is not taken any more"
            continue
        parts = (old[0], part), (new[0], now["properties"][name])
        yield from _narrower(f"{where}.{name}", *parts, seen=seen)


def _poorer(
    where: str, old: tuple[Schema, Schema], new: tuple[Schema, Schema], *, seen: frozenset[str]
) -> Iterator[str]:
    """Yield what was told before, and is not now."""
    was, now = _resolved(*old), _resolved(*new)
    if was.get("title", where) in seen:
        return
    seen |= {was.get("title", where)}
    if "type" in was and now.get("type", was["type"]) != was["type"]:
        yield f"{where} is {now['type']}, not {was['type']}"
    for name, part in was.get("properties", {}).items():
        if name not in now.get("properties", {}):
            yield f"{where}.{name} is not told any more"
            continue
        parts = (old[0], part), (new[0], now["properties"][name])
        yield from _poorer(f"{where}.{name}", *parts, seen=seen)
    if "items" in was and "items" in now:
        parts = (old[0], was["items"]), (new[0], now["items"])
        yield from _poorer(f"{where}[]", *parts, seen=seen)
