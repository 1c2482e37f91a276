"""What lines have in common is remembered; what comes out must not show it."""

from contextlib import nullcontext
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate import frames
from gateway.translate.answer import envelope as received
from gateway.translate.chat import answer as answers
from gateway.translate.chat import request as chat
from gateway.translate.chat.messages import read_messages
from gateway.translate.chat.request import CHAT
from gateway.translate.completions import request as completions
from gateway.translate.contract import AnswerHints, LineError, Policy, Translation
from gateway.translate.endpoints import ENDPOINTS
from gateway.translate.reading.refusal import Refused
from gateway.translate.request import compiled_options
from gateway.translate.request.compiled_options import CompiledOptions
from gateway.translate.request.conversation import Conversation
from gateway.translate.template import StandIns, hole, stand_in, template_of
from tests.translate.running import CONTEXT

POLICY = Policy()
MODEL = "gemini-3.6-flash"

TEXTS = st.text(min_size=1) | st.sampled_from(
    ["%", "%b%d%%", stand_in(0), stand_in(1), '"\\', "\u2028", "x" * 5_000]
)
PART = st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
CONTENTS = TEXTS | st.lists(PART, min_size=1, max_size=2)
TURNS = st.lists(st.sampled_from(["system", "developer", "user", "assistant"]), max_size=5)
RESTS = st.fixed_dictionaries(
    {"model": st.just(MODEL)},
    optional={
        "max_tokens": st.sampled_from([1, 20, 1.0, True, "1"]),
        "n": st.sampled_from([1, 2]),
        "stop": TEXTS,
        "metadata": st.dictionaries(TEXTS, TEXTS, max_size=1),
    },
)


def fresh(body: dict[str, Any]) -> Translation | LineError:
    """Translate with nothing remembered."""
    frames.forget()
    return chat.to_gemini(body, POLICY, MODEL)


def compiled(rest: dict[str, Any]) -> CompiledOptions:
    """The options of a chat body without its messages."""
    compiler = frames.Compiler(CHAT.own, chat._build)
    options: CompiledOptions = compiler.compile(rest.copy(), MODEL, POLICY)[0]
    return options


@pytest.mark.slow
@given(rest=RESTS, roles=TURNS, data=st.data())
def test_a_remembered_shape_writes_the_same_bytes(
    rest: dict[str, Any], roles: list[str], data: st.DataObject
) -> None:
    """Whatever lines came before, in whatever words."""
    lines = [
        {
            **rest,
            "messages": [
                {"role": role, "content": data.draw(CONTENTS)} for role in [*roles, "user"]
            ],
        }
        for _ in range(3)
    ]
    alone = [fresh(line) for line in lines]
    frames.forget()
    assert [chat.to_gemini(line, POLICY, MODEL) for line in lines] == alone


def test_a_shape_is_learnt() -> None:
    """Otherwise the property above would compare the ordinary way with itself."""
    messages = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    frame = compiled({"model": "m", "max_tokens": 5})
    plain = frame.plain(messages, read_messages)
    assert plain is not None
    assert orjson.loads(plain[0]) == {
        "systemInstruction": {"parts": [{"text": "a"}]},
        "contents": [{"role": "user", "parts": [{"text": "b"}]}],
        "generationConfig": {"maxOutputTokens": 5},
    }
    assert (plain[1], frame.most()) == ((), 5)


@pytest.mark.slow
def test_a_shape_is_learnt_once() -> None:
    """What the second line of a shape gains."""
    read = []

    def counted(messages: Any, conversation: Conversation) -> None:
        read.append(len(messages))
        read_messages(messages, conversation)

    frame = chat._build({"model": "m"}, MODEL, POLICY)
    for text in ("a", "b", "c"):
        assert frame.plain(turns(2, text), counted)
        assert frame.one_text(text, counted)
    assert read == [2, 1]
    # What is too long to be learnt is read in full every time.
    assert frame.plain(turns(compiled_options._MOST_TURNS), counted)
    assert frame.plain(turns(compiled_options._MOST_TURNS + 1), counted) is None
    assert read == [2, 1, compiled_options._MOST_TURNS]
    # So is a turn of too many parts. A turn of one text is as good as the text alone.
    for count in (compiled_options._MOST_TURNS, compiled_options._MOST_TURNS - 1, 1):
        content = [{"type": "text", "text": "x"}] * count
        frame.plain([{"role": "user", "content": content}], counted, "text")
    assert read == [2, 1, compiled_options._MOST_TURNS, 1]


