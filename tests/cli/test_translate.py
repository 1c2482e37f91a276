"""``gateway translate``: items and complaints, offline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from tests.cli.processes import run

CHAT = "/v1/chat/completions"


def line(custom_id: object, body: Mapping[str, Any], url: str = CHAT) -> bytes:
    """An input line."""
    return orjson.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def chat(model: str = "gemini-2.5-flash", **more: object) -> dict[str, Any]:
    """A chat body."""
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}


def translate(
    tmp_path: Path, *lines: bytes, options: tuple[str, ...] = ()
) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, what was printed, and the last line on stderr."""
    (tmp_path / "input.jsonl").write_bytes(b"\n".join(lines))
    done = run("translate", str(tmp_path / "input.jsonl"), *options)
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
    assert totals == f"{CHAT}: 1 lines, 1 items, 0 refused, 0 that fail the batch\n"


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


def test_an_alias_needs_both_names(tmp_path: Path) -> None:
    """A usage error, not a traceback."""
    code, _, said = translate(tmp_path, line("a", chat()), options=("--alias", "gpt-4o-mini"))

    assert code == 2
    assert "an alias is NAME=MODEL" in said


def test_embeddings_are_found_by_the_first_url(tmp_path: Path) -> None:
    """One item per string."""
    body = {"model": "gemini-embedding-001", "input": ["a", "b"]}

    code, (made,), totals = translate(tmp_path, line("a", body, "/v1/embeddings"))

    assert (code, len(made["items"])) == (0, 2)
    assert totals.startswith("/v1/embeddings: 1 lines, 2 items")


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
    assert totals.startswith("/v1/responses: 2 lines, 1 items, 1 refused")


def test_a_responses_line_needs_its_input(tmp_path: Path) -> None:
    """Without one the whole batch fails, as at OpenAI."""
    code, (made,), _ = translate(tmp_path, line("a", {"model": "m"}, "/v1/responses"))

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
