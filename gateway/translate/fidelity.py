"""The fidelity table: what becomes of every field, in Markdown, from the tables that decide it."""

from typing import Final

from gateway.translate import answers, embeddings, replies
from gateway.translate.calls import FUNCTION_CALL, TOOL_CALL
from gateway.translate.chat import CHAT
from gateway.translate.embeddings import EMBEDDINGS
from gateway.translate.extension import GOOGLE, SAFETY_SETTING
from gateway.translate.fields import FieldTable
from gateway.translate.messages import (
    ASSISTANT_MESSAGE,
    FUNCTION_MESSAGE,
    SYSTEM_MESSAGE,
    TOOL_MESSAGE,
    USER_MESSAGE,
)
from gateway.translate.parts import (
    AUDIO_PART,
    FILE,
    FILE_PART,
    IMAGE_PART,
    IMAGE_URL,
    INPUT_AUDIO,
    REFUSAL_PART,
    TEXT_PART,
)
from gateway.translate.response_format import JSON_SCHEMA, RESPONSE_FORMAT
from gateway.translate.thinking import THINKING
from gateway.translate.tool_choice import ALLOWED_TOOLS, NAMED_CHOICE
from gateway.translate.tools import FUNCTION, LEGACY_FUNCTION, TOOL

REQUESTS: Final[dict[str, FieldTable]] = {
    "/v1/chat/completions": CHAT,
    "messages: system, developer": SYSTEM_MESSAGE,
    "messages: user": USER_MESSAGE,
    "messages: assistant": ASSISTANT_MESSAGE,
    "messages: assistant, tool_calls": TOOL_CALL,
    "messages: assistant, tool_calls, function": FUNCTION_CALL,
    "messages: tool": TOOL_MESSAGE,
    "messages: function": FUNCTION_MESSAGE,
    "parts: text": TEXT_PART,
    "parts: refusal": REFUSAL_PART,
    "parts: image_url": IMAGE_PART,
    "parts: image_url, image_url": IMAGE_URL,
    "parts: input_audio": AUDIO_PART,
    "parts: input_audio, input_audio": INPUT_AUDIO,
    "parts: file": FILE_PART,
    "parts: file, file": FILE,
    "tools": TOOL,
    "tools, function": FUNCTION,
    "functions": LEGACY_FUNCTION,
    "tool_choice": NAMED_CHOICE,
    "tool_choice, allowed_tools": ALLOWED_TOOLS,
    "response_format": RESPONSE_FORMAT,
    "response_format, json_schema": JSON_SCHEMA,
    "google": GOOGLE,
    "google, thinking_config": THINKING,
    "google, safety_settings": SAFETY_SETTING,
    "/v1/embeddings": EMBEDDINGS,
}
ANSWERS: Final[dict[str, dict[str, str]]] = {
    "GenerateContentResponse": answers.RESPONSE,
    "Candidate": answers.CANDIDATE,
    "Part": replies.PART,
    "PromptFeedback": answers.FEEDBACK,
    "UsageMetadata": answers.USAGE,
    "EmbedContentResponse": embeddings.RESPONSE,
}


def request_table() -> str:
    """Every request field: mapped, dropped or refused, and why."""
    lines = ["| where | field | becomes | how, or why |", "|---|---|---|---|"]
    for where, table in REQUESTS.items():
        lines += [f"| {where} | `{row.name}` | {row.placing} | {row.about} |" for row in table.rows]
    return "\n".join(lines) + "\n"


def answer_table() -> str:
    """Every field of Gemini's answers and its place in OpenAI's."""
    lines = ["| message | field | becomes |", "|---|---|---|"]
    for where, table in ANSWERS.items():
        lines += [f"| {where} | `{name}` | {about} |" for name, about in table.items()]
    return "\n".join(lines) + "\n"
