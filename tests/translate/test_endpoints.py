"""A new endpoint is one room and one line; each table that has to know it fails until it does."""

import pytest

from gateway.translate import ENDPOINTS
from gateway.wire.openai import UNOFFERED_ENDPOINTS
from tests.translate.cases import ROOMS, load
from tests.translate.test_answers import MODELS
from tests.translate.test_placing import TABLES
from tests.translate.test_requests import REQUESTS


def test_each_endpoint_is_a_room() -> None:
    """What translates and what renders are the two modules of one room."""
    for room, path in ROOMS.items():
        endpoint = ENDPOINTS[path]
        assert endpoint.to_gemini.__module__ == f"gateway.translate.{room}.request"
        assert endpoint.from_gemini.__module__ == f"gateway.translate.{room}.answer"


@pytest.mark.parametrize("direction", ["requests", "answers"])
def test_each_endpoint_has_cases(direction: str) -> None:
    """Cases of both directions."""
    assert {case.values[1]["endpoint"] for case in load(direction)} == set(ENDPOINTS)


def test_each_answer_is_judged_by_the_sdk() -> None:
    """The OpenAI SDK's type of the endpoint's answer."""
    assert set(MODELS) == set(ENDPOINTS)


def test_each_request_is_judged_by_the_schema() -> None:
    """The message that the endpoint's Gemini method takes."""
    assert set(REQUESTS) == {endpoint.method for endpoint in ENDPOINTS.values()}


def test_each_endpoint_places_the_fields_of_the_sdk() -> None:
    """The SDK's list of the body's fields, under the name of the room."""
    assert set(ROOMS) <= {name for name, *_ in TABLES}


def test_no_endpoint_is_called_unoffered() -> None:
    """Clients are told why an endpoint cannot be had only where it cannot."""
    assert not UNOFFERED_ENDPOINTS.keys() & ENDPOINTS.keys()
