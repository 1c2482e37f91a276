"""Events as they travel: OpenAI's body and the signature of Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson
from standardwebhooks import Webhook

from gateway.batches.webhooks import Delivery

PREFIX = "whsec_"


def body_of(delivery: Delivery) -> bytes:
    """Write the body: the same for every attempt. Receivers ask for the batch by its id."""
    return orjson.dumps(
        {
            "id": delivery.event_id,
            "object": "event",
            "type": delivery.type,
            "created_at": delivery.created_at // 1000,
            "data": {"id": delivery.batch_id},
        }
    )


def signed(event_id: str, body: bytes, secrets: Sequence[str], seconds: int) -> Mapping[str, str]:
    """Give the headers of an attempt; each secret signs, so that a receiver may know either."""
    at = datetime.fromtimestamp(seconds, UTC)
    signatures = [_key(secret).sign(event_id, at, body.decode()) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": "gemini-batch-gateway",
        "webhook-id": event_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(signatures),
    }


def _key(secret: str) -> Webhook:
    """Read a secret as OpenAI's SDKs do: without the prefix it is the key itself, not base64."""
    return Webhook(secret if secret.startswith(PREFIX) else secret.encode())
