"""Answers: deterministic, naming their prompt, adding up; every marker does what its row says."""

import math
import re
from pathlib import Path

import orjson
import pytest

from gateway.emulator.answers.embed import embed, vector
from gateway.emulator.faults.markers import MARKERS, find_marks
from gateway.emulator.jobs.lines import ListSink, Shape, Work, inline_items
from gateway.emulator.protocol.errors import ApiError
from gateway.emulator.resources.project_resources import ProjectResources
from gateway.emulator.state.intake import generate_text
from tests.emulator.asking import FLASH, TOOL, Json, ask, parts_of, refusal, text_of, texts_of

# --- text ----------------------------------------------------------------------------------------


def test_the_answer_names_its_prompt() -> None:
    """Whole when short, by its beginning and its digest when long; the same every time."""
    assert text_of(ask("hello")) == "Echo: hello"
    long = [text_of(ask("x" * 300 + end)) for end in ("a", "b", "a")]
    assert long[0].startswith("Echo: " + "x" * 200)
    assert "sha256" in long[0]
    assert long[0] != long[1]
    assert ask("x" * 300 + "a") == ask("x" * 300 + "a")


@pytest.mark.parametrize("model", [FLASH, "gemini-2.0-flash", "gemini-3-pro-preview", "gemini-9"])
@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"tools": [TOOL], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        {"tools": [{"codeExecution": {}}]},
        {"generationConfig": {"maxOutputTokens": 20}},
        {"generationConfig": {"candidateCount": 1}},
    ],
)
def test_usage_adds_up(model: str, request_: Json) -> None:
    """Total = prompt + candidates + thoughts + tool use, as in 410 recordings."""
    for text in ("a", "weather " * 50):
        usage = ask(text, model, **request_)["usageMetadata"]
        names = (
            "promptTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
            "toolUsePromptTokenCount",
        )
        assert usage["totalTokenCount"] == sum(usage.get(name, 0) for name in names)
        assert 0 not in usage.values()


def test_token_limit() -> None:
    """Cut with MAX_TOKENS; when thoughts took everything there are no parts and no count."""
    config = {"maxOutputTokens": 4, "thinkingConfig": {"thinkingBudget": 0}}
    cut = ask("x" * 100, generationConfig=config)
    assert cut["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert cut["usageMetadata"]["candidatesTokenCount"] == 4
    thought = ask("hello [[think:50]]", generationConfig={"maxOutputTokens": 10})
    candidate = thought["candidates"][0]
    assert (candidate["content"], candidate["finishReason"]) == ({"role": "model"}, "MAX_TOKENS")
    assert "candidatesTokenCount" not in thought["usageMetadata"]
    assert thought["usageMetadata"]["thoughtsTokenCount"] == 10


def test_stop_sequences() -> None:
    """The text ends before the first one."""
    response = ask("one STOP two", generationConfig={"stopSequences": ["STOP"]})
    assert text_of(response) == "Echo: one "


def test_several_candidates() -> None:
    """As many as asked, numbered."""
    response = ask("x", generationConfig={"candidateCount": 3})
    assert [candidate.get("index", 0) for candidate in response["candidates"]] == [0, 1, 2]
    one = ask("x")["usageMetadata"]["candidatesTokenCount"]
    assert response["usageMetadata"]["candidatesTokenCount"] > 2 * one


def test_thoughts_and_signatures() -> None:
    """Thought parts when asked; Gemini 3 signs its answers, 2.5 without functions does not."""
    config = {"thinkingConfig": {"includeThoughts": True}}
    parts = ask("x", generationConfig=config)["candidates"][0]["content"]["parts"]
    assert [part.get("thought", False) for part in parts] == [True, False]
    for model, signed in ((FLASH, False), ("gemini-3-pro-preview", True)):
        parts = ask("x", model)["candidates"][0]["content"]["parts"]
        assert any("thoughtSignature" in part for part in parts) is signed


def test_logprobs() -> None:
    """One chosen token per word and the asked number of alternatives."""
    config = {"responseLogprobs": True, "logprobs": 2}
    candidate = ask("a b", generationConfig=config)["candidates"][0]
    result = candidate["logprobsResult"]
    assert "".join(one["token"] for one in result["chosenCandidates"]) == "Echo: a b "
    assert [len(one["candidates"]) for one in result["topCandidates"]] == [2, 2, 2]
    assert candidate["avgLogprobs"] < 0


# --- functions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "text", "called"),
    [
        ("ANY", "nothing to do with it", True),
        ("AUTO", "nothing to do with it", False),
        ("AUTO", "what is the weather like", True),
        ("VALIDATED", "use get_weather", True),
        ("NONE", "use get_weather", False),
    ],
)
def test_calling_modes(mode: str, text: str, called: bool) -> None:
    """ANY always, NONE never, the others when the prompt speaks of the function."""
    config = {"functionCallingConfig": {"mode": mode}}
    response = ask(text, tools=[TOOL], toolConfig=config)
    assert any("functionCall" in part for part in parts_of(response)) is called
    assert response["candidates"][0]["finishReason"] == "STOP"


