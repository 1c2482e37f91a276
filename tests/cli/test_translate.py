"""``gateway translate``: items and complaints, offline."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.runner.cpu.envelope import Envelope
from gateway.runner.cpu.explain import Explained
from gateway.runner.cpu.guard import MESSAGE
from gateway.translate.contract import Json, LineError, Policy, Translation
from gateway.translate.endpoints import ENDPOINTS
from tests.cli.processes import run

pytestmark = pytest.mark.slow

CHAT = "/v1/chat/completions"


def line(custom_id: object, body: Mapping[str, Any], url: str = CHAT) -> bytes:
    """An input line."""
    return orjson.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


UNKNOWN = ("--allow-unknown-models",)


def chat(model: str = "gemini-2.5-flash", **more: object) -> dict[str, Any]:
    """A chat body."""
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}


def translate(
    tmp_path: Path,
    *lines: bytes,
    options: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, what was printed, and the last line on stderr."""
    (tmp_path / "input.jsonl").write_bytes(b"\n".join(lines))
    done = run("translate", str(tmp_path / "input.jsonl"), *options, env=env)
    return done.returncode, [orjson.loads(text) for text in done.stdout.splitlines()], done.stderr


def test_a_good_line_becomes_items(tmp_path: Path) -> None:
    """The request Gemini gets, the model it goes to, and notes."""
    code, (made,), totals = translate(tmp_path, line("a", chat(n=2, verbosity="low")))

    assert code == 0
    assert made["custom_id"] == "a"
    assert (made["model"], made["method"]) == ("gemini-2.5-flash", "batchGenerateContent")
    assert made["items"] == [
        {
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "generationConfig": {"candidateCount": 2},
        }
    ]
    assert made["notes"] == [{"code": "dropped", "field": "verbosity"}]
    assert totals == f"{CHAT}: 1 line, 1 item, 0 refused, 0 that fail the batch\n"


def test_characters_that_readers_split_lines_at_are_escaped(tmp_path: Path) -> None:
    """``str.splitlines`` made two of one line, as it does of output files without this."""
    _, (made,), _ = translate(tmp_path, line("a\u2028b", chat()))
    assert made["custom_id"] == "a\u2028b"


def test_a_line_the_gateway_fails_on_costs_that_line_alone() -> None:
    """As in the service; the next line is explained as if nothing had been."""
    chat_endpoint = ENDPOINTS[CHAT]

    def to_gemini(body: Json, policy: Policy, model: str) -> Translation | LineError:
        if body.get("user") == "bad":
            raise TypeError("a defect of the gateway's, with content")
        return chat_endpoint.to_gemini(body, policy, model)

    endpoint = dataclasses.replace(chat_endpoint, to_gemini=to_gemini)
    explained = Explained(Envelope(endpoint, Policy(), None, 1000), "2026-11-25")

    bad = explained.line(line("a", chat(user="bad")), 1)
    good = explained.line(line("b", chat()), 2)

    assert (bad["custom_id"], bad["fails"]) == ("a", "line")
    assert bad["error"] == {"code": "internal_error", "param": None, "message": MESSAGE}
    assert len(good["items"]) == 1
    totals = explained.summary()
    assert (totals["lines"], totals["items"], totals["refused"]) == (2, 1, 1)
    assert [place.split(":")[0] for place in explained.caught] == ["TypeError at test_translate.py"]


def test_an_uploaded_file_is_a_placeholder(tmp_path: Path) -> None:
    """Whether it is there is not known offline."""
    file_id = f"file-{'0' * 24}"
    content = [{"type": "file", "file": {"file_id": file_id}}]
    body = {**chat(), "messages": [{"role": "user", "content": content}]}

    code, (made,), _ = translate(tmp_path, line("a", body))

    assert code == 0
    [part] = made["items"][0]["contents"][0]["parts"]
    assert part == {"fileData": {"fileUri": f"gateway-file:{file_id}"}}


