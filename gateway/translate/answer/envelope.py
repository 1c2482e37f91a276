"""Id, model and blocked prompt of a GenerateContentResponse, for every endpoint."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from gateway.ids import digest
from gateway.translate.answer.failure import Failure, failure_of
from gateway.translate.answer.usage import total_usage, usage_of
from gateway.translate.contract import Answer, AnswerHints, Context, Json, Policy, Usage
from gateway.translate.reading.table import answer_table

# Every field of PromptFeedback and what becomes of it; a test compares this with google-genai's.
FEEDBACK: Final = answer_table(
    "PromptFeedback",
    {
        "blockReason": "`refusal`, `native_finish_reason`",
        "blockReasonMessage": "left out: Vertex only",
        "safetyRatings": "left out: OpenAI has no such member",
    },
)
# Members of a response and of a candidate that no endpoint shows.
RESPONSE_LEFT_OUT: Final = {
    "modelStatus": "left out: describes the model's retirement",
    "automaticFunctionCallingHistory": "left out: made by the SDK, never on the wire",
    "parsed": "left out: made by the SDK, never on the wire",
    "sdkHttpResponse": "left out: made by the SDK, never on the wire",
}
CANDIDATE_LEFT_OUT: Final = {
    "citationMetadata": "left out: OpenAI has no such member",
    "safetyRatings": "left out: OpenAI has no such member",
    "avgLogprobs": "left out: OpenAI has no such member",
    "tokenCount": "left out: `usage` counts",
    "groundingAttributions": "left out: AQA models only",
    "continuationToken": "left out: a batch cannot continue an answer",
}
# Why a prompt was blocked -> words for the refusal. Anything else is shown as it is.
BLOCKED: Final = {
    "BLOCKED_REASON_UNSPECIFIED": "no reason given",
    "BLOCK_REASON_UNSPECIFIED": "no reason given",
    "SAFETY": "safety",
    "OTHER": "unnamed reasons",
    "BLOCKLIST": "a blocked term",
    "PROHIBITED_CONTENT": "prohibited content",
    "IMAGE_SAFETY": "safety of an image",
    "MODEL_ARMOR": "Model Armor",
    "JAILBREAK": "an attempted jailbreak",
}
EMPTY: Final = Failure(
    500, "empty_response", "Gemini answered without any candidate; send the line again."
)


def identity_of(response: Json, context: Context) -> str:
    """Give Gemini's id of the answer; where there is none, one made of the batch and the line."""
    identity = response.get("responseId")
    if type(identity) is str and identity:
        return identity
    return digest("completion", context.batch_id, context.line)[:32]


def model_of(version: object, hints: AnswerHints, context: Context) -> str:
    """Name the model that answered, or the name that it was asked by, as the policy says.

    ``version`` is Gemini's ``modelVersion``. An embedding has none: there the model of the job
    answered, so that the name is of one kind on every endpoint.
    """
    if context.policy.answer_model == "asked":
        return hints["model"]
    if type(version) is not str or not version:
        version = context.model or hints["model"]
    return version if version[:7] != "models/" else version[7:]


def blocked_of(response: Json) -> tuple[str, str] | Failure:
    """Explain that there is no candidate: Gemini's word and a refusal for users, or a failure.

    ``{"promptFeedback": {"blockReason": "SAFETY"}}`` ->
    ``("SAFETY", "Gemini blocked the prompt: safety (SAFETY).")``
    """
    feedback = response.get("promptFeedback")
    reason = feedback.get("blockReason") if type(feedback) is dict else None
    if type(reason) is not str or not reason:
        return EMPTY
    why = BLOCKED.get(reason, reason[:100])
    return reason[:100], f"Gemini blocked the prompt: {why} ({reason[:100]})."


def answered_block(response: Json, policy: Policy) -> tuple[str, str] | Failure:
    """Explain it where a refusal is an answer, unless the policy asks for an error line."""
    blocked = blocked_of(response)
    if policy.blocked_prompt == "error" and not isinstance(blocked, Failure):
        return Failure(400, "content_policy_violation", blocked[1])
    return blocked


def read_items(
    answers: Sequence[Answer], noun: str, read: Callable[[Json], Failure | None]
) -> tuple[Usage, Failure | None]:
    """Read the responses of a line's items: what they used together, and why the line fails.

    ``read`` takes one response and says why it cannot be shown. The first item that fails fails
    the line, as one ``noun`` (``Choice``) among several; the others are counted all the same.
    """
    usages: list[Usage] = []
    failure: Failure | None = None
    for number, answer in enumerate(answers, 1):
        wrong = failure_of(answer)
        if wrong is None:
            usages.append(usage_of(answer["response"].get("usageMetadata")))
            wrong = read(answer["response"])
        if wrong is not None and failure is None:
            failure = wrong.among(noun, number, len(answers))
    return total_usage(usages), failure


# What a candidate may carry and stay plain: its parts, and members that are left out.
_UNSEEN: Final = frozenset(
    ("index", "safetyRatings", "avgLogprobs", "tokenCount", "citationMetadata", "finishMessage")
)
_PLAIN_MEMBERS: Final = _UNSEEN | {"content", "finishReason"}
_ONLY_TEXT: Final = ({"modality": "TEXT"},)


def single_of(answer: Answer) -> tuple[str, str, list[Any], Usage] | None:
    """Take id, model version, parts and usage of one candidate that came to its end, as most do.

    None when there is anything else in the answer: then it is read in full.
    """
    try:
        response = answer["response"]
        [candidate] = response["candidates"]
        parts = candidate["content"]["parts"]
        identity, version = response["responseId"], response["modelVersion"]
        metadata = response["usageMetadata"]
        single = (
            candidate["finishReason"] == "STOP"
            and type(identity) is type(version) is str
            and type(parts) is list
            and identity
            and version
            and "error" not in answer
            and candidate.keys() <= _PLAIN_MEMBERS
        )
        [asked] = metadata.get("promptTokensDetails", _ONLY_TEXT)
        [told] = metadata.get("candidatesTokensDetails", _ONLY_TEXT)
        if not single or asked["modality"] != "TEXT" or told["modality"] != "TEXT":
            return None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return identity, version, parts, usage_of(metadata)


def plain_of(answer: Answer) -> tuple[str, str, str, Usage] | None:
    """Take id, model version, text and usage of an answer of one text and no more.

    None when there is anything else in it: then it is read in full.
    """
    single = single_of(answer)
    if single is None:
        return None
    identity, version, parts, usage = single
    try:
        [part] = parts
        text = part["text"]
        plain = len(part) == 1 and type(text) is str and text
    except (KeyError, TypeError, ValueError):
        return None
    return (identity, version, text, usage) if plain else None
