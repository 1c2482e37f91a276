"""The OpenAI paths a line may name. A new endpoint is one file and one line here."""

from collections.abc import Mapping
from typing import Final

from gateway.translate.chat import answer as answers
from gateway.translate.chat import request as chat
from gateway.translate.completions import request as completions
from gateway.translate.contract import Endpoint
from gateway.translate.embeddings import request as embeddings
from gateway.translate.embeddings import vectors
from gateway.translate.images import request as images
from gateway.translate.responses import answer as responses_answers
from gateway.translate.responses import request as responses

ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint(
            path="/v1/chat/completions",
            method="batchGenerateContent",
            required=("messages",),
            to_gemini=chat.to_gemini,
            from_gemini=answers.from_gemini,
        ),
        Endpoint(
            path="/v1/completions",
            method="batchGenerateContent",
            required=("prompt",),
            to_gemini=completions.to_gemini,
            from_gemini=completions.from_gemini,
        ),
        Endpoint(
            path="/v1/embeddings",
            method="asyncBatchEmbedContent",
            required=("input",),
            to_gemini=embeddings.to_gemini,
            from_gemini=embeddings.from_gemini,
            quick=vectors.quick_loads,
        ),
        Endpoint(
            path="/v1/images/generations",
            method="batchGenerateContent",
            required=("prompt",),
            to_gemini=images.to_gemini,
            from_gemini=images.from_gemini,
        ),
        Endpoint(
            path="/v1/responses",
            method="batchGenerateContent",
            required=("input",),
            to_gemini=responses.to_gemini,
            from_gemini=responses_answers.from_gemini,
        ),
    )
}
