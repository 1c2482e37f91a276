"""Parts of OpenAI's API that are not served here, and why, each in a sentence.

::

    POST /v1/moderations              a path of its own, whatever the method
    POST /v1/responses/input_tokens   of a path that is served, one method that is not
"""

import re
from typing import Final

from starlette.types import Scope

from gateway.api.paths import ASKED_PATH
from gateway.errors import NotFoundError
from gateway.wire.openai import truncate

_NO_COMPLETIONS: Final = (
    "This gateway keeps no chat completions: 'store' of /v1/responses keeps an answer."
)
_NO_AGENTS: Final = "This gateway runs no agents: send a request to /v1/responses."
_NO_ORGANIZATION: Final = (
    "This gateway administers no organization: its keys and limits are settings of its operator."
)
_RETIRED: Final = "OpenAI has retired {}; send a request to /v1/responses."

# A path of OpenAI's API, with all below it ("…/": what is below it alone) -> why it is not served.
_PARTS: Final = {
    "/moderations": "Gemini gives no moderation scores.",
    "/audio/": 'Gemini\'s sound is part of a chat completion: modalities ["text", "audio"].',
    "/images/variations": "Gemini varies an image in a chat completion that shows it.",
    "/videos": "This gateway makes no videos.",
    "/chat/completions/": _NO_COMPLETIONS,
    "/decisions": "A chat completion with a schema as its 'response_format' answers questions.",
    "/assistants": _RETIRED.format("assistants"),
    "/threads": _RETIRED.format("threads"),
    "/conversations": "This gateway keeps no conversations: send their items in 'input'.",
    "/vector_stores": "This gateway has no vector stores.",
    "/containers": "This gateway has no containers.",
    "/skills": "This gateway has no skills: write them into the instructions.",
    "/vaults": "This gateway keeps no credentials of tools.",
    "/agents": _NO_AGENTS,
    "/chatkit": _NO_AGENTS,
    "/fine_tuning": "Gemini's Developer API offers no fine-tuning.",
    "/evals": "This gateway runs no evals.",
    "/realtime": "This gateway has no realtime sessions.",
    "/live": "This gateway has no live sessions.",
    "/content_provenance_checks": "This gateway does not check where content comes from.",
    "/safety": "This gateway has no safety cases.",
    "/organization": _NO_ORGANIZATION,
    "/projects": _NO_ORGANIZATION,
}

# Operations whose path is served for other methods, or looks like an object's that is ("…/": all
# below it).
_OPERATIONS: Final = {
    ("GET", "/chat/completions"): _NO_COMPLETIONS,
    ("GET", "/responses"): "This gateway takes responses by POST, and over no WebSocket.",
    ("POST", "/responses/input_tokens"): (
        "This gateway counts tokens in the 'usage' of an answer alone; GET"
        " /v1/files/{id}/dry_run estimates those of a batch's input file."
    ),
    ("POST", "/responses/compact"): (
        "Gemini compacts no conversations: send the items of 'input' that matter."
    ),
    ("DELETE", "/models/"): "A gateway in front of Gemini has no fine-tuned models to delete.",
}

# Azure's client names the model in the path of a few operations, audio among them.
_DEPLOYMENT: Final = re.compile(r"/deployments/.+?(?=/audio/)")


def refusal(scope: Scope) -> NotFoundError:
    """Say why a URL is not served."""
    asked = truncate(scope[ASKED_PATH])
    path = _DEPLOYMENT.sub("", scope["path"])
    for start, why in _PARTS.items():
        if _is_of(path, start):
            return NotFoundError(f"{asked} is not served. {why}", code="unknown_url")
    if (why_not := _operation(scope)) is not None:
        return NotFoundError(
            f"{scope['method']} {asked} is not served. {why_not}", code="unknown_url"
        )
    return NotFoundError(
        f"Unknown request URL: {scope['method']} {asked}."
        " Please check the URL for typos, or see this gateway's README for what it serves.",
        code="unknown_url",
    )


def is_unserved(scope: Scope) -> bool:
    """Tell whether OpenAI has this method of a path that is served here for others alone."""
    return _operation(scope) is not None


def _operation(scope: Scope) -> str | None:
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return next(
        (
            why
            for (of_method, of_path), why in _OPERATIONS.items()
            if of_method == method and _is_exactly(scope["path"], of_path)
        ),
        None,
    )


def _is_of(path: str, start: str) -> bool:
    return path == start or path.startswith(f"{start.removesuffix('/')}/")


def _is_exactly(path: str, of_path: str) -> bool:
    return path.startswith(of_path) if of_path.endswith("/") else path == of_path
