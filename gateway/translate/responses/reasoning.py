"""``encrypted_content`` of reasoning items: signatures and raw parts that the client keeps.

Gemini 3 demands the signatures of its calls, recommends those of its texts and images, and demands
the steps of its own tools unchanged when functions are declared too. OpenAI's clients keep one
opaque text per reasoning item and send it with the items behind it. Ours is base64 of JSON, by
``call_id`` or ``id`` of the item that something belongs to::

    {"v": 1, "signatures": {"call_1": "c2ln…", "msg_…": "c2ln…"},
     "parts": {"ws_…": [{"toolCall": {…}, "thoughtSignature": "…"}, {"toolResponse": {…}}]}}

Google's own signatures inside are opaque already; nothing of the rest is secret.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Final

import orjson

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import Refused
from gateway.translate.request.signatures import valid_signature
from gateway.translate.tools.server_steps import returned_step

_VERSION: Final = 1


class EncryptedContent:
    """Signatures and raw parts by the id of an item."""

    def __init__(self) -> None:
        self.signatures: dict[str, str] = {}
        self.parts: dict[str, list[Json]] = {}

    def update(self, other: "EncryptedContent") -> None:
        """Add what another reasoning item keeps."""
        self.signatures.update(other.signatures)
        self.parts.update(other.parts)

    def encode(self) -> str:
        """Write the text for a client to keep, ``""`` when there is nothing.

        Parts that no JSON writer writes are left out: no client could send them back.
        """
        if not self.signatures and not self.parts:
            return ""
        value = {"v": _VERSION, "signatures": self.signatures, "parts": self.parts}
        try:
            return b64encode(orjson.dumps(value)).decode("ascii")
        except TypeError:
            return b64encode(orjson.dumps({**value, "parts": {}})).decode("ascii")


def decode_content(text: str) -> EncryptedContent | None:
    """Read such a text; None when the gateway did not write it.

    Parts that Google would not take are left out: one bad part is a 400 for the whole line.
    """
    try:
        value = orjson.loads(b64decode(text, validate=True))
    except (Base64Error, ValueError):
        return None
    if type(value) is not dict or value.get("v") != _VERSION:
        return None
    kept = EncryptedContent()
    signatures, parts = value.get("signatures"), value.get("parts")
    if type(signatures) is dict:
        kept.signatures = {key: text for key, text in signatures.items() if valid_signature(text)}
    if type(parts) is dict:
        kept.parts = {key: _parts(found) for key, found in parts.items()}
    return kept


def _parts(value: object) -> list[Json]:
    found = []
    for part in value if type(value) is list else ():
        made = _part(part)
        if made is not None:
            found.append(made)
    return found


def _part(part: object) -> Json | None:
    if type(part) is not dict:
        return None
    if part.get("text") == "":
        signature = valid_signature(part.get("thoughtSignature"))
        return {"text": "", "thoughtSignature": signature} if signature else None
    try:
        return returned_step(part)
    except Refused:
        return None
