"""The fidelity table: what becomes of every field, in Markdown, from the tables that decide it."""

from typing import Final

from gateway.translate import google
from gateway.translate.answer import envelope as received
from gateway.translate.answer import grounding
from gateway.translate.chat import answer as answers
from gateway.translate.chat import choice as choices
from gateway.translate.chat import message as replies
from gateway.translate.chat.messages import (
    ASSISTANT_MESSAGE,
    FUNCTION_MESSAGE,
    RETURNED_IMAGE,
    SYSTEM_MESSAGE,
    TOOL_MESSAGE,
    USER_MESSAGE,
)
from gateway.translate.chat.request import CHAT
from gateway.translate.completions.request import COMPLETIONS
from gateway.translate.embeddings import answer as embeddings_answers
from gateway.translate.embeddings.request import EMBEDDINGS, GOOGLE_EMBEDDING
from gateway.translate.google import GOOGLE
from gateway.translate.images.request import IMAGES
from gateway.translate.reading.table import FieldTable
from gateway.translate.request.content import (
    AUDIO_PART,
    FILE,
    FILE_PART,
    IMAGE_PART,
    IMAGE_URL,
    INPUT_AUDIO,
    REFUSAL_PART,
    TEXT_PART,
    VIDEO,
)
from gateway.translate.request.modalities import AUDIO
from gateway.translate.request.response_format import JSON_SCHEMA, RESPONSE_FORMAT
from gateway.translate.request.safety import SAFETY_SETTING
from gateway.translate.request.thinking import THINKING
from gateway.translate.responses import answer as responses_answers
from gateway.translate.responses import output as output_items
from gateway.translate.responses.content import INPUT_FILE, INPUT_IMAGE, INPUT_TEXT, OUTPUT_TEXT
from gateway.translate.responses.item_kinds import (
    CODE_ITEM,
    CUSTOM_CALL_ITEM,
    FUNCTION_CALL_ITEM,
    FUNCTION_OUTPUT_ITEM,
    IMAGE_ITEM,
    ITEM_KINDS,
    MESSAGE_ITEM,
    REASONING_ITEM,
    SEARCH_ITEM,
)
from gateway.translate.responses.options import INCLUDE, REASONING, TEXT, TEXT_FORMAT
from gateway.translate.responses.request import RESPONSES
from gateway.translate.responses.tool_choice import (
    ALLOWED_CHOICE,
    CHOICE_KINDS,
    FUNCTION_CHOICE,
    HOSTED_CHOICE,
)
from gateway.translate.responses.tools import (
    CODE_INTERPRETER_TOOL,
    CONTAINER,
    CUSTOM_TOOL,
    FUNCTION_TOOL,
    SEARCH_FILTERS,
    TOOL_KINDS,
    USER_LOCATION,
    WEB_SEARCH_TOOL,
)
from gateway.translate.tools import google as google_tools
from gateway.translate.tools.calls import FUNCTION_CALL, LEGACY_CALL, TOOL_CALL
from gateway.translate.tools.choice import ALLOWED_TOOLS, NAMED_CHOICE
from gateway.translate.tools.custom import CUSTOM, CUSTOM_CALL, CUSTOM_FORMAT
from gateway.translate.tools.declarations import FUNCTION, LEGACY_FUNCTION, TOOL
from gateway.translate.tools.google import WEB_SEARCH

