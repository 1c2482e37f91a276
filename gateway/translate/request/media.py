"""Bytes and references in content parts: data URIs, https URLs, base64 -> Gemini's Blob, FileData.

Nothing is fetched here. Base64 passes through as the string it is: a full check of its alphabet
costs 1.1 to 6 times what parsing and writing the line costs (measured on 1 MB), so both ends, the
length, line breaks and samples in between are looked at: to look for one character everywhere
costs 3 percent, all samples 1. What hides between them, Gemini refuses.
"""

import re
from functools import lru_cache
from string import ascii_letters, digits
from typing import AnyStr, Final

import orjson

from gateway.translate.contract import Json
from gateway.translate.reading.checks import text_of
from gateway.translate.reading.refusal import (
    invalid_type,
    invalid_value,
    missing,
    quoted,
    unsupported_value,
)
from gateway.translate.request.conversation import Conversation
from gateway.wire.gemini import GOOGLE_BASE_URL

_DATA_URI: Final = re.compile(
    r"data:([\w.+-]+/[\w.+-]+)((?:;[\w.+-]+=[^;,]{0,100}){0,5})(;base64)?,",
    re.IGNORECASE | re.ASCII,
)
# What is in front of the data at most: a type, and up to five parameters.
_LONGEST_HEAD: Final = 800
# How much of both ends is looked at, and half of how much in between. Data of up to so many times
# of that is looked at as a whole.
_CHECKED_CHARACTERS: Final = 64
_SAMPLED: Final = 8
# From here on a copy takes longer than to read a picture in full (7 microseconds, measured).
LONGEST_COPIED: Final = 128 * 1024
# Wrapped lines that were folded into one, or a "+" that was read as in a URL: too few for samples.
_SPACE: Final = " "
_PADDING: Final = ord("=")
_BASE64: Final = f"{ascii_letters}{digits}+/-_".encode()

_PLAIN_TEXTS: Final = """
    log tsv jsonl yaml yml toml ini tex rst sql css js ts py java c h cpp cs go rs rb php sh
"""
# Suffix of a URL or file name -> the type Gemini wants named. Unknown suffixes of images: the
# type most images have, as Google's own layer does.
MIME_BY_SUFFIX: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "bmp": "image/bmp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "htm": "text/html",
    "xml": "text/xml",
    "json": "application/json",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "mp4": "video/mp4",
    "mov": "video/mov",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
    "mpg": "video/mpg",
    "avi": "video/avi",
    "wmv": "video/wmv",
    "flv": "video/x-flv",
    "3gp": "video/3gpp",
    # application/rtf is refused (discuss.ai.google.dev/t/67388).
    "rtf": "text/rtf",
    # Texts of other names; programs and the like are read as plain text.
    **dict.fromkeys(_PLAIN_TEXTS.split(), "text/plain"),
}
_GS: Final = "gs://"
# Types that clients write and Gemini knows by another name.
_ALIASES: Final = {
    "image/jpg": "image/jpeg",
    "audio/mpeg": "audio/mp3",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "application/xml": "text/xml",
    "application/rtf": "text/rtf",
    "application/x-yaml": "text/plain",
    "application/yaml": "text/plain",
}
# Images that OpenAI takes, or browsers show, and Gemini does not (page "Image understanding":
# PNG, JPEG, WEBP, HEIC, HEIF; vscode#286628, MaiBot#1435: "Unsupported MIME type: image/gif").
_NOT_READ: Final = frozenset(("image/gif", "image/svg+xml"))
# Their suffixes, and those of documents that people send to OpenAI.
_NOT_READ_SUFFIXES: Final = frozenset(
    ("gif", "svg", "doc", "docx", "odt", "ppt", "pptx", "xls", "xlsx", "epub", "zip", "gz", "tar")
)
# What types begin with that Gemini reads (page "File input methods").
_READ: Final = (
    "application/pdf",
    "application/json",
    "application/x-javascript",
    "application/x-typescript",
    "application/x-python-code",
    "text/",
    "image/",
    "audio/",
    "video/",
)
# A file of the Files API has its own type, which no suffix tells.
_FILES_API: Final = f"{GOOGLE_BASE_URL}/"
_YOUTUBE: Final = re.compile(r"https://(www\.|m\.)?(youtube\.com|youtu\.be)/", re.IGNORECASE)