def turns(count: int, text: str = "x", last: str = "user") -> list[dict[str, Any]]:
    """A conversation of the user's alone, but for its end."""
    roles = ["user"] * (count - 1) + [last]
    return [{"role": role, "content": text} for role in roles]


def test_shapes_are_forgotten_before_they_are_many() -> None:
    """Lines of ever new shapes do not fill the memory."""
    frame = chat._build({"model": "m"}, MODEL, POLICY)
    counts = []
    for last in ("user", "assistant"):
        for count in range(2, compiled_options._MOST_TURNS + 1):
            frame.plain(turns(count, last=last), read_messages)  # the second kind has no template
            counts.append(len(frame._templates))
    assert counts == [1 + n % compiled_options._MOST_SHAPES for n in range(len(counts))]


def test_shapes_are_forgotten_before_they_are_large() -> None:
    """A template repeats what stands beside the texts, e.g. a schema."""
    large = "x" * 50_000
    frame = compiled({"model": "m", "google": {"cached_content": f"cachedContents/{large}"}})
    counts = []
    for count in range(1, 7):
        assert frame.plain(turns(count), read_messages)
        counts.append(len(frame._templates))
    assert counts == [1, 2, 1, 2, 1, 2]


def test_templates_may_fill_all_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before they are forgotten and again after."""
    monkeypatch.setattr(compiled_options, "_MOST_SHAPE_BYTES", 10)
    templates = compiled_options._Templates()
    counts = []
    for name in ("4444", "666666", "4four", "5five"):
        assert templates.learn((name,), None) == len(name)
        counts.append(len(templates))
    assert counts == [1, 2, 1, 2]


def test_a_value_that_is_not_written_as_often_as_it_should_be_has_no_template() -> None:
    """It would be lost, or repeated."""
    made = StandIns()
    written = orjson.dumps(made.text())
    for item, found in ((b"[%b]", True), (b"[7]", False), (b"[%b,%b]", False)):
        form = compiled_options._template(item.replace(b"%b", written), made, ())
        assert (form is not None) == found


@pytest.mark.parametrize("length", [0, 1])
def test_what_is_large_is_not_remembered(length: int) -> None:
    """At the limit it is, beyond it is not."""
    size = frames._LARGEST_REMEMBERED + length
    rest = {"model": "m", "user": ""}
    rest["user"] = "x" * (size - len(orjson.dumps(rest)))
    one, two = (compiled(rest) for _ in range(2))
    assert (one is two) == (length == 0)


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        [7],
        ["text"],
        [{"role": "user"}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": ["x"]}],
        [{"role": "user", "content": "x", "name": "y"}],
        [{"role": "user", "content": [{"type": "text", "text": "x"}], "name": "y"}],
        [{"role": ["user"], "content": "x"}],
        [{"role": "tool", "content": "x"}],
        [{"role": "nobody", "content": "x"}],
        [{"role": "user", "content": "x"}] * 200,
    ],
)
def test_more_than_roles_and_texts_is_read_in_full(messages: Any) -> None:
    """The short way says None and leaves complaints to the ordinary one."""
    frame = compiled({"model": "m"})
    assert frame.plain(messages, read_messages, "text") is None


@pytest.mark.parametrize(
    "content",
    [
        [],
        [{"type": "text", "text": ""}],
        [{"type": "text", "text": 7}],
        [{"type": "input_text", "text": "x"}],
        [{"type": "text", "text": "x", "prompt_cache_breakpoint": {}}],
        [{"type": "text", "text": "x"}, {"type": "text", "text": ""}],
        [{"type": "text"}],
        ["text"],
        [{"type": "", "text": "x"}],
        {"type": "text", "text": "x"},
    ],
)
def test_only_texts_are_texts(content: Any) -> None:
    """Anything more is read in full; a text part where the endpoint has none is no text."""
    frame = compiled({"model": "m"})
    assert frame.plain([{"role": "user", "content": content}], read_messages, "text") is None
    only = [{"role": "user", "content": [{"type": "text", "text": "x"}]}]
    plain = frame.plain([{"role": "user", "content": "x"}], read_messages)
    assert frame.plain(only, read_messages, "text") == plain
    assert frame.plain(only, read_messages) is None


PICTURE: Final = "data:image/png;base64,QUJD"


@pytest.mark.parametrize("model", ["gemini-2.5-flash", MODEL])
@pytest.mark.parametrize("detail", [None, "low", "high", "auto"])
@pytest.mark.parametrize("url", [PICTURE, "DATA:image/JPG;base64,QUI=", f"{PICTURE}REVG"])
def test_a_picture_is_learnt(url: str, detail: str | None, model: str) -> None:
    """With what it asks for, which is the request's on models before Gemini 3."""
    read = []

    def counted(messages: Any, conversation: Conversation) -> None:
        read.append(len(messages))
        read_messages(messages, conversation)

    image = {"url": url} if detail is None else {"url": url, "detail": detail}
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": image}]
    messages = [{"role": "user", "content": parts}]
    options = chat._build({"model": "m", "max_tokens": 5}, model, POLICY)
    [full], *_, marks, _ = options.translation(messages, read_messages, "messages")
    for _ in range(2):
        assert options.plain(messages, counted, "text", "image_url") == (full, marks)
    assert read == [1]
    asked = {"low": "LOW", "high": "HIGH"}.get(detail or "")
    whole = asked if model == "gemini-2.5-flash" else None
    config = {"mediaResolution": f"MEDIA_RESOLUTION_{whole}"} if whole else {}
    assert orjson.loads(full)["generationConfig"] == {"maxOutputTokens": 5, **config}


