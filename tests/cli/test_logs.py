"""Logs: one JSON object a line; of an exception only its type."""

import logging

import orjson

from gateway.cli.logs import JsonLines


def entry_of(record: logging.LogRecord) -> dict[str, str]:
    """What becomes of a record."""
    text = JsonLines().format(record)
    assert "\n" not in text
    entry: dict[str, str] = orjson.loads(text)
    return entry


def test_an_entry_has_time_level_logger_and_message() -> None:
    """Times are UTC with milliseconds."""
    record = logging.LogRecord("gateway.x", logging.INFO, "x.py", 1, "made %d", (3,), None)
    record.created = 0.0625

    assert entry_of(record) == {
        "time": "1970-01-01T00:00:00.062+00:00",
        "level": "info",
        "logger": "gateway.x",
        "message": "made 3",
    }


def test_an_exception_shows_its_type_alone() -> None:
    """Its text, or a traceback's, may quote a prompt."""
    error = ValueError("the prompt")
    record = logging.LogRecord(
        "x", logging.ERROR, "x.py", 1, "failed", (), (ValueError, error, None)
    )

    entry = entry_of(record)

    assert entry["error"] == "ValueError"
    assert "the prompt" not in str(entry)
