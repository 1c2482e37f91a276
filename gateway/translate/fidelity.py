"""The fidelity table: what becomes of every field, in Markdown, from the tables that decide it."""

from typing import Final

from gateway.translate import answers, embeddings, grounding, received, replies
from gateway.translate.calls import FUNCTION_CALL, TOOL_CALL
from gateway.translate.chat import CHAT
from gateway.translate.completions import COMPLETIONS
from gateway.translate.embeddings import EMBEDDINGS, GOOGLE_EMBEDDING
from gateway.translate.extension import GOOGLE, SAFETY_SETTING
from gateway.translate.fields import FieldTable
from gateway.translate.images import IMAGES
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
from gateway.translate.web_search import WEB_SEARCH

# An endpoint, or where an object stands in a line's body.
REQUESTS: Final[dict[str, FieldTable]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/images/generations": IMAGES,
    "messages[] of system, developer": SYSTEM_MESSAGE,
    "messages[] of user": USER_MESSAGE,
    "messages[] of assistant": ASSISTANT_MESSAGE,
    "tool_calls[]": TOOL_CALL,
    "tool_calls[].function, function_call": FUNCTION_CALL,
    "messages[] of tool": TOOL_MESSAGE,
    "messages[] of function": FUNCTION_MESSAGE,
    "content[] text": TEXT_PART,
    "content[] refusal": REFUSAL_PART,
    "content[] image_url": IMAGE_PART,
    "content[].image_url": IMAGE_URL,
    "content[] input_audio": AUDIO_PART,
    "content[].input_audio": INPUT_AUDIO,
    "content[] file": FILE_PART,
    "content[].file": FILE,
    "tools[]": TOOL,
    "tools[].function": FUNCTION,
    "functions[]": LEGACY_FUNCTION,
    "tool_choice": NAMED_CHOICE,
    "tool_choice.allowed_tools": ALLOWED_TOOLS,
    "web_search_options": WEB_SEARCH,
    "response_format": RESPONSE_FORMAT,
    "response_format.json_schema": JSON_SCHEMA,
    "google of /v1/embeddings": GOOGLE_EMBEDDING,
    "google": GOOGLE,
    "google.thinking_config": THINKING,
    "google.safety_settings[]": SAFETY_SETTING,
}
ANSWERS: Final[dict[str, dict[str, str]]] = {
    "GenerateContentResponse": answers.RESPONSE,
    "Candidate": answers.CANDIDATE,
    "Part": replies.PART,
    "GroundingMetadata": grounding.GROUNDING,
    "GroundingChunk": grounding.CHUNK,
    "GroundingSupport": grounding.SUPPORT,
    "Segment": grounding.SEGMENT,
    "UrlContextMetadata": grounding.URL_CONTEXT,
    "PromptFeedback": received.FEEDBACK,
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
