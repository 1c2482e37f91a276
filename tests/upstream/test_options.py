"""What the client accepts to be told, and what it never shows."""

import pytest

from gateway.errors import SettingsError
from gateway.upstream.errors import MESSAGE_LIMIT, Scrubber
from gateway.upstream.options import GeminiOptions
from tests.upstream.bench import KEY


class TestOptions:
    """What is refused, and what is never shown."""

    def test_keys_are_not_in_the_repr(self) -> None:
        assert KEY not in repr(GeminiOptions({"default": KEY}))

    @pytest.mark.parametrize("key", ["", " padded", "new\nline", "umläut-key", "tab\tkey"])
    def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(self, key: str) -> None:
        with pytest.raises(SettingsError, match="'default'") as caught:
            GeminiOptions({"default": key})
        assert not key or key not in str(caught.value)

    @pytest.mark.parametrize(
        "url",
        [
            "generativelanguage.googleapis.com",
            "ftp://host",
            "https://",
            "https://host?key=1",
            "https://user:secret@host",
            "https://host#x",
            "http://host:port",
            "",
        ],
    )
    def test_a_base_url_that_is_more_or_less_than_one_is_refused(self, url: str) -> None:
        with pytest.raises(SettingsError, match="base URL"):
            GeminiOptions({}, base_url=url)

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            (f"key {KEY} is bad", "key *** is bad"),
            ("AIzaSyB1234567890abcdef in a message", "*** in a message"),
            ("sent Bearer ya29.a0AfH6SMB and more", "sent *** and more"),
            ("https://h/upload?upload_id=SECRET&x=1", "https://h/upload?***&x=1"),
            ("GET https://h/v1?key=SECRET", "GET https://h/v1?***"),
            ("two\n lines\tand  space", "two lines and space"),
            ("x" * 600, "x" * (MESSAGE_LIMIT - 1) + "…"),
            ("", ""),
        ],
    )
    def test_messages_are_scrubbed_and_cut(self, text: str, shown: str) -> None:
        assert Scrubber([KEY])(text) == shown

    def test_a_stand_in_key_does_not_garble_messages(self) -> None:
        assert Scrubber(["any"])("many companies") == "many companies"

    def test_a_key_inside_another_is_scrubbed_whole(self) -> None:
        assert Scrubber(["secret-1", "secret-1-long"])("secret-1-long") == "***"
