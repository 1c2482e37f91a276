"""Google's webhooks: the end of a job is told, and the job looked at at once.

They wake the poller and replace no poll: a webhook may come late, twice or never, and what it says
is not believed. So a signature that is repeated within its five minutes does no harm.
"""

from typing import Final

from standardwebhooks import Webhook, WebhookVerificationError
from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.body import read_json_bytes
from gateway.api.services import Call
from gateway.errors import NotFoundError, RequestError
from gateway.units import KIB

# The payload is thin: the type, a time and the name of a job (Google's guide).
MAX_EVENT_BYTES: Final = 64 * KIB


class BadSignatureError(RequestError):
    """The signature is missing, wrong, or older than five minutes."""

    def __init__(self) -> None:
        super().__init__(
            "The signature of the webhook is missing, wrong or too old. Check that"
            " GATEWAY_GOOGLE_WEBHOOK_SECRET is the secret that Google showed for it.",
            code="invalid_webhook_signature",
        )


async def receive(call: Call) -> Response:
    """Answer ``POST /webhooks/google``."""
    secrets = call.options.google_webhook_secrets
    if not secrets:
        raise NotFoundError(
            "This gateway takes no webhooks of Google's: GATEWAY_GOOGLE_WEBHOOK_SECRET is not set.",
            code="unknown_url",
        )
    event = _verified(secrets[0], await read_json_bytes(call, MAX_EVENT_BYTES), call)
    data = event.get("data") if isinstance(event, dict) else None
    name = data.get("id") if isinstance(data, dict) else None
    if isinstance(name, str):
        await call.store.hurry_job(name)
    call.services.wake()
    return answer({"status": "ok"})


def _verified(secret: str, body: bytes, call: Call) -> object:
    """Return what was signed. Errors: BadSignatureError."""
    try:
        event: object = Webhook(secret).verify(body, dict(call.request.headers))
    except (WebhookVerificationError, ValueError) as error:
        # The library lets a malformed signature out as the ValueError that it met.
        raise BadSignatureError from error
    return event
