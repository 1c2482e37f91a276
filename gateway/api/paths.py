"""One canonical path for the many base URLs that clients are given.

in   /v1/files/  /files  /openai/files  /openai/v1/files
out  /files

Each form is served itself: a redirect would cost a second upload of the whole file. Azure's client
puts the model of a single request into the path, ``/openai/deployments/MODEL/chat/completions``.
"""

import re
from typing import Final

from starlette.types import Receive, Scope, Send
from typing_extensions import override

from gateway.api.middleware import HttpMiddleware

# openai-python and -node append to a base URL with or without /v1; Azure's clients to /openai.
_PREFIX: Final = re.compile(r"(?:/openai)?(?:/v1)?(?=/)")

# A name with a slash comes as it is from openai-node (LiteLLM#7631): the end of the path decides.
_SINGLE: Final = (
    r"/(?:chat/completions|completions|embeddings|responses|images/generations|images/edits)"
)
_DEPLOYMENT: Final = re.compile(rf"/deployments/(?P<model>.+?)(?P<path>{_SINGLE})")
_ENDS_SINGLE: Final = re.compile(rf".*{_SINGLE}/?")

# Where the model of such a path is kept: it wins over the body's, as at Azure.
DEPLOYMENT: Final = "gateway.deployment"
# Where the path as it was asked for is kept, for messages.
ASKED_PATH: Final = "gateway.asked_path"


def canonical_path(path: str) -> str:
    """Return a path without the prefixes, and without a slash at the end."""
    short = path[match.end() :] if (match := _PREFIX.match(path)) else path
    return short.rstrip("/") or "/"


def is_single_request(path: str) -> bool:
    """Whether a path, however it was asked for, is that of a single request."""
    return _ENDS_SINGLE.fullmatch(path) is not None


class CanonicalPaths(HttpMiddleware):
    """Middleware that shows the routes the canonical path."""

    @override
    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["path"]
        path = canonical_path(asked.removeprefix(scope.get("root_path", "")))
        scope = {**scope, "path": path, "root_path": "", ASKED_PATH: asked}
        if found := _DEPLOYMENT.fullmatch(path):
            scope |= {"path": found["path"], DEPLOYMENT: found["model"]}
        await self._app(scope, receive, send)
