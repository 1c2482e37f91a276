"""Whose request it is."""

import pytest
from starlette.datastructures import Headers

from gateway.api.auth import MissingKeyError, key_of_client, owner_of_request
from gateway.errors import AuthenticationError
from gateway.ids import digest

KNOWN = {digest("s3cret"): "alice", digest("ключ"): "bob"}


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer s3cret"},
        {"authorization": "bearer   s3cret "},
        {"Authorization": "BEARER s3cret", "api-key": "ignored"},
        {"api-key": "s3cret"},
        {"authorization": "Basic abc", "api-key": "s3cret"},
        {"authorization": "Bearer ", "api-key": "s3cret"},
        {"x-goog-api-key": "s3cret"},
    ],
)
def test_keys_that_are_known(headers: dict[str, str]) -> None:
    """Bearer in any case, or the header of Azure's client, or of Google's."""
    assert owner_of_request(Headers(headers), KNOWN) == "alice"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer  "},
        {"authorization": "s3cret"},
        {"authorization": "Basic s3cret"},
        {"api-key": ""},
    ],
)
@pytest.mark.parametrize("credentials", [KNOWN, None])
def test_no_key(headers: dict[str, str], credentials: dict[str, str] | None) -> None:
    """One must be there even where any will do."""
    with pytest.raises(MissingKeyError) as caught:
        owner_of_request(Headers(headers), credentials)

    assert (caught.value.status, caught.value.code) == (401, None)


@pytest.mark.parametrize(
    "secret", ["wrong", "s3cret2", "s3cre", digest("s3cret"), "' OR 1=1 --", "\xff", "x" * 10_000]
)
def test_wrong_keys(secret: str) -> None:
    """The message does not repeat them."""
    with pytest.raises(AuthenticationError) as caught:
        owner_of_request(Headers({"authorization": f"Bearer {secret}"}), KNOWN)

    assert (caught.value.code, caught.value.message) == (
        "invalid_api_key",
        "Incorrect API key provided.",
    )


@pytest.mark.parametrize("secret", ["short", "with space inside", "schl\xfcssel", "x" * 513])
def test_what_is_no_key_for_google(secret: str) -> None:
    """It would be sent to Google as a header; the message does not repeat it."""
    with pytest.raises(AuthenticationError) as caught:
        key_of_client(Headers({"api-key": secret}))
    assert secret not in caught.value.message
    with pytest.raises(MissingKeyError):
        key_of_client(Headers({}))
    assert key_of_client(Headers({"authorization": "Bearer AIzaSy-key"})) == "AIzaSy-key"


def test_any_key_will_do_without_credentials() -> None:
    """The owner is then always the same; an empty table lets nobody in."""
    headers = Headers({"authorization": "Bearer whatever"})

    assert owner_of_request(headers, None) == "local"
    with pytest.raises(AuthenticationError):
        owner_of_request(headers, {})
