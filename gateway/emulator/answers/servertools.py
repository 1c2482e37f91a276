"""What Google's own tools leave in an answer: grounding, code, retrieved pages.

Shapes as recorded (pydantic-ai and ruby_llm cassettes): search and url context ground the text in
web chunks, file search in retrieved contexts, code execution puts parts before the text; all but
search count ``toolUsePromptTokenCount``.
"""

import re
from dataclasses import dataclass, field

from gateway.emulator.errors import JsonObject

_URL = re.compile(r"https?://[^\s)>\"']+")
TOOL_TOKENS = 120
"""Tokens a tool's result adds to the prompt."""


@dataclass
class Traces:
    """What is added to a candidate and to the usage."""

    parts: list[JsonObject] = field(default_factory=list)
    """Parts before the text."""
    candidate: JsonObject = field(default_factory=dict)
    tokens: int = 0


def traces(request: JsonObject, question: str, text: str) -> Traces:
    """The traces of every server-side tool of ``request`` in an answer that says ``text``."""
    found = Traces()
    tools = {name: tool[name] for tool in request.get("tools", []) for name in tool}
    if "codeExecution" in tools:
        _code(found, question)
    if "googleSearch" in tools or "googleSearchRetrieval" in tools:
        _search(found, request, question, text)
    if "urlContext" in tools:
        _urls(found, question, text)
    if "fileSearch" in tools:
        _files(found, tools["fileSearch"], text)
    return found


def _code(found: Traces, question: str) -> None:
    code = f"result = {question[:40]!r}\nprint(result)\n"
    found.parts += [
        {"executableCode": {"language": "PYTHON", "code": code, "id": "call_1"}},
        {
            "codeExecutionResult": {
                "outcome": "OUTCOME_OK",
                "output": f"{question[:40]}\n",
                "id": "call_1",
            },
        },
    ]
    found.tokens += TOOL_TOKENS


def _search(found: Traces, request: JsonObject, question: str, text: str) -> None:
    _ground(found, text, {"web": {"uri": "https://example.com/", "title": "example.com"}})
    grounding = found.candidate["groundingMetadata"]
    grounding["webSearchQueries"] = [question[:100]]
    grounding["searchEntryPoint"] = {"renderedContent": "<div class=container></div>"}
    found.parts += shown_search(request, question)


def shown_search(request: JsonObject, question: str) -> list[JsonObject]:
    """The parts of a search that is shown (Gemini 3, beside functions); once a conversation."""
    wanted = request.get("toolConfig", {}).get("includeServerSideToolInvocations")
    searches = any("googleSearch" in tool for tool in request.get("tools", []))
    parts = [part for content in request["contents"] for part in content["parts"]]
    if not (wanted and searches) or any("toolCall" in part for part in parts):
        return []
    kind = {"toolType": "GOOGLE_SEARCH_WEB", "id": "93z4z1x3"}
    return [
        {"toolCall": {**kind, "args": {"queries": [question[:100]]}}},
        {"toolResponse": {**kind, "response": {"search_suggestions": "<div></div>"}}},
    ]


def _urls(found: Traces, question: str, text: str) -> None:
    urls = _URL.findall(question)
    found.candidate["urlContextMetadata"] = {
        "urlMetadata": [
            {
                "retrievedUrl": url.rstrip(".?!,"),
                "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS",
            }
            for url in urls
        ],
    }
    _ground(found, text, *({"web": {"uri": url.rstrip(".?!,"), "title": "Page"}} for url in urls))
    found.tokens += TOOL_TOKENS


def _files(found: Traces, tool: JsonObject, text: str) -> None:
    chunks = [
        {"retrievedContext": {"fileSearchStore": store, "text": text[:100]}}
        for store in tool.get("fileSearchStoreNames", [])
    ]
    _ground(found, text, *chunks)
    found.tokens += TOOL_TOKENS


def _ground(found: Traces, text: str, *chunks: JsonObject) -> None:
    """Add chunks and supports that say both halves of the text rest on them (byte offsets)."""
    grounding = found.candidate.setdefault("groundingMetadata", {})
    known = grounding.setdefault("groundingChunks", [])
    first = len(known)
    known += chunks
    indices = list(range(first, first + len(chunks)))
    half, whole = text[: len(text) // 2], text
    middle, end = len(half.encode()), len(whole.encode())
    grounding.setdefault("groundingSupports", []).extend(
        [
            {"segment": {"endIndex": middle, "text": half}, "groundingChunkIndices": indices},
            {
                "segment": {"startIndex": middle, "endIndex": end, "text": text[len(half) :]},
                "groundingChunkIndices": indices,
            },
        ],
    )
