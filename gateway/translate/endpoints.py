"""The OpenAI paths a line may name: a new endpoint is one room, and its line here."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from gateway.translate import chat, completions, embeddings, images, images_edits, responses
from gateway.translate.contract import Endpoint, FromGemini, ToGemini
from gateway.wire.gemini import EMBED_CONTENT, GENERATE_CONTENT


class Room(Protocol):
    """A package of this floor: what translates a request, and what renders its answers."""

    @property
    def to_gemini(self) -> ToGemini:
        """See :class:`Endpoint`."""
        ...

    @property
    def from_gemini(self) -> FromGemini:
        """See :class:`Endpoint`."""
        ...


def _generated(path: str, room: Room, required: str) -> Endpoint:
    return Endpoint(path, GENERATE_CONTENT, (required,), room.to_gemini, room.from_gemini)


ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    endpoint.path: endpoint
    for endpoint in (
        replace(
            _generated(chat.PATH, chat, "messages"),
            fitting=chat.fitting,
            usual=chat.usual_answers,
        ),
        _generated(completions.PATH, completions, "prompt"),
        Endpoint(
            embeddings.PATH,
            EMBED_CONTENT,
            ("input",),
            embeddings.to_gemini,
            embeddings.from_gemini,
            embeddings.quick_loads,
        ),
        _generated(images.PATH, images, "prompt"),
        _generated(images_edits.PATH, images_edits, "prompt"),
        _generated(responses.PATH, responses, "input"),
    )
}
