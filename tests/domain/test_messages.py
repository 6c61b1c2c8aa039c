"""A message is published once, whoever repeats it."""

from typing import Any

import pytest
from pydantic import ValidationError

from domain.errors import AlreadyExists, TooHeavy
from domain.messages import MOST_BYTES, MessagePublished, decide, evolve
from tests.support.scenario import NOW


def said(**other: Any) -> MessagePublished:
    fields = {"message_id": "m-1", "topic": "deploy.finished", "payload": {"build": 7}}
    return MessagePublished.model_validate(fields | other)


def test_the_same_message_again_leads_to_nothing() -> None:
    [event] = decide(None, said(), NOW)
    assert decide(evolve(None, event), said(), NOW) == []


def test_another_message_under_the_same_id_is_refused() -> None:
    with pytest.raises(AlreadyExists):
        decide(evolve(None, said()), said(payload={"build": 8}), NOW)


def test_a_message_with_too_many_bytes_is_refused() -> None:
    with pytest.raises(TooHeavy):
        decide(None, said(payload={"text": "a" * MOST_BYTES}), NOW)


@pytest.mark.parametrize("topic", ["", "Deploy", "deploy..done", "deploy.*", "a." * 10 + "a", "ä"])
def test_a_topic_is_words_between_dots(topic: str) -> None:
    with pytest.raises(ValidationError):
        said(topic=topic)
