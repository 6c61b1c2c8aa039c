"""What the docstrings of fields say, as descriptions in schemas of JSON.

Pydantic can do so when a class is made, and reads its module anew for each class: every start of
every process would pay for that. Here whoever asks for a description does, once.
"""

import ast
import inspect
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel


def describe_fields(schemas: Mapping[str, Any], packages: Collection[str]) -> None:
    """Write into schemas, by their names, what the models of some packages say of their fields.

    A schema that has the name of several models says nothing.
    """
    named: dict[str, list[type[BaseModel]]] = {}
    for model in dict.fromkeys(_below(BaseModel)):
        if model.__module__.partition(".")[0] in packages:
            named.setdefault(model.__name__, []).append(model)
    for name, schema in schemas.items():
        models = named.get(name, [])
        if len(models) == 1:
            _describe(schema.get("properties", {}), models[0])


def _describe(properties: Mapping[str, Any], model: type[BaseModel]) -> None:
    said = _said_of(model)
    for name, field in model.model_fields.items():
        names = {name, field.alias or name, field.serialization_alias or name}
        for shown in names & properties.keys() if name in said else ():
            properties[shown].setdefault("description", said[name])


def _said_of(model: type[BaseModel]) -> Mapping[str, str]:
    """Return what is said of each field, where it is declared last."""
    said: dict[str, str] = {}
    for each in reversed(model.__mro__):
        said |= _said_in(each.__module__).get(each.__name__, {})
    return said


@cache
def _said_in(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return the docstrings of the fields of a module's classes; none where it has no source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return {}
    classes = (each for each in tree.body if isinstance(each, ast.ClassDef))
    return {each.name: dict(_docstrings(each)) for each in classes}


def _docstrings(of: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for declared, below in zip(of.body, of.body[1:], strict=False):
        if not (isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield declared.target.id, " ".join(str(below.value.value).split())


def _below(model: type[BaseModel]) -> Iterable[type[BaseModel]]:
    for each in model.__subclasses__():
        yield each
        yield from _below(each)
