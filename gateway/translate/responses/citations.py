"""Grounding of a candidate -> annotations and web_search_call items of a Response."""

from typing import Final

from gateway.translate.answer.grounding import citations, source_urls
from gateway.translate.contract import Json
from gateway.translate.responses.output import Output, opened, searched, texts_of

_SEARCH: Final = "web_search_call"


def cite(output: Output, parts: object, candidate: Json, *, sources: bool) -> Json:
    """Add citations and searches to the items; the rest is for ``extra_content.google``.

    ``sources``: whether the pages behind the answer are listed with the search.
    """
    cited, rest = citations(parts, candidate)
    _add_steps(output, candidate)
    start = 0
    messages = [item for item in output.items if item["type"] == "message"]
    for number, item in enumerate(messages, 1):
        [content] = item["content"]
        end = start + len(content["text"])
        # A citation at the very end belongs to the last message.
        past = end + (number == len(messages))
        content["annotations"] = [
            _annotation(one, start, end) for one in cited if start <= one["start_index"] < past
        ]
        start = end
    if sources:
        _add_sources(output.items, candidate)
    return rest


def _annotation(citation: Json, start: int, end: int) -> Json:
    """Write a citation; its offsets count the texts of all messages, an annotation's one."""
    return {
        "type": "url_citation",
        "url": citation["url"],
        "title": citation["title"],
        "start_index": citation["start_index"] - start,
        "end_index": min(citation["end_index"], end) - start,
    }


def _add_steps(output: Output, candidate: Json) -> None:
    """Add searches and pages of models that do not show their steps, before the first message."""
    if any(item["type"] == _SEARCH for item in output.items):
        return
    found = []
    grounding, pages = candidate.get("groundingMetadata"), candidate.get("urlContextMetadata")
    if type(grounding) is dict:
        queries = texts_of(grounding.get("webSearchQueries"))
        found += [searched(queries)] if queries else []
    if type(pages) is dict and type(pages.get("urlMetadata")) is list:
        urls = [page.get("retrievedUrl") for page in pages["urlMetadata"] if type(page) is dict]
        found += map(opened, texts_of(urls))
    kinds = [item["type"] for item in output.items]
    at = kinds.index("message") if "message" in kinds else len(kinds)
    for item in reversed(found):
        output.add("ws", item, at)


def _add_sources(items: list[Json], candidate: Json) -> None:
    """List all pages at the last search: Gemini does not report which search found which."""
    searches = [i for i in items if i["type"] == _SEARCH and i["action"]["type"] == "search"]
    if searches:
        urls = source_urls(candidate)
        searches[-1]["action"]["sources"] = [{"type": "url", "url": url} for url in urls]
