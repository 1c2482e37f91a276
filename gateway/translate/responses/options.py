"""``text``: the form of an answer's words."""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import Refused, invalid_type, missing, one_of
from gateway.translate.reading.table import FieldTable, dropped, mapped
from gateway.translate.request.content import member, string
from gateway.translate.request.draft import Draft
from gateway.translate.request.options import boolean
from gateway.translate.request.response_format import write_schema
from gateway.translate.request.untold import read_verbosity

TEXT: Final = FieldTable(
    mapped("format", "`responseMimeType`, `responseSchema`"),
    dropped("verbosity", "Gemini has no such setting; noted"),
)
TEXT_FORMAT: Final = FieldTable(
    mapped("type", "`responseMimeType`"),
    mapped("schema", "`responseSchema`; with recursion, maps or tuples `responseJsonSchema`"),
    mapped("description", "`description` of a schema that has none"),
    dropped("name", "Gemini's schemas have no names; echoed in the answer"),
    dropped("strict", "Gemini's schemas are always strict; echoed in the answer"),
)
_TYPES: Final = ("text", "json_object", "json_schema")


def read_text(value: object, draft: Draft) -> None:
    """Write into ``generationConfig``.

    ``{"format": {"type": "json_schema", "name": "x", "schema": {…}}}`` ->
    ``{"responseMimeType": "application/json", "responseSchema": {…}}``
    """
    if type(value) is not dict:
        invalid_type(value, "an object", "text")
    try:
        TEXT.check(value)
        repeated: Json = {"format": {"type": "text"}}
        if value.get("format") is not None:
            repeated = {"format": _read_format(member(value, "format"), draft)}
    except Refused as refusal:
        refusal.under("text")
        raise
    if value.get("verbosity") is not None:
        read_verbosity(value["verbosity"], draft, "text.verbosity")
        repeated["verbosity"] = value["verbosity"]
    draft.repeats["text"] = repeated


def _read_format(value: Json, draft: Draft) -> Json:
    try:
        return _format(value, draft)
    except Refused as refusal:
        refusal.under("format")
        raise


def _format(value: Json, draft: Draft) -> Json:
    TEXT_FORMAT.check(value)
    kind = value.get("type")
    if kind is None:
        missing("type")
    if kind not in _TYPES:
        one_of(kind, _TYPES, "type")
    if kind == "text":
        return {"type": "text"}
    draft.config["responseMimeType"] = "application/json"
    if kind == "json_object":
        return {"type": "json_object"}
    repeated: Json = {
        "type": "json_schema",
        "name": string(value, "name"),
        "schema": member(value, "schema"),
        "description": value.get("description"),
        "strict": value.get("strict"),
    }
    if repeated["strict"] is not None:
        boolean(repeated["strict"], "strict")
    write_schema(value, "text.format", draft)
    return repeated