def media_type_of(filename: str) -> str | None:
    """``report.PDF`` -> ``application/pdf``; None without a suffix that names a type."""
    _, dot, suffix = filename.rpartition(".")
    return MIME_BY_SUFFIX.get(suffix.lower()) if dot else None


def inline_data(uri: str, param: str) -> Json:
    """``data:image/png;base64,AAAA`` -> ``{"mimeType": "image/png", "data": "AAAA"}``."""
    head = _head_of(uri)
    kind = _type_in(head)
    if not kind:
        invalid_value("expected a data URI as in 'data:image/png;base64,…'.", param)
    return {"mimeType": kind, "data": checked_base64(uri[len(head) :], param)}


def _head_of(uri: str) -> str:
    """``data:image/png;base64,AAAA`` -> ``data:image/png;base64,``; nothing without a comma."""
    return uri[: uri.find(",", 0, _LONGEST_HEAD) + 1]


# The lines of a batch share few.
@lru_cache(maxsize=256)
def _type_in(head: str) -> str:
    """``data:image/JPG;base64,`` -> ``image/jpeg``; nothing if it does not say base64."""
    match = _DATA_URI.fullmatch(head)
    if match is None or match[3] is None:
        return ""
    kind = match[1].lower()
    return _ALIASES.get(kind, kind)


class _LastHead:
    """The head of the picture before, which the next one has mostly: to compare is a third.

    With the type that it names, and its length in JSON. One object, for several threads.
    """

    head: tuple[str, str, int] = ("data:image/png;base64,", "image/png", 23)


_last: Final = _LastHead()


def written_image(uri: str) -> tuple[str, memoryview] | None:
    """Return a picture's type, and its data as JSON without the quotation mark in front.

    ``data:image/jpg;base64,AAAA`` -> ``image/jpeg``, ``AAAA"``, which is not copied. None for what
    is not certain to be one that :func:`inline_image` takes as it is, and for a long one: to write
    the request as a whole copies it once less.
    """
    if len(uri) > LONGEST_COPIED:
        return None
    head, kind, skip = _last.head
    if not uri.startswith(head):
        head = _head_of(uri)
        kind, skip = _picture_in(head)
        if kind:
            _last.head = (head, kind, skip)
    written = orjson.dumps(uri)
    end = len(written) - 1
    # The same length: all is ASCII, and nothing needs a backslash.
    if not kind or end - skip != len(uri) - len(head) or _SPACE in uri:
        return None
    rest = (end - skip) % 4
    if written[end - 1] == _PADDING:
        if rest:
            return None
        end -= written.count(b"=", end - 2)
    elif rest == 1:
        return None
    if end <= skip or _samples(written, skip, end).translate(None, _BASE64):
        return None
    return kind, memoryview(written)[skip:]


@lru_cache(maxsize=256)
def _picture_in(head: str) -> tuple[str, int]:
    """Return the type that a data URI names, nothing for no picture; the length of it in JSON."""
    kind = _type_in(head)
    read = kind.startswith("image/") and kind not in _NOT_READ
    return kind if read else "", len(orjson.dumps(head)) - 1


def inline_image(uri: str, param: str) -> Json:
    """Read a data URI where an image belongs; other media have a field of their own."""
    blob = inline_data(uri, param)
    if not blob["mimeType"].startswith("image/"):
        kind = quoted(blob["mimeType"])
        invalid_value(f"expected an image, but the data URI names {kind}.", param)
    if blob["mimeType"] in _NOT_READ:
        unsupported_value(f"Gemini reads no images of the type {quoted(blob['mimeType'])}.", param)
    return blob


