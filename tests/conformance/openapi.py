"""OpenAI's own description of its API, as a judge of answers."""

from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
import yaml

PATH: Final = Path(__file__).parents[1] / "reference" / "openai-batch-openapi.yaml"
SPEC: Final[dict[str, Any]] = yaml.load(
    PATH.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
)
SCHEMAS: Final[dict[str, Any]] = SPEC["components"]["schemas"]
SCHEMAS["OpenAIFile"]["properties"]["purpose"]["enum"].append("evals")  # see DEFECTS

# Where the description is wrong: OpenAI's own answers break it, and so do ours.
DEFECTS: Final = {
    "nulls": "members that have no value are null in every live answer; the types forbid it",
    "ListFilesResponse.first_id": "required as a string; an empty page has none, null is sent",
    "OpenAIFile.purpose": "evals is accepted by create and missing among the purposes of a file",
    "CreateChatCompletionResponse.system_fingerprint": "a string; null is sent",
    "GET /files/{file_id}/content": "described as a JSON string; it is the file's bytes",
}


_CURSORS: Final = frozenset({"first_id", "last_id"})


def check(value: object, schema: str) -> None:
    """Require a value to be valid, but for nulls, which OpenAI sends too."""
    reference = {"$ref": f"#/components/schemas/{schema}", **SPEC}
    judge = jsonschema.Draft202012Validator(reference)
    if not judge.is_valid(value):
        judge.validate(without_nulls(value))


def without_nulls(value: Any) -> Any:
    """Leave out members that are null; the cursors of an empty page are texts."""
    if isinstance(value, dict):
        value = {
            key: "" if key in _CURSORS and item is None else item for key, item in value.items()
        }
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
