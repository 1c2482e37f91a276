"""Google's own tools: what they leave in an answer, and where in the text it belongs."""

from typing import Any

import pytest

from tests.emulator.asking import Json, ask, parts_of, text_of

THREE = "gemini-3-flash-preview"


def candidate(text: str, *tools: Json, model: str = "gemini-2.5-flash", **request: Any) -> Json:
    """The candidate of an answer with some tools."""
    found: Json = ask(text, model, tools=list(tools), **request)["candidates"][0]
    return found


def cited(found: Json) -> list[str]:
    """The bytes that the supports of a candidate point to, as text."""
    said = "".join(part.get("text", "") for part in found["content"]["parts"]).encode()
    return [
        said[one["segment"].get("startIndex", 0) : one["segment"]["endIndex"]].decode()
        for one in found["groundingMetadata"]["groundingSupports"]
    ]


def test_search() -> None:
    """Queries, an entry point, chunks, and supports by bytes of UTF-8 that hold their text."""
    found = candidate("Wie schön ist Köln? 🌍🌍", {"googleSearch": {}})
    grounding = found["groundingMetadata"]
    assert grounding["webSearchQueries"] == ["Wie schön ist Köln? 🌍🌍"]
    assert grounding["searchEntryPoint"]["renderedContent"]
    assert [set(chunk) for chunk in grounding["groundingChunks"]] == [{"web"}]
    segments = [one["segment"] for one in grounding["groundingSupports"]]
    assert cited(found) == [segment["text"] for segment in segments]
    assert "startIndex" not in segments[0]
    assert segments[1]["startIndex"] == segments[0]["endIndex"]
    assert {
        index for one in grounding["groundingSupports"] for index in one["groundingChunkIndices"]
    } == {0}


def test_search_of_pictures() -> None:
    """Only what was asked for is searched."""
    found = candidate("a castle", {"googleSearch": {"searchTypes": {"imageSearch": {}}}})
    grounding = found["groundingMetadata"]
    assert grounding["imageSearchQueries"] == ["a castle"]
    assert "webSearchQueries" not in grounding
    assert [set(chunk) for chunk in grounding["groundingChunks"]] == [{"image"}]
    kinds: Json = {"imageSearch": {}, "webSearch": {}}
    both = candidate("a castle", {"googleSearch": {"searchTypes": kinds}})["groundingMetadata"]
    assert both["webSearchQueries"] == both["imageSearchQueries"]
    assert [set(chunk) for chunk in both["groundingChunks"]] == [{"web"}, {"image"}]


def test_shifted_offsets() -> None:
    """A few bytes off, as one in eight recorded ones: the text of the segment still says where."""
    found = candidate("hello there [[shifted]]", {"googleSearch": {}})
    segments = [one["segment"]["text"] for one in found["groundingMetadata"]["groundingSupports"]]
    assert cited(found) != segments
    assert all(
        segment in text
        for segment, text in zip(segments, [text_of({"candidates": [found]})] * 2, strict=True)
    )


def test_shown_search() -> None:
    """Beside functions Gemini 3 shows the call and its result, once a conversation."""
    tools: list[Json] = [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}]
    config = {"includeServerSideToolInvocations": True}
    parts = candidate("x", *tools, model=THREE, toolConfig=config)["content"]["parts"]
    kinds = [
        next(iter(part.keys() - {"thoughtSignature"}))
        for part in parts
        if part.keys() - {"thoughtSignature"}
    ]
    assert kinds == ["toolCall", "toolResponse", "text"]
    assert parts[0]["toolCall"]["id"] == parts[1]["toolResponse"]["id"]


def test_code() -> None:
    """The code and what it printed stand before the text."""
    response = ask("6 * 7", tools=[{"codeExecution": {}}])
    code, result, text = parts_of(response)
    assert code["executableCode"]["language"] == "PYTHON"
    assert result["codeExecutionResult"]["outcome"] == "OUTCOME_OK"
    assert result["codeExecutionResult"]["output"] == "6 * 7\n"
    assert code["executableCode"]["id"] == result["codeExecutionResult"]["id"]
    assert text["text"].startswith("Echo")
    assert response["usageMetadata"]["toolUsePromptTokenCount"] > 0


def test_urls() -> None:
    """Every address of the prompt, the one that cannot be found with an error."""
    text = "Compare https://example.com/a and https://nowhere.invalid/b."
    found = candidate(text, {"urlContext": {}})
    assert found["urlContextMetadata"]["urlMetadata"] == [
        {
            "retrievedUrl": "https://example.com/a",
            "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS",
        },
        {
            "retrievedUrl": "https://nowhere.invalid/b",
            "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_ERROR",
        },
    ]
    chunks = found["groundingMetadata"]["groundingChunks"]
    assert [chunk["web"]["uri"] for chunk in chunks] == ["https://example.com/a"]


@pytest.mark.parametrize(("wanted", "token"), [(True, True), (False, False)])
def test_maps(wanted: bool, token: bool) -> None:
    """A place, and the widget's token when it was asked for."""
    found = candidate("where?", {"googleMaps": {"enableWidget": wanted}})["groundingMetadata"]
    assert found["groundingChunks"][0]["maps"]["placeId"]
    assert ("googleMapsWidgetContextToken" in found) is token


def test_file_search() -> None:
    """A chunk for each store that was named."""
    stores = ["fileSearchStores/a", "fileSearchStores/b"]
    found = candidate("what?", {"fileSearch": {"fileSearchStoreNames": stores}})
    chunks = found["groundingMetadata"]["groundingChunks"]
    assert [chunk["retrievedContext"]["fileSearchStore"] for chunk in chunks] == stores
