"""What is said below a field in the code is said in the descriptions of it."""

from typing import Any

from pydantic import BaseModel, Field

from bus.docstrings import describe_fields

HERE = __name__.partition(".")[0]


class Chair(BaseModel):
    """Something to sit on."""

    legs: int
    """How many,
    and all of one length."""

    colour: str
    back: bool = Field(serialization_alias="hasBack")
    """Whether one can lean."""


class Throne(Chair):
    """A chair for one."""

    legs: int
    """Made of gold."""


def described(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="serialization")
    describe_fields({model.__name__: schema}, [HERE])
    return {name: part.get("description") for name, part in schema["properties"].items()}


def test_a_docstring_is_the_description_of_its_field() -> None:
    assert described(Chair) == {
        "legs": "How many, and all of one length.",
        "colour": None,
        "hasBack": "Whether one can lean.",
    }


def test_what_is_inherited_is_said_unless_it_is_said_anew() -> None:
    assert described(Throne) == {
        "legs": "Made of gold.",
        "colour": None,
        "hasBack": "Whether one can lean.",
    }


def test_models_of_other_packages_say_nothing() -> None:
    schema = Chair.model_json_schema()
    before = repr(schema)
    describe_fields({"Chair": schema}, ["api"])
    assert repr(schema) == before