RESPONSES_PATH: Final = "/v1/responses"
# Where an object stands in the body of such a line.
RESPONSES_OBJECTS: Final[dict[str, FieldTable]] = {
    "input[]": ITEM_KINDS,
    "input[] message": MESSAGE_ITEM,
    "input[] function_call": FUNCTION_CALL_ITEM,
    "input[] custom_tool_call": CUSTOM_CALL_ITEM,
    "input[] function_call_output, custom_tool_call_output": FUNCTION_OUTPUT_ITEM,
    "input[] reasoning": REASONING_ITEM,
    "input[] code_interpreter_call": CODE_ITEM,
    "input[] image_generation_call": IMAGE_ITEM,
    "input[] web_search_call": SEARCH_ITEM,
    "input[].content[] input_text": INPUT_TEXT,
    "input[].content[] input_image": INPUT_IMAGE,
    "input[].content[] input_file": INPUT_FILE,
    "input[].content[] output_text": OUTPUT_TEXT,
    "tools[]": TOOL_KINDS,
    "tools[] function": FUNCTION_TOOL,
    "tools[] custom": CUSTOM_TOOL,
    "tools[] web_search": WEB_SEARCH_TOOL,
    "tools[].filters": SEARCH_FILTERS,
    "tools[].user_location": USER_LOCATION,
    "tools[] code_interpreter": CODE_INTERPRETER_TOOL,
    "tools[].container": CONTAINER,
    "tool_choice": CHOICE_KINDS,
    "tool_choice function": FUNCTION_CHOICE,
    "tool_choice allowed_tools": ALLOWED_CHOICE,
    "tool_choice web_search, code_interpreter": HOSTED_CHOICE,
    "text": TEXT,
    "text.format": TEXT_FORMAT,
    "reasoning": REASONING,
    "include[]": INCLUDE,
}
# An endpoint, or where an object stands in a line's body.
REQUESTS: Final[dict[str, FieldTable]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/images/generations": IMAGES,
    RESPONSES_PATH: RESPONSES,
    "messages[] of system, developer": SYSTEM_MESSAGE,
    "messages[] of user": USER_MESSAGE,
    "messages[] of assistant": ASSISTANT_MESSAGE,
    "messages[].images[]": RETURNED_IMAGE,
    "tool_calls[]": TOOL_CALL,
    "tool_calls[].function": FUNCTION_CALL,
    "function_call": LEGACY_CALL,
    "tool_calls[].custom": CUSTOM_CALL,
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
    "content[].file.video_metadata, content[].image_url.video_metadata": VIDEO,
    "tools[]": TOOL,
    "tools[].function": FUNCTION,
    "tools[].custom": CUSTOM,
    "tools[].custom.format": CUSTOM_FORMAT,
    "functions[]": LEGACY_FUNCTION,
    "tool_choice": NAMED_CHOICE,
    "tool_choice.allowed_tools": ALLOWED_TOOLS,
    "web_search_options": WEB_SEARCH,
    "response_format": RESPONSE_FORMAT,
    "response_format.json_schema": JSON_SCHEMA,
    "google of /v1/embeddings": GOOGLE_EMBEDDING,
    "google": GOOGLE,
    "audio": AUDIO,
    "google.thinking_config": THINKING,
    "google.safety_settings[]": SAFETY_SETTING,
    "google.tools[]": google_tools.GOOGLE_TOOL,
    "google.tools[].google_search": google_tools.GOOGLE_SEARCH,
    "google.tools[].google_search.search_types": google_tools.SEARCH_TYPES,
    "google.tools[].google_search.time_range_filter": google_tools.TIME_RANGE,
    "google.tools[].google_maps": google_tools.GOOGLE_MAPS,
    "google.tools[].file_search": google_tools.FILE_SEARCH,
    "google.retrieval_config": google.RETRIEVAL,
    "google.retrieval_config.lat_lng": google.PLACE,
    "google.image_config": google.IMAGE,
    "google.speech_config": google.SPEECH,
    "google.speech_config.voice_config": google.VOICE,
    "google.speech_config.voice_config.prebuilt_voice_config": google.PREBUILT_VOICE,
    "google.speech_config.multi_speaker_voice_config": google.SPEAKERS,
    "google.speech_config.multi_speaker_voice_config.speaker_voice_configs[]": (google.SPEAKER),
    **{f"{where} ({RESPONSES_PATH})": table for where, table in RESPONSES_OBJECTS.items()},
}
ANSWERS: Final[dict[str, dict[str, str]]] = {
    "GenerateContentResponse": answers.RESPONSE,
    "Candidate": choices.CANDIDATE,
    "Part": replies.PART,
    "GenerateContentResponse, in a Response": responses_answers.RESPONSE,
    "Candidate, in a Response": responses_answers.CANDIDATE,
    "Part, in a Response": output_items.PART,
    "UsageMetadata, in a Response": responses_answers.USAGE,
    "GroundingMetadata": grounding.GROUNDING,
    "GroundingChunk": grounding.CHUNK,
    "GroundingSupport": grounding.SUPPORT,
    "Segment": grounding.SEGMENT,
    "UrlContextMetadata": grounding.URL_CONTEXT,
    "PromptFeedback": received.FEEDBACK,
    "UsageMetadata": answers.USAGE,
    "EmbedContentResponse": embeddings_answers.RESPONSE,
}
