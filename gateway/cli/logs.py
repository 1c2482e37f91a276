"""Logs: one JSON object a line, on stderr. Prompts and completions never reach a logger."""

import logging
from datetime import UTC, datetime

import orjson


class JsonLines(logging.Formatter):
    """``{"time", "level", "logger", "message", "error"?}``; of an exception only its type."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            entry["error"] = record.exc_info[0].__name__
        return orjson.dumps(entry).decode()


def set_up_logs(level: str) -> None:
    """Log to stderr at ``level`` and above; what other libraries say from warnings up."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gateway").setLevel(level.upper())