@pytest.mark.parametrize(
    "image",
    [
        {"url": PICTURE, "detail": None},
        {"url": PICTURE, "detail": ""},
        {"url": PICTURE, "detail": 7},
        {"url": PICTURE, "detail": "sharp"},
        {"url": PICTURE, "detail": "original"},  # noted before Gemini 3
        {"url": PICTURE, "detail": "low", "video_metadata": None},
        {"url": PICTURE, "video_metadata": None},
        {"url": 7},
        {"url": [PICTURE]},
        {"url": "https://example.com/cat.png"},
        {"detail": "low"},
        "https://example.com/cat.png",
    ],
)
def test_only_pictures_are_pictures(image: Any) -> None:
    """Anything more is read in full."""
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": image}]}]
    options = chat._build({"model": "m"}, "gemini-2.5-flash", POLICY)
    looked_at: list[int] = []
    options.grew = looked_at.append
    assert options.plain(messages, read_messages, "text", "image_url") is None
    # Only a name of what a picture asks for is looked at as a shape.
    named = isinstance(image, dict) and image.get("detail") in ("sharp", "original")
    assert len(looked_at) == named


def test_names_count_among_what_is_remembered() -> None:
    """They are the client's, and a shape that has no template has names all the same."""
    grown: list[int] = []
    options = chat._build({"model": "m"}, MODEL, POLICY)
    options.grew = grown.append
    for role in ("x" * 65, "x" * 66):
        assert options.plain([{"role": role, "content": "x"}], read_messages) is None
    assert grown == [65]
    plain = options.plain([{"role": "user", "content": "x"}], read_messages)
    assert plain is not None
    assert grown == [65, len(b"user") + len(plain[0]) - len(b'"x"') + len(b"%b")]


