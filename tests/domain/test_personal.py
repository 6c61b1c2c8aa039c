"""What is personal in an event can be taken out and put back, wherever its model has it."""

import orjson

from domain.deciders import EVENTS
from domain.personal import EACH, personal_paths, put_back, take_out
from tests.support.canaries import ADA, a_past, canary


def test_what_is_taken_out_can_be_put_back() -> None:
    for one in a_past()[0]:
        whole = orjson.loads(one.event.model_dump_json())
        event = orjson.loads(one.event.model_dump_json())
        taken = take_out(type(one.event), event)
        assert "canary" not in orjson.dumps(event).decode()
        EVENTS[one.type].model_validate_json(orjson.dumps(event))
        put_back(event, taken)
        assert event == whole


def test_a_canary_sings_in_every_personal_field_there_is() -> None:
    """Who adds such a field adds it to the past that these tests forget."""
    unheard = {(name, path) for name, model in EVENTS.items() for path in personal_paths(model)}
    for one in a_past()[0]:
        event = orjson.loads(one.event.model_dump_json())
        places = [
            tuple(place.split("/"))
            for place, value in take_out(type(one.event), event).items()
            if canary(ADA) in str(value)
        ]
        unheard -= {
            (name, path)
            for name, path in unheard
            if name == one.type and any(_leads_to(path, place) for place in places)
        }
    assert unheard == set()


def _leads_to(path: tuple[str, ...], place: tuple[str, ...]) -> bool:
    return all(step in (EACH, name) for step, name in zip(path, place, strict=False))
