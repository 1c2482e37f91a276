"""Pieces of a streamed answer -> the events of OpenAI's streams, for every endpoint that has one.

A stream ends with what the whole answer is rendered to by the endpoint's own ``from_gemini``;
before that it shows what the same readers of parts have read so far. So it cannot say anything else
than the answer of a batch would: streams with a second translation are where gateways differ from
their unary answers (any-llm#711, laravel/ai#403, omnigent#28).
"""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.translate.contract import AnswerHints, Context
from gateway.translate.streams.chat import ChatStream
from gateway.translate.streams.completions import CompletionStream
from gateway.translate.streams.images import EditStream, ImageStream
from gateway.translate.streams.responses import ResponseStream, replayed
from gateway.translate.streams.stream import AnswerStream, StreamOptions

STREAMS: Final[Mapping[str, Callable[[AnswerHints, Context, int, StreamOptions], AnswerStream]]] = {
    "/v1/chat/completions": ChatStream,
    "/v1/completions": CompletionStream,
    "/v1/responses": ResponseStream,
    "/v1/images/generations": ImageStream,
    "/v1/images/edits": EditStream,
}

__all__ = ["STREAMS", "AnswerStream", "StreamOptions", "replayed"]
