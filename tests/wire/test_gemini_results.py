"""Results of jobs, from files and from operations."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.wire import gemini_results
from gateway.wire.gemini_results import UNREAD, parse_result, read_results, unfold_inline

SAMPLES = Path(__file__).parents[1] / "data" / "gemini-samples.jsonl"
ROWS = [orjson.loads(line) for line in SAMPLES.read_bytes().splitlines()]


def lines(*kinds: str) -> list[Any]:
    """The recorded result lines of those kinds."""
    return [pytest.param(row["line"], id=row["id"]) for row in ROWS if row["kind"] in kinds]


def operation(name: str) -> Any:
    """A recorded operation."""
    return next(row["response"]["body"] for row in ROWS if row["id"] == name)


class TestResults:
    """One line, and a file of them."""

    @pytest.mark.parametrize("line", lines("jsonl.output.generate", "jsonl.output.embed"))
    def test_recorded_response_lines_are_passed_on_as_they_are(self, line: Any) -> None:
        assert parse_result(orjson.dumps(line)) == (line["key"], {"response": line["response"]})

    @pytest.mark.parametrize("line", lines("inline.item.error", "jsonl.output.generate.error"))
    def test_recorded_errors_have_code_status_and_message(self, line: Any) -> None:
        key, answer = parse_result(orjson.dumps(line))
        assert key == line.get("key", line.get("metadata", {}).get("key"))
        assert answer["error"]["message"] == line["error"].get("message", "")
        assert answer["error"]["code"] == line["error"].get("code", 14)

    @pytest.mark.parametrize(
        ("row", "key"),
        [
            ({"key": "17.0"}, "17.0"),
            ({"metadata": {"key": "17.0"}}, "17.0"),
            ({"key": "17.0", "metadata": {"key": "18.0"}}, "17.0"),
            ({"key": 17}, "17"),
            ({"key": True}, None),
            ({"key": None, "metadata": {"key": "2"}}, "2"),
            ({"metadata": {"custom_id": "0"}}, None),
            ({"metadata": "odd"}, None),
            ({}, None),
        ],
    )
    def test_where_the_key_stands(self, row: Any, key: str | None) -> None:
        assert parse_result(orjson.dumps(row))[0] == key

    @pytest.mark.parametrize(
        ("row", "code", "status"),
        [
            ({"error": {"code": 8, "message": "m"}}, 8, "RESOURCE_EXHAUSTED"),
            ({"error": {"code": "3", "message": "m"}}, 3, "INVALID_ARGUMENT"),
            ({"error": {"status": "UNAVAILABLE", "message": "m"}}, 14, "UNAVAILABLE"),
            ({"error": {"code": 429, "message": "m"}}, 8, "RESOURCE_EXHAUSTED"),
            (
                {"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": "m"}},
                9,
                "FAILED_PRECONDITION",
            ),
            ({"error": {"code": 9999, "message": "m"}}, 13, "INTERNAL"),
            ({"error": "m"}, 13, "INTERNAL"),
            ({"status": {"code": 4, "message": "m"}}, 4, "DEADLINE_EXCEEDED"),
            ({"status": "m"}, 13, "INTERNAL"),
            ({"status": "m", "response": {}}, 13, "INTERNAL"),
        ],
    )
    def test_an_error_is_normalised(self, row: Any, code: int, status: str) -> None:
        _, answer = parse_result(orjson.dumps({"key": "1", **row}))
        assert answer == {"error": {"code": code, "status": status, "message": "m"}}

    def test_an_error_keeps_its_details(self) -> None:
        _, answer = parse_result(
            b'{"key":"1","error":{"code":3,"message":"m","details":[{"a":1}]}}'
        )
        assert answer["error"]["details"] == [{"a": 1}]

    def test_a_response_wins_over_a_status_beside_it(self) -> None:
        assert parse_result(b'{"key":"1","status":"","response":{"a":1}}')[1] == {
            "response": {"a": 1}
        }
        assert parse_result(b'{"key":"1","status":"x","response":{"a":1}}')[1] == {
            "response": {"a": 1}
        }

    def test_an_empty_response_is_a_response(self) -> None:
        assert parse_result(b'{"key":"1","response":{}}') == ("1", {"response": {}})

    @pytest.mark.parametrize("line", [b'{"key":"1"}', b'{"key":"1","response":null,"error":{}}'])
    def test_neither_response_nor_error_is_an_error_worth_another_try(self, line: bytes) -> None:
        key, answer = parse_result(line)
        assert key == "1"
        assert answer["error"]["code"] == 13

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"{",
            b"null",
            b"[1]",
            b'"text"',
            b"\xff\xfe",
            b'{"key":"1","response":{"a":1}',
            b"[" * 200_000,
            b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
            b'{"n":' + b"9" * 10_000 + b',"s":"\\ud800"}',
        ],
    )
    def test_what_cannot_be_read_is_an_error_without_a_key(self, line: bytes) -> None:
        key, answer = parse_result(line)
        assert key is None
        assert answer["error"]["code"] == 13

    def test_half_an_emoji_becomes_a_replacement_character(self) -> None:
        key, answer = parse_result(b'{"key":"1","response":{"t":"a\\ud83d","u":"\\ud83d\\ude00"}}')
        assert (key, answer) == ("1", {"response": {"t": "a\ufffd", "u": "\U0001f600"}})
        assert orjson.loads(orjson.dumps(answer)) == answer

    @pytest.mark.parametrize(
        ("line", "answer"),
        [
            (b'\xef\xbb\xbf{"key":"1","response":{"t":1}}', {"response": {"t": 1}}),
            (b'{"key":"1","response":{"t":-Infinity}}', {"response": {"t": float("-inf")}}),
            (
                b'{"key":"1","response":{"n":123456789012345678901,"t":"\\udc00"}}',
                {"response": {"n": 123456789012345678901, "t": "\ufffd"}},
            ),
        ],
    )
    def test_what_orjson_refuses_is_read_all_the_same(self, line: bytes, answer: Any) -> None:
        assert parse_result(line) == ("1", answer)

    def test_results_are_read_with_their_place(self, tmp_path: Path) -> None:
        path = tmp_path / "results.jsonl"
        first = b'{"key":"1.0","response":{"t":"\xe2\x80\xa8"}}\r\n'
        last = b'{"error":{"code":13},"key":"2.0"}'
        path.write_bytes(first + b"\n" + b"  \n" + last)
        results = list(read_results(path))
        assert [result.key for result in results] == ["1.0", "2.0"]
        assert [(result.offset, result.length) for result in results] == [
            (0, len(first)),
            (len(first) + 4, len(last)),
        ]
        for result in results:
            found = path.read_bytes()[result.offset : result.offset + result.length]
            assert parse_result(found) == (result.key, result.answer)

    @pytest.mark.parametrize(
        ("line", "key"),
        [
            (b'{"key":"2.0","response":{"x":"%b"}}', "2.0"),
            (b' { "key" : 2 , "response":{"x":"%b"}}', "2"),
            (b'{"response":{"x":"%b"},"key":"2"}', "2"),
            (b'{"response":{"x":"%b"},"metadata":{"key":"2"}} ', "2"),
            (b'{"response":{"x":"%b\\"key\\":\\"5\\"}"}}', None),
            (b'{"response":{"x":"%b","args":[{"key":"5"}]}}', None),
            (b'{"response":{"x":"%b"},"key":"two"}', None),
            (b"%b", None),
        ],
    )
    @pytest.mark.parametrize("end", [b"\n", b""])
    def test_a_result_that_is_not_read_has_a_key(
        self, tmp_path: Path, line: bytes, key: str | None, end: bytes
    ) -> None:
        """It is found at either end of the line, however long that is."""
        path = tmp_path / "results.jsonl"
        long, other = line % (b"y" * 300_000), b'{"key":"1","error":{"code":1}}\n'
        path.write_bytes(other + long + end)
        _, result = read_results(path, None, lambda offset: offset == 0)
        assert (result.key, result.offset, result.length) == (key, len(other), len(long + end))
        assert result.answer is UNREAD

    def test_one_beyond_the_limit_is_not_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gemini_results, "MAX_RESULT_BYTES", 1000)
        path = tmp_path / "results.jsonl"
        fits = b'{"key":"1","error":{"m":"%b"}}\n' % (b"y" * 971)
        path.write_bytes(fits + fits.replace(b"yy", b"yyy", 1) + fits)
        assert len(fits) == 1000
        results = [(result.key, result.answer is UNREAD) for result in read_results(path)]
        assert results == [("1", False), ("1", True), ("1", False)]


def unfolded(tmp_path: Path, body: bytes) -> tuple[int, list[tuple[str | None, Any]]]:
    """Unfold an operation and read the results back."""
    raw, jsonl = tmp_path / "operation.json", tmp_path / "results.jsonl"
    raw.write_bytes(body)
    count = unfold_inline(raw, jsonl).items
    return count, [(result.key, result.answer) for result in read_results(jsonl)]


class TestInline:
    """The operation of an inline job, rewritten as a results file."""

    @pytest.mark.parametrize("name", ["g010", "g017"])
    def test_a_recorded_inline_job_reads_like_a_file(self, tmp_path: Path, name: str) -> None:
        body = operation(name)
        items = body["response"]["inlinedResponses"]["inlinedResponses"]
        count, results = unfolded(tmp_path, orjson.dumps(body))
        assert count == len(items) == len(results)
        for (key, answer), item in zip(results, items, strict=True):
            assert key == item["metadata"]["key"]
            assert answer.get("response") == item.get("response")
            assert answer.get("error", {}).get("code") == item.get("error", {}).get("code")

    def test_items_in_the_metadata_alone_are_found(self, tmp_path: Path) -> None:
        body = operation("g017")
        del body["response"]
        assert unfolded(tmp_path, orjson.dumps(body))[0] == 2

    def test_the_sdk_spelling_of_embeddings_is_found(self, tmp_path: Path) -> None:
        item = {"response": {"embedding": {"values": [0.5]}}, "metadata": {"key": "1.0"}}
        body = {"response": {"inlinedEmbedContentResponses": {"inlinedResponses": [item]}}}
        count, results = unfolded(tmp_path, orjson.dumps(body))
        assert (count, results) == (1, [("1.0", {"response": item["response"]})])

    def test_odd_items_are_results_without_a_key(self, tmp_path: Path) -> None:
        body = {"response": {"inlinedResponses": {"inlinedResponses": [3, {"response": {"a": 1}}]}}}
        count, results = unfolded(tmp_path, orjson.dumps(body))
        assert count == 2
        assert [key for key, _ in results] == [None, None]
        assert results[1][1] == {"response": {"a": 1}}

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b"null", b'{"response":{}}', b"[" * 200_000, b"\xff"],
    )
    def test_an_operation_without_output_has_no_items(self, tmp_path: Path, body: bytes) -> None:
        assert unfolded(tmp_path, body) == (0, [])

    @pytest.mark.parametrize("cut", [1, 40, 200, 400])
    def test_an_operation_that_breaks_off_has_the_items_before_the_break(
        self, tmp_path: Path, cut: int
    ) -> None:
        items = [{"metadata": {"key": str(key)}, "response": {"a": "x" * 90}} for key in range(5)]
        body = orjson.dumps({"response": {"inlinedResponses": {"inlinedResponses": items}}})
        count, results = unfolded(tmp_path, body[:-cut])
        assert count == (len(body) - cut - 50) // (len(orjson.dumps(items[0])) + 1)
        assert [key for key, _ in results] == [str(key) for key in range(count)]

    def test_brackets_quotes_and_escapes_in_texts_are_no_structure(self, tmp_path: Path) -> None:
        texts = ['}]}"', "\\", '\\"]', '{"a":[', "\u2028\n", '"' * 600, "{}" * 600, ""]
        items = [{"metadata": {"key": text}, "response": {text: [text]}} for text in texts]
        body = {"a\\": {"b": [{}]}, "response": {"inlinedResponses": {"inlinedResponses": items}}}
        for written in (orjson.dumps(body), orjson.dumps(body, option=orjson.OPT_INDENT_2)):
            _, results = unfolded(tmp_path, written)
            assert results == [(text, {"response": {text: [text]}}) for text in texts]

    def test_a_large_operation_takes_no_more_than_its_largest_item(self, tmp_path: Path) -> None:
        """Parsed as a whole, this one takes more than 300 MB."""
        item = b'{"metadata":{"key":"1"},"response":{"a":[%b{}]}}' % (b'{"b":1.5},' * 20_000)
        body = b'{"response":{"inlinedResponses":{"inlinedResponses":[%b]}}}'
        (tmp_path / "operation.json").write_bytes(body % b",".join([item] * 40))
        script = (
            "import resource, sys; from pathlib import Path;"
            "from gateway.wire.gemini_results import unfold_inline;"
            "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
            "before = peak(); count = unfold_inline(*map(Path, sys.argv[1:])).items;"
            "print(count, (peak() - before) // 1024)"
        )
        paths = [tmp_path / "operation.json", tmp_path / "results.jsonl"]
        done = subprocess.run(
            [sys.executable, "-c", script, *paths], capture_output=True, check=True
        )
        count, megabytes = map(int, done.stdout.split())
        assert count == 40
        assert megabytes < 40  # the file itself has 8, and its mapping counts

    @pytest.mark.parametrize(
        ("body", "whole"),
        [
            (b'{"name":"batches/b","done":true}', True),
            (b'{"name":"batches/b"}', True),
            (b'{"done":true,"error":{"code":13}}', True),
            (b'{"metadata":{"state":"BATCH_STATE_EXPIRED"}}', True),
            (b'{"response":{}}', True),
            *((orjson.dumps(operation(name)), True) for name in ("g016", "g018", "g019")),
            (b'{"error":{"code":502}}', False),
            (b'{"message":"blocked"}', False),
            (b'{"name":"BadGateway","code":502}', False),
            (b'{"error":{"name":"batches/b","done":true}}', False),
            (b"{}", False),
            (b' {"response":{"inlinedResponses":{"inlinedResponses":[{"a":1}]}}}\n', True),
            (b'{"response":{"inlinedResponses":{"inlinedResponses":[{"a":1},{"a":', False),
            (b'{"name":"batches/b","done":tr', False),
            (b"<html>busy</html>", False),
            (b'{"error":1}<html>', False),
            (b"[]", False),
            (b"", False),
        ],
    )
    def test_a_page_or_the_half_of_an_operation_is_told_from_one_without_items(
        self, tmp_path: Path, body: bytes, whole: bool
    ) -> None:
        (tmp_path / "operation.json").write_bytes(body)
        assert unfold_inline(tmp_path / "operation.json", tmp_path / "jsonl").whole is whole

    @pytest.mark.parametrize("depth", [200, 260, 900])
    def test_deep_answers_are_carried(self, tmp_path: Path, depth: int) -> None:
        deep = b'{"a":' * depth + b"1" + b"}" * depth
        body = (
            b'{"response":{"inlinedResponses":{"inlinedResponses":'
            b'[{"metadata":{"key":"1.0"},"response":%b}]}}}' % deep
        )
        count, results = unfolded(tmp_path, body)
        assert (count, results[0][0]) == (1, "1.0")
        assert orjson.loads(deep) == results[0][1]["response"]