def test_a_prompt_is_learnt() -> None:
    """Not by every line anew."""
    grown: list[int] = []
    options = completions._build({"model": "m"}, MODEL, POLICY)
    options.grew = grown.append
    for text in ("a", "b"):
        item, _ = options.text(text)
        assert orjson.loads(item)["contents"] == [{"role": "user", "parts": [{"text": text}]}]
    assert len(grown) == 1


def test_choices_of_a_seed_have_seeds_that_follow() -> None:
    """After the largest comes 0."""
    messages = [{"role": "user", "content": "x"}]
    body = {"messages": messages, "n": 3, "seed": 2**31 - 2}
    made = chat.to_gemini(body, POLICY, "gemini-2.5-flash-image")
    assert not isinstance(made, LineError)
    items = [orjson.loads(item) for item in made[0]]
    seeds = [item["generationConfig"].pop("seed") for item in items]
    assert seeds == [2**31 - 2, 2**31 - 1, 0]
    assert items[1] == items[2] == items[0]


@pytest.mark.parametrize(
    ("size", "count", "refused"),
    [
        (compiled_options._MOST_REPEATED // 2, 2, False),
        (compiled_options._MOST_REPEATED // 2 + 1, 2, True),
        (compiled_options._MOST_REPEATED + 1, 1, False),
    ],
)
def test_options_are_repeated_up_to_a_limit(size: int, count: int, *, refused: bool) -> None:
    """Those of one text are not repeated."""
    with pytest.raises(Refused) if refused else nullcontext():
        compiled_options.refuse_amplified(size, count, "prompt")


def test_one_is_not_true() -> None:
    """Values that Python finds equal are different bytes, so one is no answer for the other."""
    messages = [{"role": "user", "content": "x"}]
    assert not isinstance(chat.to_gemini({"messages": messages, "n": 1}, POLICY, MODEL), LineError)
    assert isinstance(chat.to_gemini({"messages": messages, "n": True}, POLICY, MODEL), LineError)


def test_holes_are_found_once_and_in_order() -> None:
    """Anything else is no template."""
    two = [hole(0), hole(1)]
    assert template_of(b'["100%", "\\u001a0\\u001a", "\\u001a1\\u001a"]', two) == (
        b'["100%%", %b, %b]'
    )
    for text in ('["\\u001a1\\u001a", "\\u001a0\\u001a"]', '["\\u001a0\\u001a"]'):
        assert template_of(text.encode(), two) is None
    twice = b'["\\u001a0\\u001a", "\\u001a0\\u001a", "\\u001a1\\u001a"]'
    assert template_of(twice, two) is None


@given(text=TEXTS, identity=TEXTS, counts=st.lists(st.integers(1, 2**39), min_size=4, max_size=4))
def test_a_plain_answer_is_written_as_any_other(
    text: str, identity: str, counts: list[int]
) -> None:
    """A member that is left out sends the same answer down the ordinary way."""
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    usage = dict(zip((*names, "cachedContentTokenCount"), counts, strict=True))
    candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
    response = {
        "candidates": [candidate],
        "responseId": identity,
        "modelVersion": "models/gemini-x",
        "usageMetadata": usage,
    }
    hints: AnswerHints = {"model": "m"}
    plain = answers.from_gemini(hints, [{"response": response}], CONTEXT)
    candidate["unheardOf"] = {}
    assert received.plain_of({"response": response}) is None
    assert answers.from_gemini(hints, [{"response": response}], CONTEXT) == plain


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/embeddings", {"input": "Hi"}),
    ],
)
def test_fields_that_nothing_reads_do_not_make_a_new_line(path: str, body: dict[str, Any]) -> None:
    """A user of its own cost three times as much: the options were compiled for every line."""
    to_gemini = ENDPOINTS[path].to_gemini
    lines = [{**body, "model": "m", "user": user} for user in ("a", "b", None)]

    made = [to_gemini(line, POLICY, MODEL) for line in lines]

    first = made[0]
    assert not isinstance(first, LineError)
    for other in made:
        assert not isinstance(other, LineError)
        assert other[0] == first[0]
        assert other[1] is first[1]  # compiled once
    assert lines[0]["user"] == "a"