def test_a_bad_body_fails_its_line_alone(tmp_path: Path) -> None:
    """Named by custom_id; the file as a whole would run."""
    code, (_, bad), totals = translate(
        tmp_path, line("a", chat()), line("b", chat(temprature=1, n=1))
    )

    assert code == 0
    assert (bad["line"], bad["custom_id"], bad["fails"]) == (2, "b", "line")
    assert (bad["error"]["code"], bad["error"]["param"]) == ("unknown_parameter", "temprature")
    assert totals.endswith("1 refused, 0 that fail the batch\n")


def test_a_bad_envelope_fails_the_batch(tmp_path: Path) -> None:
    """And so does a custom_id that comes twice; every line is still looked at."""
    code, made, totals = translate(
        tmp_path, line("a", chat()), b"{", line(7, chat()), line("a", chat())
    )

    assert code == 1
    assert [entry.get("fails") for entry in made] == [None, "batch", "batch", "batch"]
    assert [entry["error"]["code"] for entry in made[1:]] == [
        "invalid_json_line",
        "invalid_type",
        "duplicate_custom_id",
    ]
    assert made[3]["error"]["message"] == "as on line 1"
    assert totals.endswith("0 refused, 3 that fail the batch\n")


def test_aliases_are_given_as_options(tmp_path: Path) -> None:
    """No environment is read: a file is looked at the same everywhere."""
    options = ("--alias", "gpt-4o-mini=gemini-2.5-flash")

    code, (made,), _ = translate(tmp_path, line("a", chat("gpt-4o-mini")), options=options)

    assert (code, made["model"]) == (0, "gemini-2.5-flash")


@pytest.mark.parametrize("alias", ["gpt-4o-mini", "gpt-4o-mini=", "=gemini-2.5-flash"])
def test_an_alias_needs_both_names(tmp_path: Path, alias: str) -> None:
    """A usage error, not a traceback."""
    code, _, said = translate(tmp_path, line("a", chat()), options=("--alias", alias))

    assert code == 2
    assert "an alias is NAME=MODEL" in said


def test_embeddings_are_found_by_the_first_url(tmp_path: Path) -> None:
    """One item per string."""
    body = {"model": "gemini-embedding-001", "input": ["a", "b"]}

    code, (made,), totals = translate(tmp_path, line("a", body, "/v1/embeddings"))

    assert (code, len(made["items"])) == (0, 2)
    assert totals.startswith("/v1/embeddings: 1 line, 2 items")


@pytest.mark.parametrize("urls", [("/responses", "/v1/responses"), ("/v1/responses", "/responses")])
def test_azures_spelling_is_the_same_endpoint(tmp_path: Path, urls: tuple[str, ...]) -> None:
    """Its examples leave the version out."""
    body = {"model": "gemini-2.5-flash", "input": "Hi"}

    code, told, _ = translate(tmp_path, *[line(url, body, url) for url in urls])

    assert code == 0
    assert told[0]["items"] == told[1]["items"]


def test_responses_are_found_by_the_first_url(tmp_path: Path) -> None:
    """With notes, and what has no place here refused on its line."""
    body = {"model": "gemini-3.6-flash", "input": "Hi", "instructions": "Rhyme."}
    url = "/v1/responses"

    code, (made, bad), totals = translate(
        tmp_path,
        line("a", {**body, "truncation": "auto"}, url),
        line("b", {**body, "previous_response_id": "resp_1"}, url),
    )

    assert (code, made["method"]) == (0, "batchGenerateContent")
    assert made["items"] == [
        {
            "systemInstruction": {"parts": [{"text": "Rhyme."}]},
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        }
    ]
    assert [note["field"] for note in made["notes"]] == ["truncation"]
    assert (bad["fails"], bad["error"]["param"]) == ("line", "previous_response_id")
    assert totals.startswith("/v1/responses: 2 lines, 1 item, 1 refused")


def test_a_responses_line_needs_its_input(tmp_path: Path) -> None:
    """Without one the whole batch fails, as at OpenAI."""
    code, (made,), _ = translate(
        tmp_path, line("a", {"model": "gemini-3.8-flash"}, "/v1/responses")
    )

    assert (code, made["fails"], made["error"]["param"]) == (1, "batch", "body.input")


