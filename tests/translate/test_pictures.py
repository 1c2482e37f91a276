"""Pictures in data URIs: the short way takes what the ordinary one takes, and as the same bytes."""

import base64
from random import Random  # noqa: TID251 - seeded: the same data every time
from typing import Any

import orjson
import pytest

from gateway.translate.contract import Policy
from gateway.translate.reading.refusal import Refused
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.media import (
    LONGEST_COPIED,
    file_data,
    inline_file,
    inline_image,
    written_image,
)
from tests.every import in_one_item

DATA = base64.b64encode(Random(1).randbytes(3_000)).decode()
HEADS = (
    "data:image/png;base64,",
    "DATA:IMAGE/JPG;BASE64,",
    "data:image/png;charset=utf-8;base64,",
    'data:image/png;a="é";base64,',
    "data:image/gif;base64,",
    "data:application/pdf;base64,",
    "data:image/png,",
    "data:,",
    "",
)


def read(uri: str) -> Any:
    """As it is read in full, None for what is refused."""
    try:
        blob = inline_image(uri, "url")
    except Refused:
        return None
    return blob["mimeType"], orjson.dumps(blob["data"])[1:]


@in_one_item
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    "data",
    [
        *("", "A", "AA", "AAA", "AAAA", "=", "==", "A=", "AA=", "AA==", "AAA=", "AAAA=", "AAA=="),
        *("AA-_", DATA, DATA[:-1], DATA[:-2], DATA[:-3], DATA + "=", DATA[:-2] + "=="),
        DATA[:-1] + "=",
    ],
)
def test_both_ways_read_the_same(head: str, data: str) -> None:
    """Whatever the padding and the type."""
    assert written_image(head + data) == read(head + data)


def test_every_place_of_a_character_that_is_wrong() -> None:
    """What the ordinary way refuses, the short one does not take, and the other way round."""
    refused = 0
    for at in range(len(DATA)):
        uri = f"{HEADS[0]}{DATA[:at]}!{DATA[at + 1 :]}"
        found = read(uri)
        refused += found is None
        assert written_image(uri) == found
    assert 250 < refused < 270


@in_one_item
@pytest.mark.parametrize("before", HEADS)
@pytest.mark.parametrize("head", HEADS)
def test_the_picture_before_does_not_show(before: str, head: str) -> None:
    """Its head is compared first: the same one, the beginning of one, and a longer one."""
    for cut in (0, 1):
        for more in ("", ",", "charset=utf-8;base64,"):
            written_image(before + DATA)
            uri = head[: len(head) - cut] + more + DATA
            assert written_image(uri) == read(uri)


def test_data_is_not_copied_until_it_is_written() -> None:
    """What is in a template is joined from where it is."""
    found = written_image(HEADS[0] + DATA)
    assert found is not None
    assert isinstance(found[1], memoryview)


def test_short_data_is_looked_at_as_a_whole() -> None:
    """Up to eight times what is looked at of an end."""
    for size, looked_at in ((508, 508), (512, 512), (516, 2 * 64 + 130)):
        refused = [
            read(f"{HEADS[0]}{DATA[:at]}!{DATA[at + 1 : size]}") is None for at in range(size)
        ]
        assert sum(refused) == looked_at
        assert all(refused[:64])
        assert all(refused[-64:])


@in_one_item
@pytest.mark.parametrize("odd", ["\n", "\r\n", '"', "\\", "é", "\x00"])
@pytest.mark.parametrize("at", [0, 70, 2_000, len(DATA)])
def test_what_needs_more_than_a_copy_is_left_to_the_ordinary_way(odd: str, at: int) -> None:
    """Line breaks are taken out there, and the rest is refused or passed on escaped."""
    assert written_image(f"{HEADS[0]}{DATA[:at]}{odd}{DATA[at:]}") is None


@pytest.mark.parametrize("instead", ["\n", "+"])
def test_a_space_is_found_wherever_it_is(instead: str) -> None:
    """Between the samples too: of lines folded into one, or of a ``+`` read as in a URL."""
    random = Random(4)
    wrapped = [base64.encodebytes(random.randbytes(1_000 + 37 * n)).decode() for n in range(200)]
    for data in wrapped:
        kept = data.strip() if instead == "\n" else data.replace("\n", "")
        uri = HEADS[0] + kept.replace(instead, " ")
        assert written_image(uri) is read(uri) is None


@pytest.mark.parametrize("more", [0, 1, 2])
def test_a_long_picture_is_read_in_full(more: int) -> None:
    """There it is copied once less."""
    head = "data:image/png;" + "a=b;" * (more > 0) + "base64,"
    size = LONGEST_COPIED - len(head) + more
    uri = head + "A" * (size - size % 4) + "A" * (2 if size % 4 > 1 else 0)
    found = read(uri)
    assert found is not None
    assert written_image(uri) == (found if len(uri) <= LONGEST_COPIED else None)
    assert (len(uri) > LONGEST_COPIED) == (more == 2)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("data:image/png;base64,AA,A", "the data is not valid base64."),
        (f"data:image/png;{'a' * 775}=b;base64,AAAA", ""),
        (f"data:image/png;{'a' * 776}=b;base64,AAAA", "expected a data URI as in"),
        (f"{HEADS[0]}AAAAA===", "the data is not valid base64."),
        ("data:image/png;charset=utf-8;base64,A!==", "the data is not valid base64."),
    ],
)
def test_the_first_comma_ends_the_head(uri: str, words: str) -> None:
    """If it comes within the length of the longest: what is behind it is the data."""
    if words:
        assert written_image(uri) is None
        with pytest.raises(Refused, match=words):
            inline_image(uri, "url")
    else:
        assert written_image(uri) == read(uri) == ("image/png", b'AAAA"')


def test_the_data_of_a_file_is_refused_by_its_member() -> None:
    """As a data URI and without one."""
    for data in ("data:application/pdf;base64,A", "data:application/pdf,AAAA", "A"):
        with pytest.raises(Refused) as refused:
            inline_file(data, "report.pdf")
        assert refused.value.param == "file_data"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://host/Cat.png?of=https://other/dog.webp", "image/png"),
        ("https://host/of.png/cat", "image/jpeg"),
        ("https://host/png", "image/jpeg"),
    ],
)
def test_the_suffix_of_a_path_names_the_type(url: str, kind: str) -> None:
    """Not that of an address in it, nor that of a folder."""
    conversation = Conversation("gemini-2.5-flash", Policy())
    found = file_data({"url": url}, "url", conversation, "image/jpeg")
    assert found == {"mimeType": kind, "fileUri": url}
