"""A new endpoint is one room and one line; each table that has to know it fails until it does."""

import pytest

from gateway.api.paths import is_single_request
from gateway.api.routes import ROUTES
from gateway.translate import ENDPOINTS, STREAMS
from gateway.wire.openai import AZURE_ENDPOINTS, UNOFFERED_ENDPOINTS
from tests.translate.cases import ROOMS, load
from tests.translate.test_answer_model import BODIES, NAMELESS
from tests.translate.test_answers import MODELS
from tests.translate.test_placing import TABLES
from tests.translate.test_requests import REQUESTS

# OpenAI's vectors come whole, so `stream` is refused there as any unknown field.
UNSTREAMED = {"/v1/embeddings"}
# Azure's examples of batches spell these as all others do.
NOT_SPELT_BY_AZURE = {"/v1/images/edits", "/v1/images/generations"}


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


def test_each_endpoint_has_its_stream_or_none() -> None:
    """One without a stream is named: a request for it is refused and never gets this far."""
    assert set(STREAMS) | UNSTREAMED == set(ENDPOINTS)
    assert not STREAMS.keys() & UNSTREAMED


@pytest.mark.parametrize("path", ENDPOINTS)
def test_each_endpoint_answers_single_requests(path: str) -> None:
    """A route, whose path is recognised behind a deployment of Azure's too."""
    short = path.removeprefix("/v1")

    assert [route.path for route in ROUTES if route.path == short] == [short]
    assert is_single_request(f"/openai/deployments/m{short}")


def test_each_endpoint_has_azures_spelling_or_none() -> None:
    """In a batch and in its lines."""
    assert set(AZURE_ENDPOINTS) | NOT_SPELT_BY_AZURE == set(ENDPOINTS)


def test_each_answer_names_its_model_or_has_no_member_for_it() -> None:
    """The model asked for, or the one that served."""
    assert set(BODIES) | NAMELESS == set(ENDPOINTS)