def test_allowed_functions() -> None:
    """Only those allowed are called."""
    tools = [{"functionDeclarations": [{"name": "one"}, {"name": "two"}]}]
    config = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["two"]}}
    call = parts_of(ask("one", tools=tools, toolConfig=config))[0]["functionCall"]
    assert call["name"] == "two"


def agent(prompt: str, mode: str, names: tuple[str, ...] = ("one", "two", "three")) -> list[str]:
    """The calls that an agent makes which answers every one, until it hears words."""
    tools = [{"functionDeclarations": [{"name": name} for name in names]}]
    config = {"functionCallingConfig": {"mode": mode}}
    contents: list[Json] = [{"role": "user", "parts": [{"text": prompt}]}]
    made: list[str] = []
    while len(made) < 9:
        parts = parts_of(ask("", contents=contents, tools=tools, toolConfig=config))
        names_called = [part["functionCall"]["name"] for part in parts if "functionCall" in part]
        if not names_called:
            return made
        made += names_called
        answers = [{"functionResponse": {"name": one, "response": {}}} for one in names_called]
        contents += [{"role": "model", "parts": parts}, {"role": "user", "parts": answers}]
    raise AssertionError(made)


@pytest.mark.parametrize(
    ("prompt", "mode", "calls"),
    [
        ("do it", "ANY", ["one", "two", "three"]),
        ("do it [[call:two]]", "ANY", ["two"]),
        ("do it [[call:two]]", "AUTO", ["two"]),
        ("do it [[call:two]][[rounds:2]]", "AUTO", ["two", "two"]),
        ("do it", "AUTO", []),
        ("do it", "NONE", []),
    ],
)
def test_agents_end(prompt: str, mode: str, calls: list[str]) -> None:
    """When every function has answered, or the one that was named, words come."""
    assert agent(prompt, mode) == calls


def test_after_the_results_comestext_of() -> None:
    """Function responses are answered in text that holds them."""
    contents = [
        {"role": "user", "parts": [{"text": "weather?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "get_weather"}}]},
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "get_weather", "response": {"sky": "blue"}}}],
        },
    ]
    text = text_of(ask("", contents=contents, tools=[TOOL]))
    assert text == 'Echo: weather? | get_weather -> {"sky":"blue"}'


def test_enum_answers() -> None:
    """text/x.enum answers one bare value."""
    config = {
        "responseMimeType": "text/x.enum",
        "responseSchema": {"type": "STRING", "enum": ["red", "blue"]},
    }
    assert text_of(ask("x", generationConfig=config)) in {"red", "blue"}


# --- markers -------------------------------------------------------------------------------------


def test_error_marker() -> None:
    """A code, for good or for the first times."""
    assert refusal("a [[error:8]]").code == 429
    assert refusal("a [[error:3,message=no]]").message == "no"
    resources = ProjectResources()
    for _ in range(2):
        with pytest.raises(ApiError):
            ask("b [[error:13,times=2]]", resources=resources)
    assert text_of(ask("b [[error:13,times=2]]", resources=resources)).startswith("Echo: b")


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII"])
def test_finish_marker(reason: str) -> None:
    """A finish reason without content."""
    candidate = ask(f"[[finish:{reason}]]")["candidates"][0]
    assert candidate["finishReason"] == reason
    assert not candidate.get("content")


