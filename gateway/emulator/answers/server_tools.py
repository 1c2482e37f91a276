"""Metadata that Google's own tools leave in an answer: grounding, code, retrieved pages.

Shapes as recorded (pydantic-ai and ruby_llm cassettes): search and url context ground the text in
web chunks, file search in retrieved contexts, code execution puts parts before the text; all but
search count ``toolUsePromptTokenCount``. Maps and image search follow the grammar alone. Offsets
are bytes of UTF-8 over the visible text, and a start of 0 is left out.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.emulator.answers.prompt import Prompt
from gateway.emulator.protocol.errors import JsonObject

_URL: Final = re.compile(r"https?://[^\s)>\"']+")
# RFC 2606: a name that is never to be found.
_LOST: Final = re.compile(r"https?://[^/:]*\.invalid([/:]|$)")
# Tokens a tool's result adds to the prompt.
TOOL_TOKENS: Final = 120
QUERY_CHARACTERS: Final = 100
# Bytes that ``[[shifted]]`` moves the offsets by.
SHIFT: Final = 2


@dataclass
class ToolMetadata:
    """Additions to a candidate and to the usage."""

    # Parts before the text.
    parts: list[JsonObject] = field(default_factory=list)
    candidate: JsonObject = field(default_factory=dict)
    tokens: int = 0


def tool_metadata(prompt: Prompt, text: str) -> ToolMetadata:
    """Return what every server-side tool of a request leaves in an answer that says ``text``."""
    found = ToolMetadata()
    tools = {name: tool[name] for tool in prompt.request.get("tools", []) for name in tool}
    for name, leave in _TOOLS.items():
        if name in tools:
            leave(found, tools[name], prompt, text)
    if "shifted" in prompt.marks:
        _shift(found.candidate.get("groundingMetadata", {}))
    return found


def _code(found: ToolMetadata, _tool: JsonObject, prompt: Prompt, _text: str) -> None:
    shown = prompt.text[:40]
    code = f"result = {shown!r}\nprint(result)\n"
    found.parts += [
        {"executableCode": {"language": "PYTHON", "code": code, "id": "call_1"}},
        {
            "codeExecutionResult": {
                "outcome": "OUTCOME_OK",
                "output": f"{shown}\n",
                "id": "call_1",
            },
        },
    ]
    found.tokens += TOOL_TOKENS


def _search(found: ToolMetadata, tool: JsonObject, prompt: Prompt, text: str) -> None:
    query = prompt.text[:QUERY_CHARACTERS]
    chunks: list[JsonObject] = [{"web": {"uri": "https://example.com/", "title": "example.com"}}]
    kinds = tool.get("searchTypes", {})
    if "imageSearch" in kinds:
        image = {
            "imageUri": "https://example.com/picture.png",
            "sourceUri": "https://example.com/",
            "title": "A picture",
            "domain": "example.com",
        }
        chunks = [*(chunks if "webSearch" in kinds else []), {"image": image}]
    _ground(found, text, *chunks)
    grounding = found.candidate["groundingMetadata"]
    if "imageSearch" in kinds:
        grounding["imageSearchQueries"] = [query]
    if "imageSearch" not in kinds or "webSearch" in kinds:
        grounding["webSearchQueries"] = [query]
    grounding["searchEntryPoint"] = {"renderedContent": "<div class=container></div>"}
    if prompt.capabilities.old:
        grounding["retrievalMetadata"] = {}
    found.parts += shown_search(prompt)


def shown_search(prompt: Prompt) -> list[JsonObject]:
    """Return the parts of a search that is shown, once a conversation (Gemini 3, functions)."""
    request = prompt.request
    wanted = request.get("toolConfig", {}).get("includeServerSideToolInvocations")
    searches = any("googleSearch" in tool for tool in request.get("tools", []))
    parts = [part for content in request["contents"] for part in content["parts"]]
    if not (wanted and searches) or any("toolCall" in part for part in parts):
        return []
    kind = {"toolType": "GOOGLE_SEARCH_WEB", "id": "93z4z1x3"}
    return [
        {"toolCall": {**kind, "args": {"queries": [prompt.text[:QUERY_CHARACTERS]]}}},
        {"toolResponse": {**kind, "response": {"search_suggestions": "<div></div>"}}},
    ]


def _urls(found: ToolMetadata, _tool: JsonObject, prompt: Prompt, text: str) -> None:
    urls = [url.rstrip(".?!,") for url in _URL.findall(prompt.text)]
    found.candidate["urlContextMetadata"] = {
        "urlMetadata": [
            {
                "retrievedUrl": url,
                "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_ERROR"
                if _LOST.match(url)
                else "URL_RETRIEVAL_STATUS_SUCCESS",
            }
            for url in urls
        ],
    }
    read = [url for url in urls if not _LOST.match(url)]
    _ground(found, text, *({"web": {"uri": url, "title": "Page"}} for url in read))
    found.tokens += TOOL_TOKENS


def _files(found: ToolMetadata, tool: JsonObject, _prompt: Prompt, text: str) -> None:
    chunks = [
        {"retrievedContext": {"fileSearchStore": store, "text": text[:100]}}
        for store in tool.get("fileSearchStoreNames", [])
    ]
    _ground(found, text, *chunks)
    found.tokens += TOOL_TOKENS


def _maps(found: ToolMetadata, tool: JsonObject, prompt: Prompt, text: str) -> None:
    place = {
        "uri": "https://maps.google.com/?cid=1",
        "title": "A place",
        "placeId": "places/ChIJ1234567890abcdef",
    }
    _ground(found, text, {"maps": place})
    if tool.get("enableWidget"):
        token = base64.urlsafe_b64encode(prompt.digest).decode()
        found.candidate["groundingMetadata"]["googleMapsWidgetContextToken"] = (
            f"widgetcontent/{token}"
        )
    found.tokens += TOOL_TOKENS


_Leave = Callable[[ToolMetadata, JsonObject, Prompt, str], None]
# Tool -> the function that makes its metadata.
_TOOLS: dict[str, _Leave] = {
    "codeExecution": _code,
    "googleSearch": _search,
    "googleSearchRetrieval": _search,
    "urlContext": _urls,
    "fileSearch": _files,
    "googleMaps": _maps,
}


def _ground(found: ToolMetadata, text: str, *chunks: JsonObject) -> None:
    """Add chunks and supports that say both halves of the text rest on them (byte offsets)."""
    grounding = found.candidate.setdefault("groundingMetadata", {})
    known = grounding.setdefault("groundingChunks", [])
    first = len(known)
    known += chunks
    indices = list(range(first, first + len(chunks)))
    half, whole = text[: len(text) // 2], text
    middle, end = len(half.encode()), len(whole.encode())
    supports = grounding.setdefault("groundingSupports", [])
    if half:
        supports.append(
            {"segment": {"endIndex": middle, "text": half}, "groundingChunkIndices": indices}
        )
    start = {"startIndex": middle} if middle else {}
    segment = {**start, "endIndex": end, "text": text[len(half) :]}
    supports.append({"segment": segment, "groundingChunkIndices": indices})


def _shift(grounding: JsonObject) -> None:
    """Offsets a few bytes off, as one in eight recorded ones is; ``text`` stays right."""
    for support in grounding.get("groundingSupports", []):
        for name in {"startIndex", "endIndex"} & support["segment"].keys():
            support["segment"][name] += SHIFT