def test_a_file_without_an_endpoint_is_read_as_chat(tmp_path: Path) -> None:
    """So that what is wrong with its lines is said."""
    code, (made,), said = translate(tmp_path, b"{bad")

    assert (code, made["error"]["code"]) == (1, "invalid_json_line")
    assert "no line names one of" in said


def test_a_given_endpoint_decides(tmp_path: Path) -> None:
    """Lines of another one fail the batch."""
    options = ("--endpoint", "/v1/embeddings")

    code, (made,), _ = translate(tmp_path, line("a", chat()), options=options)

    assert (code, made["error"]["code"]) == (1, "invalid_url")


def test_an_empty_file_would_fail(tmp_path: Path) -> None:
    """As it does in a batch."""
    code, made, said = translate(tmp_path, options=("--endpoint", CHAT))

    assert (code, made) == (1, [])
    assert said == f"{CHAT}: 0 lines, 0 items, 0 refused, 0 that fail the batch\n"


def summary(tmp_path: Path, *lines: bytes, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """The totals for programs."""
    code, (totals,), said = translate(tmp_path, *lines, options=("--summary", "--json", *options))
    assert (code, said) == (0, "")
    return totals


def test_an_estimate_says_what_it_knows(tmp_path: Path) -> None:
    """12 letters are 3 tokens; 100 tokens of an answer at most; 2.5-flash at $0.15 and $1.25."""
    body = chat(max_tokens=100)
    body["messages"][0]["content"] = "Hello, world"

    _, (made,), _ = translate(tmp_path, line("a", body))

    assert made["estimate"] == {
        "input_text_tokens": 3,
        "output_tokens_at_most": 100,
        "input_usd": 4.5e-07,
        "usd_at_most": 0.00012545,
    }


def test_what_is_not_known_is_null(tmp_path: Path) -> None:
    """A model without a price, and a picture that nobody has measured."""
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    seen = chat(max_tokens=5)
    seen["messages"][0]["content"] = [picture]

    lines = (line("a", chat("gemini-99", max_tokens=5)), line("b", seen))
    _, made, _ = translate(tmp_path, *lines, options=UNKNOWN)

    assert [one["estimate"]["unknown"] for one in made] == [["price"], ["media"]]
    for one in made:
        assert one["estimate"]["output_tokens_at_most"] == 5
        assert one["estimate"]["input_usd"] is one["estimate"]["usd_at_most"] is None


def test_a_summary_adds_up_by_model(tmp_path: Path) -> None:
    """Sums that are not whole are null; what is known stands beside them."""
    lines = [
        line("a", chat(max_tokens=10)),
        line("b", chat(max_tokens=20, n=3)),
        line("c", chat("gemini-2.5-pro")),
        line("d", chat("gemini-99", max_tokens=1)),
        line("e", chat(temprature=1)),
    ]

    totals = summary(tmp_path, *lines, options=UNKNOWN)

    models = totals["models"]
    assert (totals["lines"], totals["items"], totals["refused"]) == (5, 4, 1)
    assert models["gemini-2.5-flash"]["output_tokens_at_most"] == 10 + 3 * 20
    assert models["gemini-2.5-flash"]["usd_at_most"] == round(2 * 0.15e-6 + 70 * 1.25e-6, 9)
    assert models["gemini-2.5-pro"]["output_tokens_at_most"] is None
    assert models["gemini-2.5-pro"]["input_usd"] == round(0.625e-6, 9)
    assert models["gemini-2.5-pro"]["usd_at_most"] == round(0.625e-6 + 65_536 * 5e-6, 9)
    assert models["gemini-99"]["without_estimate"] == {"price": 1}
    assert totals["total"]["input_usd"] is None
    assert totals["total"]["known_input_usd"] == round(2 * 0.15e-6 + 0.625e-6, 9)
    assert totals["total"]["lines"] == 4


def test_a_price_may_be_given(tmp_path: Path) -> None:
    """For a model that is newer than the table, or a contract of one's own."""
    options = ("--price", "gemini-99=1000000/2000000")

    totals = summary(tmp_path, line("a", chat("gemini-99", max_tokens=3)), options=options)

    assert totals["models"]["gemini-99"]["usd_at_most"] == 1 + 3 * 2


def test_prices_of_the_settings_are_taken(tmp_path: Path) -> None:
    """As a batch's estimate takes them; a bad one is named."""
    env = {"GATEWAY_PRICES": '{"gemini-99":{"input":1000000,"output":2000000}}'}
    _, (made,), _ = translate(tmp_path, line("a", chat("gemini-99", max_tokens=3)), env=env)
    assert made["estimate"]["usd_at_most"] == 1 + 3 * 2
    bad = {"GATEWAY_PRICES": '{"gemini-99":{"input":1}}'}
    code, _, said = translate(tmp_path, line("a", chat()), env=bad)
    assert (code, "GATEWAY_PRICES" in said) == (78, True)


@pytest.mark.parametrize("price", ["gemini-99=1", "gemini-99=-1/2", "gemini-99=1/nan", "=1/2"])
def test_a_price_needs_both_numbers(tmp_path: Path, price: str) -> None:
    """A usage error, not a traceback."""
    code, _, said = translate(tmp_path, line("a", chat()), options=("--price", price))

    assert code == 2
    assert "a price is MODEL=IN/OUT" in said


def test_a_summary_counts_notes_and_complaints_by_field(tmp_path: Path) -> None:
    """Places in arrays count as one field; the most frequent come first."""
    named = {"messages": [{"role": "user", "content": "Hi", "name": n} for n in "ab"]}
    lines = [
        line("a", {"model": "gemini-2.5-flash", **named}),
        line("b", chat(verbosity="low")),
        line("c", chat(nonsense=1)),
        line("d", chat(nonsense=2)),
        line("d", chat()),
    ]

    code, (totals,), _ = translate(tmp_path, *lines, options=("--summary", "--json"))

    assert code == 1
    assert totals["notes"] == [
        {"code": "dropped", "field": "messages[].name", "count": 2, "first_line": 1},
        {"code": "dropped", "field": "verbosity", "count": 1, "first_line": 2},
    ]
    assert totals["errors"] == [
        {
            "code": "duplicate_custom_id",
            "field": "custom_id",
            "count": 1,
            "first_line": 5,
            "fails": "batch",
            "message": "as on line 4",
        },
        {
            "code": "unknown_parameter",
            "field": "nonsense",
            "count": 2,
            "first_line": 3,
            "fails": "line",
            "message": "Unknown parameter: 'nonsense'.",
        },
    ]
    told = run("translate", "--summary", str(tmp_path / "input.jsonl")).stdout
    assert "\nfails the batch         1  duplicate_custom_id custom_id (first on line 5)\n" in told
    assert "\nrefused                 2  unknown_parameter nonsense (first on line 3)\n" in told
    assert f"\n{'':27}Unknown parameter: 'nonsense'.\n" in told


def test_a_summary_says_what_to_do_about_an_unknown_model(tmp_path: Path) -> None:
    """As a line does: the setting that keeps the name."""
    (tmp_path / "input.jsonl").write_bytes(line("a", chat("gpt-4o-mini")))

    told = run("translate", "--summary", str(tmp_path / "input.jsonl")).stdout

    assert "model_not_found body.model (first on line 1)" in told
    assert "the gateway needs the setting GATEWAY_MODEL_ALIASES=openai." in told


def test_a_summary_for_people(tmp_path: Path) -> None:
    """A table, and why a cost is not known."""
    (tmp_path / "input.jsonl").write_bytes(
        line("a", chat(max_tokens=10_000_000)) + b"\n" + line("b", chat("gemini-99"))
    )

    done = run("translate", "--summary", *UNKNOWN, str(tmp_path / "input.jsonl"))

    assert (done.returncode, done.stderr) == (0, "")
    rows = {text.split("  ")[0]: text.split() for text in done.stdout.splitlines()}
    assert rows["gemini-2.5-flash"][1:5] == ["1", "1", "1", "65,536"]  # what the model can say
    assert rows["gemini-2.5-flash"][-1] == "0.0819"
    assert rows["gemini-99"][-2:] == ["unknown", "unknown"]
    assert rows["all"][1:4] == ["2", "2", "2"]
    assert "gemini-99: no estimate of the cost of 1 line, because of: price" in done.stdout


def test_the_policy_of_the_environment_decides(tmp_path: Path) -> None:
    """As in the service; a bad one stops it as it stops a start."""
    (tmp_path / "input.jsonl").write_bytes(line("a", chat(verbosity="low")))

    strict = run("translate", str(tmp_path / "input.jsonl"), env={"GATEWAY_STRICT": "true"})
    bad = run("translate", str(tmp_path / "input.jsonl"), env={"GATEWAY_VOICES": '{"A":"x"}'})

    assert orjson.loads(strict.stdout)["error"]["param"] == "verbosity"
    assert bad.returncode == 78
    assert "GATEWAY_VOICES" in bad.stderr


def test_unknown_members_and_files_are_shown(tmp_path: Path) -> None:
    """What the service would note, and what it would have to stage."""
    file_id = "file-" + "a" * 24
    body = chat()
    body["messages"][0]["content"] = [{"type": "file", "file": {"file_id": file_id}}]
    given = orjson.dumps({**orjson.loads(line("a", body)), "priority": 1})

    _, (made,), _ = translate(tmp_path, given)

    assert made["files"] == [file_id]
    assert made["notes"] == [{"code": "unknown_member", "field": "priority"}]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("gpt-4o-mini", "the setting GATEWAY_MODEL_ALIASES=openai."),
        ("gpt-7-mini", """GATEWAY_MODEL_ALIASES='{"gpt-7-mini":"gemini-3.5-flash-lite"}'"""),
        ("gemini-3.8-flsh", "Did you mean 'gemini-3.8-flash'?"),
        ("models/gemini-2.5-falsh", "Did you mean 'gemini-2.5-flash'?"),
        ("gemini-embedding-2", "runs no batches of it for this endpoint"),
    ],
)
def test_a_model_that_the_service_would_refuse(tmp_path: Path, model: str, words: str) -> None:
    """Exit 1, and what to type: it said yes, and the service then failed the batch."""
    code, (told,), _ = translate(tmp_path, line("a", chat(model)))

    assert (code, told["fails"], told["error"]["code"]) == (1, "batch", "model_not_found")
    assert words in told["error"]["message"]


