"""What an earlier answer carried beside text and calls, on its way back to Gemini.

Signatures and steps of Google's tools travel in ``extra_content``, images in ``images``, an
extension that OpenRouter and LiteLLM share: a later turn may edit them. Image models of Gemini 3
answer 400 "Image part is missing a thought_signature" (langchain-google#1431), so each image keeps
its own.
"""

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import Refused, invalid_type
from gateway.translate.reading.table import FieldTable, mapped
from gateway.translate.request.content import image_part
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.signatures import FOREIGN_HISTORY, message_signature, note_unread
from gateway.translate.tools.server_steps import returned_steps

RETURNED_IMAGE = FieldTable(
    mapped("type", "image_url only"),
    mapped("image_url", "`inlineData` or `fileData`"),
    mapped("extra_content", "`thoughtSignature` of the image"),
)


def with_returned(parts: list[Json], message: Json, conversation: Conversation) -> list[Json]:
    """Add to the text parts of an assistant's message what else its answer had.

    Steps of Google's own tools come before the words that rest on them, images after them.
    """
    if "extra_content" in message:
        note_unread(message, conversation)
        signature = message_signature(message)
        if signature and not parts and message.get("tool_calls"):
            # Gemini wrote a part of nothing but its signature.
            parts = [{"text": ""}]
        if signature and parts:
            parts[-1]["thoughtSignature"] = signature
        parts = returned_steps(message, conversation) + parts
    if message.get("images") is not None:
        parts = parts + _images(message["images"], conversation)
    return parts


def _images(value: object, conversation: Conversation) -> list[Json]:
    """``[{"image_url": {"url": "data:image/png;base64,…"}}]`` -> ``[{"inlineData": …}]``."""
    if type(value) is not list:
        invalid_type(value, "an array of objects", "images")
    parts = []
    for index, image in enumerate(value):
        try:
            parts.append(_image(image, conversation))
        except Refused as refusal:
            refusal.under(f"images[{index}]")
            raise
    return parts


def _image(image: object, conversation: Conversation) -> Json:
    if type(image) is not dict:
        invalid_type(image, "an object")
    RETURNED_IMAGE.check(image)
    part = image_part({"image_url": image.get("image_url")}, conversation)
    signature = message_signature(image)
    if not signature and conversation.can.signatures and conversation.can.media:
        signature = FOREIGN_HISTORY
    return {**part, "thoughtSignature": signature} if signature else part
