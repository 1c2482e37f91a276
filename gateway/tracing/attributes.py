"""Attributes of spans: OpenTelemetry's conventions where there are any, ``gateway.*`` elsewhere.

The GenAI conventions (https://opentelemetry.io/docs/specs/semconv/gen-ai/) know single calls of a
model. A batch, its jobs and its steps they do not know, so these have one namespace of their own.
Nothing here holds text of a request or an answer, a key or an upstream's message.
"""

from enum import StrEnum
from typing import Final

from gateway.batches.job import Cause


class Attribute(StrEnum):
    """The names; :data:`MEANINGS` says what each holds."""

    OPERATION = "gen_ai.operation.name"
    PROVIDER = "gen_ai.provider.name"
    REQUEST_MODEL = "gen_ai.request.model"
    RESPONSE_MODEL = "gen_ai.response.model"
    RESPONSE_ID = "gen_ai.response.id"
    FINISH_REASONS = "gen_ai.response.finish_reasons"
    INPUT_TOKENS = "gen_ai.usage.input_tokens"
    CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
    ERROR_TYPE = "error.type"
    HTTP_METHOD = "http.request.method"
    HTTP_ROUTE = "http.route"
    HTTP_STATUS = "http.response.status_code"
    OWNER = "gateway.owner"
    CREDENTIAL = "gateway.credential"
    BATCH_ID = "gateway.batch.id"
    BATCH_ENDPOINT = "gateway.batch.endpoint"
    BATCH_STATUS = "gateway.batch.status"
    BATCH_LINES = "gateway.batch.lines"
    BATCH_COMPLETED = "gateway.batch.lines.completed"
    BATCH_FAILED = "gateway.batch.lines.failed"
    BATCH_COST = "gateway.batch.cost_usd"
    BATCH_RETRY_OF = "gateway.batch.retry_of"
    RESPONSE_STATUS = "gateway.response.status"
    JOB_ID = "gateway.job.id"
    JOB_NUMBER = "gateway.job.number"
    JOB_CAUSE = "gateway.job.cause"
    JOB_STATE = "gateway.job.state"
    JOB_UPSTREAM_STATE = "gateway.job.upstream_state"
    JOB_ITEMS = "gateway.job.items"
    CALL_PIECES = "gateway.call.pieces"
    CALL_BYTES = "gateway.call.bytes"


A: Final = Attribute
MEANINGS: Final = {
    A.OPERATION: "what Gemini was asked for: `generate_content` or `embeddings`",
    A.PROVIDER: "`gcp.gemini`",
    A.REQUEST_MODEL: "the model that was asked, of a batch that of its first line",
    A.RESPONSE_MODEL: "the model that answered",
    A.RESPONSE_ID: "of a response in the background",
    A.FINISH_REASONS: "why Gemini ended, in its own words",
    A.INPUT_TOKENS: "of a call, or of all answers of a batch",
    A.CACHED_TOKENS: "a part of these",
    A.OUTPUT_TOKENS: "thoughts included",
    A.REASONING_TOKENS: "a part of these",
    A.ERROR_TYPE: "the class of what failed; the span's status is then ERROR, without a text",
    A.HTTP_METHOD: "of a single request",
    A.HTTP_ROUTE: "its endpoint",
    A.HTTP_STATUS: "what was answered; of an upstream call that failed, what Google answered",
    A.OWNER: "the name of the client's key",
    A.CREDENTIAL: "the name of the key for Google",
    A.BATCH_ID: "the batch",
    A.BATCH_ENDPOINT: "OpenAI's path",
    A.BATCH_STATUS: "how it ended",
    A.BATCH_LINES: "all of its lines",
    A.BATCH_COMPLETED: "those with an answer",
    A.BATCH_FAILED: "those with an error",
    A.BATCH_COST: "dollars by the table of prices, where known",
    A.BATCH_RETRY_OF: "the batch whose failed lines these are",
    A.RESPONSE_STATUS: "how a response in the background ended",
    A.JOB_ID: "the job; with the gateway's id its display name at Google",
    A.JOB_NUMBER: "its number in the batch",
    A.JOB_CAUSE: f"why there is this job: {', '.join(f'`{cause}`' for cause in Cause)}",
    A.JOB_STATE: "the gateway's state of it as the step leaves it",
    A.JOB_UPSTREAM_STATE: "Google's",
    A.JOB_ITEMS: "requests in it",
    A.CALL_PIECES: "pieces of a stream",
    A.CALL_BYTES: "bytes that were sent or received",
}

GEMINI: Final = "gcp.gemini"
GENERATE: Final = "generate_content"
EMBED: Final = "embeddings"