def test_the_setting_that_is_shown_is_what_to_type(tmp_path: Path) -> None:
    """With it the file passes."""
    code, (told, own), _ = translate(
        tmp_path,
        line("a", chat("gpt-4o-mini-2024-07-18")),
        line("b", chat("gpt-7-mini")),
        env={"GATEWAY_MODEL_ALIASES": 'openai {"gpt-7-mini":"gemini-3.5-flash-lite"}'},
    )

    assert (code, told["model"]) == (0, "gemini-3.5-flash-lite")
    (item,) = told["items"]
    assert item["generationConfig"] == {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}
    assert own["items"] == [{"contents": item["contents"]}]


def test_a_misspelt_field_is_named(tmp_path: Path) -> None:
    """With the one that was meant, at any depth."""
    tool = {"type": "function", "function": {"name": "f", "paramters": {}}}
    _, told, _ = translate(
        tmp_path, line("a", chat(temprature=1)), line("b", chat(tools=[tool])), line("c", chat(x=1))
    )

    assert [one["error"]["message"] for one in told] == [
        "Unknown parameter: 'temprature'. Did you mean 'temperature'?",
        "Unknown parameter: 'tools[0].function.paramters'. Did you mean 'parameters'?",
        "Unknown parameter: 'x'.",
    ]
