"""Whole images -> the events of an images stream: Gemini draws no previews."""

from collections.abc import Iterator

import orjson

from gateway.translate.contract import Json, Rendered
from gateway.translate.images.answer import from_gemini
from gateway.translate.streams.stream import AnswerStream
from gateway.wire.sse import named_event


class ImageStream(AnswerStream):
    """``event: image_generation.completed`` for each image, when all of them are there."""

    event: str = "image_generation.completed"
    from_gemini = staticmethod(from_gemini)

    def read(self, item: int, index: int, parts: object) -> None:
        """Read nothing: an image comes whole, and drafts are no previews."""

    def has_output(self) -> bool:
        """Tell that nothing is shown before the end."""
        return False

    def open(self) -> Iterator[bytes]:
        """Begin without an event."""
        self.opened = True
        yield from ()

    def news(self) -> Iterator[bytes]:
        """Yield nothing before the end."""
        yield from ()

    def rest(self, rendered: Rendered) -> Iterator[bytes]:
        """Yield an event for each image; the last one counts the tokens of all."""
        _, written, *_ = rendered
        body: Json = orjson.loads(written)
        common = {
            "type": self.event,
            "created_at": body["created"],
            "size": body.get("size", "auto"),
            "quality": "auto",
            "background": body["background"],
            "output_format": body.get("output_format", "png"),
        }
        last = len(body["data"]) - 1
        for number, image in enumerate(body["data"]):
            usage = {"usage": body["usage"]} if number == last else {"usage": _NOT_COUNTED}
            members = {**common, "b64_json": image["b64_json"], **usage}
            yield named_event(self.event, orjson.dumps(members))


class EditStream(ImageStream):
    """``event: image_edit.completed`` for each image."""

    event = "image_edit.completed"


_NOT_COUNTED = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}