def inline_file(data: str, filename: object) -> Json:
    """``file_data`` as a data URI, or as bare base64 that is typed by ``filename``.

    The name also decides where the data URI's type is none that Gemini reads, as in
    ``data:application/octet-stream;base64,…``.
    """
    named = media_type_of(filename) if type(filename) is str else None
    if data[:5].lower() == "data:":
        blob = inline_data(data, "file_data")
        kind = blob["mimeType"]
        if not kind.startswith(_READ) or kind in _NOT_READ:
            if named is None:
                unsupported_value(f"Gemini reads no files of the type {quoted(kind)}.", "file_data")
            blob["mimeType"] = named
        return blob
    if filename is None:
        missing("filename")
    if type(filename) is not str:
        invalid_type(filename, "a string", "filename")
    if named is None:
        unsupported_value("its suffix names no media type that Gemini reads.", "filename")
    return {"mimeType": named, "data": checked_base64(data, "file_data")}


def checked_base64(data: str, param: str) -> str:
    """Refuse what is certainly no base64; line breaks of wrapped base64 are taken out."""
    if "\n" in data:
        data = data.replace("\n", "").replace("\r", "")
    padding = data[-2:].count("=")
    rest = len(data) % 4
    plausible = (
        data.isascii()
        # Padding may be left out; half of it is a mistake to every decoder.
        and (rest == 0 if padding else rest != 1)
        and data != ""
        and _SPACE not in data
        and not _samples(data, 0, len(data) - padding).encode().translate(None, _BASE64)
    )
    if not plausible:
        invalid_value("the data is not valid base64.", param)
    return data


def _samples(data: AnyStr, start: int, end: int) -> AnyStr:
    """Return both ends, the last one before the padding, and characters in between.

    Those at equal distances are one copy: eight runs of them took four times as long.
    """
    size = _CHECKED_CHARACTERS
    if end - start <= _SAMPLED * size:
        return data[start:end]
    first, last = start + size, end - size
    between = data[first : last : (last - first) // (2 * size)]
    return data[start:first] + between + data[last:end]


def file_data(owner: Json, param: str, conversation: Conversation, otherwise: str) -> Json:
    """``https://host/cat.png`` -> ``{"mimeType": "image/png", "fileUri": …}``; Google fetches it.

    Public https URLs up to 100 MB are fetched by the Developer API itself, in batch too
    (page "File input methods"). So the gateway never fetches what a client names. ``gs://`` works
    for objects that are registered with the Files API; any other is a 400 or 403 there.
    ``otherwise`` is the type of a URL whose suffix names none, which is noted. ``param`` is the
    member of ``owner`` that has the URL.
    """
    policy = conversation.policy
    scheme, mark, rest = text_of(owner, param).partition("://")
    url = scheme.lower() + mark + rest
    if url.startswith(_GS) and policy.gs_uris == "refuse":
        unsupported_value("this gateway passes no gs:// URI on (GATEWAY_GS_URIS).", param)
    if not url.startswith(("https://", _GS)):
        unsupported_value("expected a data URI or a public https URL.", param)
    if not url.startswith(_GS) and policy.remote_media == "refuse":
        unsupported_value("this gateway passes no URL on (GATEWAY_REMOTE_MEDIA).", param)
    if _YOUTUBE.match(url):
        return {"mimeType": "video/mp4", "fileUri": url}
    if url.startswith(_FILES_API):
        return {"fileUri": url}
    path = rest.partition("?")[0].partition("#")[0].partition("/")[2]
    # Behind a dot in front of a slash there is no suffix of the tables.
    _, dot, suffix = path.rpartition(".")
    suffix = suffix.lower() if dot else ""
    if suffix in _NOT_READ_SUFFIXES:
        unsupported_value(f"Gemini reads no files of the type {quoted(suffix)}.", param)
    kind = MIME_BY_SUFFIX.get(suffix)
    if kind is None:
        kind = otherwise
        conversation.note_of(owner, "guessed", param, otherwise)
    return {"mimeType": kind, "fileUri": url}
