"""Thought signatures: read from tool calls and messages, attached to Gemini parts.

They are opaque base64 that Gemini 3 wants back with the calls it made.

Google documents ``extra_content.google.thought_signature``, on a tool call and on a message;
LiteLLM and Bifrost hide it behind a marker in the call's id, and histories with such ids exist.
"""

import re
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import shortened
from gateway.translate.request.conversation import Conversation

# Google's documented bypass for histories that other models, or clients that drop unknown
# fields, wrote (page "Thought signatures"). Sent raw, as the page shows it.
FOREIGN_HISTORY: Final = "skip_thought_signature_validator"

# What is read of ``extra_content.google``, and what answers show there that is of no use to Gemini;
# ``thought`` is of Google's own layer.
_READ: Final = frozenset(
    ("thought_signature", "parts", "grounding_metadata", "url_context_metadata", "thought")
)
_ID_MARKERS: Final = ("__thought__", "_ts_")
# OpenAI's own ids have 40 characters at most, real signatures hundreds: a shorter end of an id
# is a part of that id, and sending it as a signature would be a 400.
_SHORTEST_HIDDEN: Final = 40
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{2,}={0,2}\Z")


def call_signature(call: Json, hidden: str) -> str:
    """Return the signature sent back with a call, or ``""``; ``hidden`` is what its id carried."""
    return message_signature(call) or valid_signature(hidden)


def message_signature(owner: Json) -> str:
    """``{"extra_content": {"google": {"thought_signature": "…"}}}`` -> the signature or ``""``."""
    return valid_signature(google_extra(owner).get("thought_signature"))


def google_extra(owner: Json) -> Json:
    """``extra_content.google`` of a message or call; empty where there is no such object."""
    extra = owner.get("extra_content")
    google = extra.get("google") if type(extra) is dict else None
    return google if type(google) is dict else {}


def note_unread(owner: Json, conversation: Conversation) -> None:
    """Note members of ``extra_content.google`` that are not read, e.g. a name in camelCase."""
    for name in google_extra(owner):
        if name not in _READ:
            conversation.note_of(owner, "dropped", f"extra_content.google.{shortened(name)}")


def split_call_id(call_id: str) -> tuple[str, str]:
    """``"call_1__thought__c2ln…"`` -> ``("call_1", "c2ln…")``."""
    if "_t" not in call_id:
        return call_id, ""
    for marker in _ID_MARKERS:
        bare, _, signature = call_id.partition(marker)
        if bare and len(signature) >= _SHORTEST_HIDDEN and valid_signature(signature):
            return bare, signature
    return call_id, ""


def valid_signature(signature: object) -> str:
    """Return a signature; "" for what is no base64, for which Google answers 400."""
    if type(signature) is not str or not _BASE64.match(signature):
        return ""
    return signature if len(signature.rstrip("=")) % 4 != 1 else ""