def test_finish_marker_with_content() -> None:
    """``[[partial]]`` keeps what was said before the model was stopped (firebase mock data)."""
    response = ask("a [[finish:SAFETY]] [[partial]]")
    assert response["candidates"][0]["finishReason"] == "SAFETY"
    assert text_of(response).startswith("Echo: a")


def test_ratings() -> None:
    """What is blocked for safety says which harm it was; a block for other reasons does not."""
    [candidate] = ask("[[finish:SAFETY]]")["candidates"]
    feedback = ask("[[block]]")["promptFeedback"]
    for ratings in (candidate["safetyRatings"], feedback["safetyRatings"]):
        assert [rating["category"] for rating in ratings if rating.get("blocked")] == [
            "HARM_CATEGORY_DANGEROUS_CONTENT",
        ]
        assert len(ratings) == 4
    assert "safetyRatings" not in ask("[[finish:SPII]]")["candidates"][0]


def test_content_of_refusals() -> None:
    """Empty or not there: both are on record, and both come."""
    found = [ask(f"{at} [[finish:SAFETY]]")["candidates"][0].get("content") for at in range(20)]
    assert {} in found
    assert None in found


def test_ratings_and_citations_markers() -> None:
    """On answers that are not stopped, as models before 2.5 had them."""
    [candidate] = ask("a [[ratings]] [[citations]]")["candidates"]
    assert [rating["probability"] for rating in candidate["safetyRatings"]] == ["NEGLIGIBLE"] * 4
    [source] = candidate["citationMetadata"]["citationSources"]
    said = candidate["content"]["parts"][0]["text"]
    assert source["endIndex"] == len(said) // 2


def test_finish_max_tokens_marker() -> None:
    """MAX_TOKENS keeps its text."""
    response = ask("a [[finish:MAX_TOKENS]]")
    assert response["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert text_of(response)


def test_markers_of_the_whole_response() -> None:
    """block, empty, citation-only, model, no-usage, no-index, cached."""
    blocked = ask("[[block:PROHIBITED_CONTENT]]")
    assert blocked["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
    assert "candidates" not in blocked
    assert "candidates" not in ask("[[empty]]")
    assert set(ask("[[citation-only]]")["candidates"][0]) == {"citationMetadata"}
    assert ask("[[model:gemini-x]]")["modelVersion"] == "gemini-x"
    assert "usageMetadata" not in ask("[[no-usage]]")
    assert "index" not in ask("[[no-index]]")["candidates"][0]
    usage = ask("[[cached]]")["usageMetadata"]
    assert usage["cachedContentTokenCount"] == usage["promptTokenCount"]


def test_markers_of_thetext_of() -> None:
    """text, tokens, parts, think, signature-only, cut-json."""
    assert text_of(ask("[[text:just this]]")) == "just this"
    assert ask("[[tokens:100]]")["usageMetadata"]["candidatesTokenCount"] == 100
    assert len(texts_of(ask("something [[parts:3]]"))) == 3
    assert ask("[[think:77]]")["usageMetadata"]["thoughtsTokenCount"] == 77
    assert set(parts_of(ask("[[signature-only]]"))[-1]) == {"thoughtSignature"}
    config = {"responseMimeType": "application/json"}
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(text_of(ask("[[cut-json]]", generationConfig=config)))


def test_markers_of_calls() -> None:
    """call, calls, no-args, call-id, malformed-call."""
    calls = [part["functionCall"] for part in parts_of(ask("[[calls:2]]", tools=[TOOL]))]
    assert [call["name"] for call in calls] == ["get_weather"] * 2
    call = parts_of(ask("[[call:get_weather]] [[no-args]] [[call-id]]", tools=[TOOL]))[0]
    assert "args" not in call["functionCall"]
    assert call["functionCall"]["id"]
    malformed = ask("[[malformed-call]]", tools=[TOOL])["candidates"][0]
    assert malformed["finishReason"] == "MALFORMED_FUNCTION_CALL"


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("drop", []),
        ("double", [{"response", "metadata"}] * 2),
        ("keyless", [{"response"}]),
        ("blank", [{"metadata"}]),
    ],
)
def test_markers_of_batch_items(mark: str, expected: list[set[str]]) -> None:
    """drop, double, keyless, blank."""
    work = Work(lambda _request, _resources: {}, ProjectResources(), generate_text, Shape())
    request = {"contents": [{"parts": [{"text": f"[[{mark}]]"}]}]}
    sink = ListSink()
    work.run(inline_items([{"request": request, "metadata": {"key": "a"}}]), sink)
    assert [set(orjson.loads(line)) for line in sink.lines] == expected


def test_rounds_marker() -> None:
    """A function is called again after it answered, as often as said; then there is text."""
    contents = [{"role": "user", "parts": [{"text": "go [[call:get_weather]] [[rounds:2]]"}]}]
    kinds = []
    for _ in range(3):
        response = ask("", contents=contents, tools=[TOOL])
        [part] = parts_of(response)
        kinds.append("functionCall" in part)
        answer = {"functionResponse": {"name": "get_weather", "response": {"a": 1}}}
        contents += [{"role": "model", "parts": [part]}, {"role": "user", "parts": [answer]}]
    assert kinds == [True, True, False]


def test_unknown_markers_are_text() -> None:
    """Only words of the table are markers."""
    assert find_marks("[[nonsense]] [[1,2]] [[a:b]]") == {}
    assert set(find_marks("[[drop]][[think:3]]")) == {"drop", "think"}


def test_every_marker_is_tested() -> None:
    """No row of the table without a test here or, three of them, beside it.

    slow and fault are in test_control.py, shifted is in test_servertools.py.
    """
    text = Path(__file__).read_text(encoding="utf-8")
    named = set(re.findall(r"\[\[([a-z-]+)", text)) | {"drop", "double", "keyless", "blank"}
    assert set(MARKERS) - named == {"slow", "fault", "shifted"}


# --- embeddings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 8, 768, 3072])
def test_unit_vectors(size: int) -> None:
    """Of the asked size, of length one, none of it zero."""
    values = vector("hello world", size)
    assert len(values) == size
    assert math.isclose(math.sqrt(sum(value * value for value in values)), 1, abs_tol=1e-6)


def test_closer_texts_are_closer() -> None:
    """A text is nearer to its rewording than to another text."""
    base = vector("the quick brown fox jumps", 768)
    near = vector("the quick brown fox sleeps", 768)
    far = vector("quarterly revenue of banks", 768)
    dots = [sum(a * b for a, b in zip(base, other, strict=True)) for other in (base, near, far)]
    assert dots[0] > dots[1] > dots[2]
    assert dots[1] > 0.5
    assert abs(dots[2]) < 0.3


def test_embedding_shapes() -> None:
    """TokenCount as text for -001, usageMetadata for newer models."""
    request = {"content": {"parts": [{"text": "hello"}]}, "outputDimensionality": 4}
    assert embed("gemini-embedding-001", request, ProjectResources())["tokenCount"] == "2"
    newer = embed("gemini-embedding-2", request, ProjectResources())
    assert newer["usageMetadata"] == {"promptTokenCount": 2}


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"content": {"parts": []}},
        {"content": {"parts": [{"text": "x"}]}, "outputDimensionality": 5000},
        {"content": {"parts": [{"text": "x"}]}, "title": "t", "taskType": "CLUSTERING"},
        {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}},
        {"content": {"parts": [{"text": "x [[error:3]]"}]}},
    ],
)
def test_embedding_refusals(request_: Json) -> None:
    """400."""
    with pytest.raises(ApiError) as caught:
        embed("gemini-embedding-001", request_, ProjectResources())
    assert caught.value.code == 400
